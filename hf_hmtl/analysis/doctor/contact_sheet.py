"""The pictures that a report is about, side by side: some of every class, and those that something is wrong with."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hf_hmtl.analysis.doctor.pictures import Pictures
from hf_hmtl.analysis.doctor.reading import Examined
from hf_hmtl.analysis.doctor.report import Report
from hf_hmtl.analysis.lettering import families_for
from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.draws import Draws
from hf_hmtl.files import replacing

COLUMNS = 12
_SIDE = 64
_MOST_CLASSES = 16


def draw_sheet(examined: Examined, report: Report, pictures: Pictures, path: Path) -> bool:
    """Draw a PNG: a line of pictures for each class of the primary column, and one for each kind of finding.

    Returns whether there is a picture to draw.
    """
    lines = [line for line in _lines(examined, report, pictures) if line[1]]
    if not lines:
        return False
    # A Figure of its own leaves pyplot alone.
    figure = Figure(figsize=(1.0 * COLUMNS, 1.25 * len(lines) + 0.3), layout="constrained", dpi=80)
    axes = figure.subplots(len(lines), COLUMNS, squeeze=False)
    families, _ = families_for([title for title, _ in lines])
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (title, rows) in enumerate(lines):
        axes[number, 0].set_title(title, fontsize=8, loc="left", fontfamily=families, parse_math=False)
        for axis, row in zip(axes[number], rows, strict=False):
            axis.imshow(_picture(examined, row))
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", metadata={"Software": None})
    return True


def _lines(examined: Examined, report: Report, pictures: Pictures) -> list[tuple[str, list[int]]]:
    """(title, rows) of each line; pairs stand side by side."""
    seen = np.flatnonzero(pictures.seen)
    words = Draws(0, 0, np.arange(len(examined))).words("doctor/sheet", 1)[:, 0]
    lines = []
    if examined.primary is not None:
        labels = np.array([-1 if label is None else label for label in examined.column(examined.primary)])
        for number, name in list(enumerate(examined.features[examined.primary].names))[:_MOST_CLASSES]:
            lines.append((f"{examined.primary}: {name}", _some(seen[labels[seen] == number], words)))
    else:
        lines.append(("images", _some(seen, words)))
    lines.append(("blank", np.flatnonzero(pictures.blank)[:COLUMNS].tolist()))
    names = {"no_face": "no face found", "sideways": "on their side", "not_cropped": "not cut out"}
    lines += [(names[kind], rows[:COLUMNS]) for kind, rows in report.of_faces.items()]
    splits = examined.split_of_rows()
    across = [pair for pair in report.pairs if splits[pair.first] != splits[pair.second]]
    within = [pair for pair in report.pairs if splits[pair.first] == splits[pair.second]]
    for title, pairs in (("nearly the same in two splits, by twos", across), ("nearly the same, by twos", within)):
        farthest = pairs[-(COLUMNS // 2) :]  # the most doubtful ones: a person should see whether they are alike
        lines.append((title, [row for pair in farthest for row in (pair.first, pair.second)]))
    return lines


def _some(rows: np.ndarray, words: np.ndarray) -> list[int]:
    return rows[np.argsort(words[rows], kind="stable")[:COLUMNS]].tolist()


def _picture(examined: Examined, row: int) -> np.ndarray:
    for data in examined.splits.values():
        if row < len(data):
            try:
                return decode_for_training(data[row]["image"], _SIDE, gray_allowed=False)
            except BrokenImage:  # it was there when the pictures were measured
                return np.zeros((_SIDE, _SIDE, 3), dtype=np.uint8)
        row -= len(data)
    raise IndexError(row)
