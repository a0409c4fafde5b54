"""What `hf-hmtl advise` tries: supervised training, and hybrid settings that have paid somewhere."""

from collections.abc import Mapping
from typing import Any

from hf_hmtl.compare.rows import Row

SUPERVISED, LABEL_AUGMENTATION = "supervised", "label-augmentation"
_TILES = ("auxiliary.puzzle.grid=2", "auxiliary.puzzle.weight=0.111")
HYBRID = {
    "puzzle-half": (*_TILES, "auxiliary.puzzle.share=0.5"),
    "puzzle-half-heavier": ("auxiliary.puzzle.grid=2", "auxiliary.puzzle.weight=0.333", "auxiliary.puzzle.share=0.5"),
    "puzzle-falling": (*_TILES, "auxiliary.puzzle.share=[[0, 0.75], [0.7, 0]]"),
    "puzzle-own-view": (*_TILES, "auxiliary.puzzle.view=own", "auxiliary.puzzle.share=0.5"),
    "localizable-rotation": ("auxiliary.localizable_rotation.weight=0.1",),
    LABEL_AUGMENTATION: ("auxiliary.label_augmentation.weight=1",),
}
"""{label: what is added to the supervised row}: half of the rows puzzled at 1/9 or 1/3 a tile head, a share that falls
from three quarters to none, a puzzled view beside whole faces (1.5 passes a row), a quadrant turned (arXiv
2207.10023), class and quarter turn by one joint head (4 passes a row; arXiv 1910.05872)."""


def settings_for(supervised: Mapping[str, Mapping[str, Any] | None]) -> tuple[str, ...]:
    """Labels of the hybrid settings that a supervised row can have: label augmentation joins the classes of the one
    task that has some.

    Args:
        supervised: {task: its settings}, as a recipe has them.
    """
    kinds = [(settings or {}).get("task", "classification") for settings in supervised.values()]
    return tuple(label for label in HYBRID if label != LABEL_AUGMENTATION or kinds.count("classification") == 1)


def arm(label: str, recipe: str, seeds: tuple[int, ...], changes: tuple[str, ...]) -> Row:
    """A row of the comparison.

    Args:
        label: `SUPERVISED` or one of `HYBRID`; what follows a comma is for readers.
        recipe: the supervised row.
        changes: to all of them, as --set takes them.
    """
    return Row(label, recipe, seeds, (*HYBRID.get(label.partition(",")[0], ()), *changes))
