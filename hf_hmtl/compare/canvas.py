"""What all pictures of runs share: a canvas, looks of labels, letters of any script, and a file that appears whole."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from hf_hmtl.analysis.lettering import families_for
from hf_hmtl.files import replacing

DPI = 150
_MARKERS, _DASHES = "osD^vPX", ("-", "--", ":")
_OWN_MATHS = "$\\mathdefault"  # how matplotlib writes the numbers of an axis


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches. By hand: pyplot would keep it alive for the whole process."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def styles(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """{label: how its lines are drawn}, the same in all panels: ten colours, of which printed in gray markers and
    dashes tell those apart that stand beside each other."""
    return {
        label: {
            "color": f"C{position % 10}",
            "linestyle": _DASHES[(position + position // 10) % len(_DASHES)],
            "marker": _MARKERS[position % len(_MARKERS)],
        }
        for position, label in enumerate(labels)
    }


def within_shares(axis: Axes, upright: bool = True) -> None:
    """Keep an axis of shares from 0 to 1, which an interval of few seeds may leave."""
    low, high = axis.get_ylim() if upright else axis.get_xlim()
    set_range = axis.set_ylim if upright else axis.set_xlim
    set_range(max(low, -0.02), min(high, 1.02))


def spread_in_words(seeds: Iterable[int], shapes: str) -> str:
    """What a picture's marks are, for its legend.

    Args:
        seeds: how many stand behind each mark.
        shapes: how intervals are drawn, "bars" or "bands".
    """
    counts = set(seeds)
    if counts == {1}:
        return f"one seed each, so no {shapes}"
    return f"means over seeds; {shapes}: 95 % intervals{', none of a single seed' * (1 in counts)}"


def save(figure: Figure, path: Path) -> None:
    """Write the PNG. Labels are names that people gave: a dollar in them is a dollar, and any script is drawn."""
    texts = [text for text in figure.findobj(Text) if not text.get_text().startswith(_OWN_MATHS)]
    families, _ = families_for(text.get_text() for text in texts)
    for text in texts:
        text.set_parse_math(False)
        text.set_fontfamily(families)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
