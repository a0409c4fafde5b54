"""What all pictures of runs share: a canvas, looks of labels, letters of any script, and a file that appears whole."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from hf_hmtl.analysis.lettering import families_for
from hf_hmtl.files import replacing

DPI = 150
_OWN_MATHS = "$\\mathdefault"  # how matplotlib writes the numbers of an axis


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches. By hand: pyplot would keep it alive for the whole process."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def styles(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """{label: how its lines are drawn}, the same in all panels: ten colours, then these dashed and dotted."""
    return {
        label: {"color": f"C{position % 10}", "linestyle": ("-", "--", ":")[position // 10 % 3]}
        for position, label in enumerate(labels)
    }


def save(figure: Figure, path: Path) -> None:
    """Write the PNG. Labels are names that people gave: a dollar in them is a dollar, and any script is drawn."""
    texts = [text for text in figure.findobj(Text) if not text.get_text().startswith(_OWN_MATHS)]
    families, _ = families_for(text.get_text() for text in texts)
    for text in texts:
        text.set_parse_math(False)
        text.set_fontfamily(families)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
