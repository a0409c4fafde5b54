"""What the paper shows: its tables and figures, each with the rows of the recipe files that are in it.

Which rows stand in a table is told by the rows themselves (`paper` in a recipe file), and so are its figures.
"""

import functools
from dataclasses import dataclass
from typing import Any

from hf_hmtl import printed
from hf_hmtl import recipe as recipes

AFFECTNET, POSE, GENDER, JAFFE = "affectnet", "300w-lp", "fairface", "jaffe"
AFF_WILD, AFEW_VA, CKPLUS = "aff-wild", "afew-va", "ckplus"
FILES = (AFFECTNET, AFF_WILD, AFEW_VA, CKPLUS, JAFFE, POSE, GENDER)
"""Recipe files whose rows are the paper's own."""


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Attributes:
        title: of the page.
        file: recipe file of its rows.
        baseline: row that the others are compared with.
        note: what is odd in the figures that it prints.
    """

    title: str
    file: str
    baseline: str
    note: str = ""


TABLES = {
    "1": PaperTable("levels of augmentation and weights to begin with", AFFECTNET, "supervised-none"),
    "2": PaperTable("nonlinear evaluation of pre-trained backbones", AFFECTNET, "nonlinear-random"),
    "3": PaperTable("fine-tuning of pre-trained backbones", AFFECTNET, "supervised-none"),
    "4": PaperTable(
        "valence and arousal",
        AFFECTNET,
        "affect-regression",
        "The paper prints a mean RMSE of 0.43 for SL (B0); the mean of its 0.39 and 0.41 is 0.40.",
    ),
    "5": PaperTable("supervised and hybrid methods", AFFECTNET, "supervised-weak"),
    "6": PaperTable("with and without the heads", AFFECTNET, "supervised-none"),
    "7": PaperTable("Barlow Twins beside other ways", AFFECTNET, "supervised-weak"),
    "8": PaperTable(
        "valence and arousal of videos, fine-tuned end to end",
        AFF_WILD,
        "supervised-224",
        "The paper prints 0.199 as CCC and as MSE of arousal of random weights at 112 px; its mean MSE of 0.118 asks "
        "for 0.088.",
    ),
    "9": PaperTable("valence and arousal of videos, frozen features, ten folds", AFEW_VA, "lstm-supervised"),
    "10": PaperTable("expressions of sequences, frozen features, ten folds", CKPLUS, "lstm-supervised"),
    "11": PaperTable("linear evaluation on JAFFE, ten folds", JAFFE, "linear-supervised"),
    "12": PaperTable("head pose", POSE, "supervised"),
    "13": PaperTable("gender", GENDER, "supervised", "The paper does not say what stands behind its ±."),
    "B": PaperTable("label smoothing", AFFECTNET, "smoothing-0.0"),
}

_HEADS = tuple(f"puzzle-{grid}-none{without}" for grid in ("2x2", "3x3") for without in ("", "-without-heads"))
_SIZES = ("puzzle-2x2-none", "puzzle-3x3-none", "puzzle-4x4-none", "puzzle-4x4-none-weighted")
FIGURES = {
    "9": (AFFECTNET, TABLES["1"].title, ("table 1",)),
    "10": (AFFECTNET, "all settings", ("table 1", "table 5")),
    "11": (AFFECTNET, "where networks look", ("supervised-weak", "puzzle-3x3-weak")),
    "12": (AFFECTNET, "which tiles carry the label", ("supervised-none",)),
    "13": (
        AFFECTNET,
        "puzzle sizes (the paper's of 20 epochs, these of as many as in the tables)",
        ("supervised-none", *_SIZES),
    ),
    "14": (AFFECTNET, "loss and accuracy with and without heads", ("supervised-none", *_HEADS)),
    "15": (POSE, "head pose by epoch, smoothed", ("table 12",)),
    "16": (
        AFFECTNET,
        "under attack",
        ("supervised-none", "inpainting-none-without-heads", "inpainting-perceptual-none", *_SIZES[:2]),
    ),
    "E": (POSE, "head pose by epoch", ("table 12",)),
}
"""{figure: (recipe file, title, its rows, or the table that has them)}."""

BY_LOWEST_LOSS = FIGURES["16"][2]
"""Rows whose weights of the lowest validation loss are kept too, as Figure 16 says."""

IN_THE_TEXT = ("inpainting-perceptual-none-without-softmax", "supervised-weak-seven-classes")
PRE_TRAININGS = tuple(
    f"pretrain-{pretext}" for pretext in ("puzzle", "rotation", "puzzle-rotation", "inpainting", "barlow-twins")
)
"""Rows of AffectNet that no table or figure shows: those that the text speaks of, and those that others begin with."""


@functools.cache
def rows_of_table(name: str) -> tuple[str, ...]:
    """The rows of a table, in the order of their file."""
    file = TABLES[name].file
    return tuple(row for row in recipes.available()[file] if name in tables_of(file, row))


def rows_of_figure(name: str) -> tuple[str, ...]:
    """The rows that a figure is drawn of."""
    rows: list[str] = []
    for each in FIGURES[name][2]:
        table = each.removeprefix("table ")
        rows += rows_of_table(table) if table in TABLES else [each]
    return tuple(dict.fromkeys(rows))


@functools.cache
def figures_printed(file: str) -> dict[str, dict]:
    """{row: the paper's figures of it} of a recipe file, of the rows that have one."""
    found = {row: recipes.load(f"{file}/{row}").paper for row in recipes.available()[file]}
    return {row: paper for row, paper in found.items() if paper}


def metric_of(file: str) -> str:
    """What the first of these rows is measured by, in the tables of a recipe file."""
    return next(iter(figures_printed(file).values()))["metric"]


def tables_of(file: str, row: str) -> set[str]:
    """The tables in which a row stands: {"1", "5"} for "Tables 1 and 5", {"B"} for appendix B."""
    found = figures_printed(file).get(row)
    return printed.tables_named(found["table"]) if found else set()


def printed_in(table: str, row: str) -> dict[str, Any]:
    """What a table prints of one of its rows, as `hf_hmtl.printed` describes it."""
    return printed.in_table(figures_printed(TABLES[table].file)[row], table)
