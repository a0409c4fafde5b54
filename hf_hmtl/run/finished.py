"""A finished run, opened again to be looked at: its rows, its tasks, and the weights of one of its steps.

What a run was is told by its result.json alone; its pretexts, teacher and first weights are not needed any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import PartialState
from datasets import Dataset
from PIL import Image

from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.identity import ID
from hf_hmtl.data.rows import RowReader
from hf_hmtl.data.splits import FINGERPRINT_VERSION, fingerprint
from hf_hmtl.draws import Draws
from hf_hmtl.model.image_processing_hmtl import to_pixels
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.recipe import FIELDS, Recipe
from hf_hmtl.results import result as results
from hf_hmtl.results.result import Result
from hf_hmtl.run import lowest_loss, process
from hf_hmtl.run.earlier_run import is_saved_model
from hf_hmtl.run.experiment import build_supervised
from hf_hmtl.run.rows import load_rows
from hf_hmtl.tasks import Supervised
from hf_hmtl.training.checkpoint import numbered_checkpoints

KEPT, LOWEST_LOSS = "kept", "lowest-loss"
WEIGHTS = (LOWEST_LOSS, KEPT)
"""Which weights of a run are meant: those in its folder, or those of the lowest validation loss (Figure 16)."""

BATCH = 64
_OF_DRAWING = ("size", "seed", "difficulty", "imbalanced")


@dataclass(frozen=True)
class OpenedRun:
    """A finished run with its network.

    Attributes:
        result: its result.json.
        model: in evaluation mode, on the device of this process.
        step: of the weights.
        split, rows: what is looked at.
        supervised: its tasks.
    """

    result: Result
    model: HMTLForImageClassification
    step: int
    split: str
    rows: Dataset
    supervised: tuple[Supervised, ...]

    def collator(self) -> EvaluationCollator:
        """Clean images of the rows, as the run was scored on them."""
        recipe = recipe_of(self.result)
        return EvaluationCollator(list(self.supervised), recipe.image_size, crop_fraction=recipe.crop["eval"])

    def batches(self, numbers: Sequence[int]) -> Iterator[dict]:
        """Those rows in batches; one whose image is broken is black and has no label."""
        reader, collator = RowReader(self.rows), self.collator()
        for first in range(0, len(numbers), BATCH):
            yield collator(reader.__getitems__(list(numbers[first : first + BATCH])))

    def face_masks(self, numbers: Sequence[int]) -> np.ndarray | None:
        """(rows, side, side) the share of each pixel of those rows that is face, as the network sees them; None where
        nobody knows, as of all but drawn faces."""
        recipe = recipe_of(self.result)
        options = {key: value for key, value in recipe.source.items() if key in _OF_DRAWING}
        if recipe.source["name"] != "drawn" or recipe.mixed_with:
            return None
        from hf_hmtl.data.drawn_faces.dataset import face_masks  # here: other sources need no drawing code

        # A split may have been cut out of another, or lack classes: what was drawn stands in the identity of a row.
        drawn = [each.split("/") for each in self.rows.select(numbers)[ID][:]]
        whole = {}
        for split in dict.fromkeys(split for split, _ in drawn):
            of_split = [number for each, number in drawn if each == split]
            masks = (255 * face_masks(split, [int(number) for number in of_split], **options)).round().astype(np.uint8)
            whole |= {(split, number): mask for number, mask in zip(of_split, masks, strict=True)}
        pictures = [Image.fromarray(whole[split, number]) for split, number in drawn]
        seen = [to_pixels(mask, recipe.image_size, recipe.crop["eval"]) for mask in pictures]
        return np.stack(seen)[..., 0] / np.float32(255)


def recipe_of(result: Result) -> Recipe:
    """The recipe that a run was made with."""
    known = {name: value for name, value in result.recipe.items() if name in FIELDS and value is not None}
    return Recipe(**known | {"name": result.name})


def open_run(folder: Path, data_dir: str | Path | None, weights: str, split: str) -> OpenedRun:
    """Open a run.

    Args:
        folder: of the run.
        data_dir: folder of its data, for sources that need one.
        weights: one of `WEIGHTS`.
        split: whose rows are looked at.

    Raises:
        ValueError: it has no such split, its data are other ones now, or the weights are gone.
        FileNotFoundError: it saved no model.
    """
    process.set_up()
    result = results.read(folder / "result.json")
    place, step = weights_of(folder, result, weights)
    recipe = recipe_of(result)
    loaded = load_rows(recipe, data_dir)
    seen, now = result.data["fingerprint"], fingerprint(loaded.splits, ignored=loaded.source.report_columns)
    if seen.startswith(FINGERPRINT_VERSION) and seen != now:
        raise ValueError(
            f"{folder} was trained and scored on other rows than those of now: its data have changed, or --data_dir is "
            "another folder. Give the folder of that time"
        )
    if split not in loaded.splits:
        raise ValueError(f"{folder} has no {split} split; it has: {', '.join(loaded.splits)}")
    supervised = tuple(
        build_supervised(name, settings, loaded.splits["train"], recipe.name)
        for name, settings in recipe.supervised.items()
    )
    process.keep_large_blocks()
    model = HMTLForImageClassification.from_pretrained(place).eval().to(PartialState().device)
    return OpenedRun(result, model, step, split, loaded.splits[split], supervised)


def weights_of(folder: Path, result: Result, weights: str) -> tuple[Path, int]:
    """Where the wanted weights of a run lie, and of which step they are.

    Raises:
        ValueError: the run logged no validation loss, or did not keep the weights that had the lowest.
        FileNotFoundError: it saved no model.
    """
    if not is_saved_model(folder):
        raise FileNotFoundError(
            f"{folder} holds a result without a model: a probe saves none, and kept results are copied without. "
            "Give a folder that a training wrote"
        )
    selection = result.protocol["selection"]
    kept = selection["step"] if selection else result.steps
    if weights == KEPT:
        return folder, kept
    lowest = lowest_loss.lowest_step(result.history)
    if lowest is None:
        raise ValueError(
            f"{folder} has no validation loss in its log, so the weights of the lowest are not known; look at those it "
            f"kept: --weights {KEPT}"
        )
    if lowest == kept:
        return folder, lowest
    if place := lowest_loss.kept(folder, lowest):
        return place, lowest
    checkpoints = {int(path.name.split("-")[1]): path for path in numbered_checkpoints(folder)}
    if lowest in checkpoints and is_saved_model(checkpoints[lowest]):
        return checkpoints[lowest], lowest
    by = f", chosen by {selection['metric']}" if selection else ""
    raise ValueError(
        f"{folder}: validation loss was lowest at step {lowest}, whose weights were not kept (those of step {kept} "
        f"are{by}). Train it with --keep_lowest_loss, or look at the kept ones: --weights {KEPT}"
    )


def some_rows(rows: int, wanted: int | None) -> list[int]:
    """Numbers of some rows, the same for every run, in order; all where none are wanted in particular."""
    if wanted is None or wanted >= rows:
        return list(range(rows))
    order = np.argsort(Draws(0, 0, np.arange(rows)).uniform("rows looked at"), kind="stable")
    return sorted(order[:wanted].tolist())
