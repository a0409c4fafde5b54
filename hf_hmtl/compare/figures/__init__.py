"""The figures of the paper, drawn anew from finished runs: a picture, and its numbers as a table.

The folder is the registry: `figure_16.py` is figure 16. Such a file has `OPTIONS`, the options that it understands, and
`make(runs, options) -> Drawn`, and computes numbers first and then a picture of them alone.
"""

import csv
import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_hmtl.files import replacing, require_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFIX = "figure_"


@dataclass(frozen=True)
class FigureOptions:
    """What a figure may be told; None is its own default.

    Attributes:
        data_dir: folder of the data set, for figures that look at images again.
        weights: which weights of a run are looked at, one of `run.finished.WEIGHTS`.
        rows: how many validation rows.
        radii: of an attack, in units of pixels from 0 to 1.

    Raises:
        ValueError: fewer than one row is wanted.
    """

    data_dir: str | None = None
    weights: str | None = None
    rows: int | None = None
    radii: tuple[float, ...] | None = None

    def __post_init__(self):
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"--rows is {self.rows}, allowed is 1 or more; leave it out for the figure's own number")


@dataclass(frozen=True)
class Drawn:
    """A figure and the numbers that it shows.

    Attributes:
        numbers: rows of a table, all with the same columns.
        figure: the picture.
        notes: sentences on what was left out.
    """

    numbers: list[dict[str, Any]]
    figure: "Figure"
    notes: list[str] = field(default_factory=list)


def available() -> list[str]:
    """Names of the figures, numbers in their order and then letters."""
    names = [name.removeprefix(PREFIX) for _, name, _ in pkgutil.iter_modules(__path__) if name.startswith(PREFIX)]
    numbers, letters = (sorted(filter(str.isdigit, names), key=int), sorted(filter(str.isalpha, names)))
    return [*numbers, *map(str.upper, letters)]


def write_figure(
    name: str, folders: Sequence[Path], options: FigureOptions, output_dir: Path, without: Sequence[str] = ()
) -> tuple[Drawn, Path]:
    """Make a figure and write `figure-NAME.png` and `figure-NAME.csv`.

    Args:
        name: one of `available`.
        folders: of runs and comparisons.
        options: what it is told.
        output_dir: where the two files go.
        without: labels of runs that are left out.

    Returns:
        The figure, and the path of its picture.

    Raises:
        ValueError: no such figure, an option that it does not know, or runs that it cannot be drawn of.
        FileExistsError: the folder is a file.
    """
    if name.upper() not in available():
        raise ValueError(f"unknown figure {name!r}. Figures of the paper that runs can show: {', '.join(available())}")
    module = importlib.import_module(f"{__name__}.{PREFIX}{name.lower()}")
    given = [option for option, value in vars(options).items() if value is not None]
    for option in given:
        if option not in module.OPTIONS:
            known = ", ".join(f"--{each}" for each in module.OPTIONS) or "none"
            raise ValueError(f"figure {name} has no use for --{option}; its options are: {known}")
    require_folder(output_dir, "--output_dir")
    from hf_hmtl.compare import canvas
    from hf_hmtl.compare.figures.runs import finished_runs, without_labels

    drawn = module.make(without_labels(finished_runs(folders), without), options)
    path = output_dir / f"figure-{name.upper()}.png"
    canvas.save(drawn.figure, path)
    with replacing(path.with_suffix(".csv")) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(drawn.numbers[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({key: _cell(value) for key, value in row.items()} for row in drawn.numbers)
    return drawn, path


def _cell(value: Any) -> Any:
    """Floats to six digits, so that the last bit of another machine changes no file; what is unknown is empty."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return value
