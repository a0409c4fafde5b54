"""What `hf-hmtl advise` tries: supervised training, and hybrid settings that have paid somewhere."""

from hf_hmtl.compare.rows import Row

SUPERVISED = "supervised"
_TILES = ("auxiliary.puzzle.grid=2", "auxiliary.puzzle.weight=0.111")
HYBRID = {
    "puzzle-half": (*_TILES, "auxiliary.puzzle.share=0.5"),
    "puzzle-half-heavier": ("auxiliary.puzzle.grid=2", "auxiliary.puzzle.weight=0.333", "auxiliary.puzzle.share=0.5"),
    "puzzle-falling": (*_TILES, "auxiliary.puzzle.share=[[0, 0.75], [0.7, 0]]"),
    "puzzle-own-view": (*_TILES, "auxiliary.puzzle.view=own", "auxiliary.puzzle.share=0.5"),
    "localizable-rotation": ("auxiliary.localizable_rotation.weight=0.1",),
}
"""{label: what is added to the supervised row}: half of the rows puzzled at 1/9 or 1/3 a tile head, a share that falls
from three quarters to none, a puzzled view beside whole faces (1.5 passes a row), a quadrant turned (arXiv
2207.10023)."""


def arm(label: str, recipe: str, seeds: tuple[int, ...], changes: tuple[str, ...]) -> Row:
    """A row of the comparison.

    Args:
        label: `SUPERVISED` or one of `HYBRID`; what follows a comma is for readers.
        recipe: the supervised row.
        changes: to all of them, as --set takes them.
    """
    return Row(label, recipe, seeds, (*HYBRID.get(label.partition(",")[0], ()), *changes))
