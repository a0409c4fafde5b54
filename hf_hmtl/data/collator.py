"""Rows -> pixels, views and targets: the batch that the model and the tasks take.

{"pixel_values": uint8 (all views' rows, 3, side, side), channels-last memory,
 "views": {task: (first row, row after the last)},
 "targets": {task: tensor},
 "rows": int64 (rows,), the number of each in its dataset,
 "broken_rows": int64 (number of broken images that were met,)}
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hf_hmtl.data.augment import augment_batch, mirrored
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.colour import cutout
from hf_hmtl.data.crops import Box, boxes, cut
from hf_hmtl.data.decode import BrokenImage, decode_face
from hf_hmtl.data.rows import IMAGE, ReadRows, columns_of
from hf_hmtl.draws import Draws
from hf_hmtl.model.image_processing_hmtl import decode, to_pixels
from hf_hmtl.tasks.base import MISSING, Pretext, Supervised

logger = logging.getLogger(__name__)

ON_BROKEN_IMAGE = ("replace", "skip", "raise")
ATTEMPTS = 50
"""Rows that are drawn in the place of a broken one before a training gives up."""


def channels_last_batch(images: list[np.ndarray]) -> Tensor:
    """(side, side, 3) arrays -> (batch, 3, side, side) tensor whose memory stays (batch, side, side, 3)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _along(target: Tensor, rows: Tensor) -> Tensor:
    """(rows,) values, in a shape that goes along with the rows of a target."""
    return rows.view(-1, *[1] * (target.ndim - 1))


def no_label(target: Tensor) -> float:
    """What stands in a target where there is no label."""
    return float("nan") if target.is_floating_point() else MISSING


def known_where(usable: Tensor, target: Tensor) -> Tensor:
    """The target without the labels of other rows than these (rows,)."""
    return torch.where(_along(target, usable), target, no_label(target))


@dataclass
class Collator:
    """What training and evaluation share: decoding with a policy for broken images, and supervised targets.

    It is called with the rows of a batch, as `RowReader` gives them or as a plain `DataLoader` of a dataset does: a
    list of dictionaries whose images are files, paths, PIL images or arrays.

    Args:
        supervised: tasks whose targets are columns of the rows.
        image_size: side of the batch, pixels.
        crop_fraction: share of the image's sides that the central crop keeps; 1 keeps all.
        on_broken_image: "replace" puts another row of the epoch in its place (of the batch, where rows do not come from
            a `RowReader`), so that batches keep their size; "skip" is the same by another name; "raise" stops. Every
            broken image is logged with its file or row, and counted.
        image_column: column of the images.
    """

    supervised: list[Supervised]
    image_size: int
    crop_fraction: float = 1.0
    on_broken_image: str = "replace"
    image_column: str = IMAGE

    def __post_init__(self):
        if self.on_broken_image not in ON_BROKEN_IMAGE:
            raise ValueError(
                f"on_broken_image is {self.on_broken_image!r}, allowed are {', '.join(map(repr, ON_BROKEN_IMAGE))}"
            )

    def decoded(self, rows: Mapping[str, list], decoder: Callable, faces: list[Box | None]) -> tuple[list, list[int]]:
        """Images of a batch, None where broken, and the row numbers of the broken ones.

        Args:
            rows: of the batch.
            decoder: of an image and the box that it is cut to, or None.
            faces: that box of each row.
        """
        images, broken = [], []
        for number, source, face in zip(rows["row"], rows[self.image_column], faces, strict=True):
            try:
                images.append(decoder(source, face))
            except (ValueError, OSError) as error:
                name = (source.get("path") if isinstance(source, dict) else None) or f"row {number}"
                if self.on_broken_image == "raise":
                    raise BrokenImage(
                        f"{name}: {error}. Repair or remove it, or pass --on_broken_image replace"
                    ) from error
                logger.warning("broken image %s (row %d): %s", name, number, error)
                images.append(None)
                broken.append(number)
        return images, broken

    def targets(self, rows: Mapping[str, list]) -> dict[str, Tensor]:
        """Supervised targets of the rows; missing ones where the rows have no labels."""
        unlabelled = [None] * len(rows[self.image_column])
        return {
            task.name: task.target(*(rows.get(column, unlabelled) for column in task.columns))
            for task in self.supervised
        }


@dataclass
class TrainingCollator(Collator):
    """Augmented and corrupted batches. Every random number is a function of (seed, epoch, row, purpose).

    A loader that is not the trainer's says neither row nor epoch: torch then draws a number for each row of each batch,
    so that a row is augmented in another way whenever it comes.

    Args:
        pretexts: self-supervised tasks. Those with `view: image` corrupt the view that the supervised heads see, in
            the order rotate, puzzle, cut; those with `view: own` each corrupt a copy of it, of the rows they choose.
        augmentation: the augmentation level.
        seed: seed of the run.
    """

    pretexts: list[Pretext] = field(default_factory=list)
    augmentation: Augmentation = field(default_factory=lambda: Augmentation.level("none"))
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        for pretext in self.pretexts:
            pretext.check_side(self.image_size)
        copying = [pretext.name for pretext in self.pretexts if pretext.copies]
        if len(copying) > 1:
            raise ValueError(f"{copying[0]} and {copying[1]} both copy the image that all see; leave one of them out")
        self._check_turns()

    def _check_turns(self) -> None:
        turning = [each.name for each in self.pretexts if each.shares_the_image and each.turns_the_image]
        still = [task.name for task in self.supervised if not task.turnable]
        if still and (turning or self.augmentation.rotation > 0):
            how, instead = f"the augmentation (up to {self.augmentation.rotation:g} degrees)", "augmentation.rotation=0"
            if turning:
                how, instead = f"the pretext {turning[0]!r}", f"auxiliary.{turning[0]}.view=own"
            raise ValueError(
                f"{how} turns the images of {', '.join(still)}, whose label would no longer be true and cannot be "
                f"corrected (Euler angles do not add to a turn of the image). Leave the turn out: --set {instead}"
            )

    def __call__(self, rows: Mapping[str, list] | Sequence[Mapping]) -> dict:
        rows = columns_of(rows)
        count = len(rows[self.image_column])
        if "row" not in rows:
            rows = {**rows, "row": torch.randint(2**31, (count,)).tolist(), "epoch": [0] * count}
        draws = Draws(self.seed, rows["epoch"], rows["row"], progress=rows.get("progress", 0.0))
        rows, images, broken = self.filled(rows, draws)
        pixels, views, targets = [], {}, self.augmented_targets(rows, draws)

        def add(names: list[str], view: Tensor) -> None:
            first = sum(map(len, pixels))
            pixels.append(view)
            views.update(dict.fromkeys(names, (first, first + len(view))))

        sharing = [pretext for pretext in self.pretexts if pretext.shares_the_image]
        copying = [pretext for pretext in self.pretexts if pretext.copies and pretext.is_learned]
        if self.supervised or sharing:
            view, made = self.view(images, draws, sharing)
            add([task.name for task in self.supervised] + list(made), view)
            targets.update(made)
            for pretext in copying:
                copies, targets[pretext.name] = pretext.copied(view, targets, draws)
                pixels.append(copies)
                views[pretext.name] = (0, len(view) + len(copies))
        for pretext in self.pretexts:
            if pretext.augmented_views:
                level = self.augmentation if pretext.view_level is None else Augmentation.level(pretext.view_level)
                parts = [draws.view(f"{pretext.name}/{number}") for number in range(pretext.augmented_views)]
                add([pretext.name], torch.cat([self.view(images, part, [], level)[0] for part in parts]))
                targets[pretext.name] = pretext.view_target(len(images))
            elif not pretext.shares_the_image and not pretext.copies:
                chosen = np.flatnonzero(pretext.chosen(draws))
                view, made = self.view([images[place] for place in chosen], draws.of(chosen), [pretext])
                add(list(made), view)
                targets.update(made)
        return {
            "pixel_values": pixels[0] if len(pixels) == 1 else torch.cat(pixels),
            "views": views,
            "targets": targets,
            "rows": torch.tensor(rows["row"], dtype=torch.int64),
            "broken_rows": torch.tensor(broken, dtype=torch.int64),
        }

    def augmented_targets(self, rows: Mapping[str, list], draws: Draws) -> dict[str, Tensor]:
        """The supervised targets of the rows as they are seen: how a label follows the pixels is the task's to say."""
        targets, flipped = self.targets(rows), torch.from_numpy(mirrored(draws, self.augmentation))
        for task in self.supervised:
            target = task.drawn(targets[task.name], draws)
            targets[task.name] = torch.where(_along(target, flipped), task.mirrored(target), target)
        return targets

    def view(
        self,
        images: list[np.ndarray],
        draws: Draws,
        pretexts: list[Pretext],
        augmentation: Augmentation | None = None,
        corruptions: Draws | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One view of the rows: one warp, one colour pass, then the pretexts' corruptions in their order.

        These may have draws of their own (`corruptions`).
        """
        corruptions = draws if corruptions is None else corruptions
        augmentation = augmentation or self.augmentation
        angles, targets = None, {}
        for pretext in pretexts:
            turned = pretext.affine(corruptions)
            if turned is not None:
                angles = turned[0] if angles is None else angles + turned[0]
                targets[pretext.name] = turned[1]
        disc = any(pretext.inscribed_disc for pretext in pretexts)
        pixels = augment_batch(images, draws, augmentation, self.image_size, self.crop_fraction, angles, disc)
        for pretext in sorted(pretexts, key=lambda pretext: pretext.order):
            corrupted = pretext.corrupt(pixels, corruptions)
            if corrupted is not None:
                pixels, targets[pretext.name] = corrupted
        # The augmentation's own cutout comes after the puzzle, as in the authors' code (protocols: cutout moves last).
        cutout(pixels, draws, augmentation)
        return pixels, {pretext.name: targets[pretext.name] for pretext in pretexts if pretext.is_learned}

    def filled(self, rows: Mapping[str, list], draws: Draws) -> tuple[Mapping[str, list], list[np.ndarray], list[int]]:
        """Rows and images of a whole batch, with others in the place of broken ones, and the numbers of these.

        Which row comes, one of the same source, is a function of (seed, epoch, row, attempt). It is augmented by the
        numbers of the row that it stands for, so that a row which is in the batch already is not seen twice in the same
        way.

        Raises:
            BrokenImage: there is no other, or too many of those that were drawn are broken too.
        """
        images, broken = self._decoded(rows, draws)
        if not broken:
            return rows, images, broken
        kept = {name: list(values) for name, values in rows.items()}
        good = np.array([place for place, image in enumerate(images) if image is not None])
        gaps = [place for place, image in enumerate(images) if image is None]
        among_rows = isinstance(rows, ReadRows)
        for attempt in range(ATTEMPTS if among_rows or len(good) else 0):
            of_gaps = draws.of(np.array(gaps))
            unit = of_gaps.uniform(f"broken/{attempt}")
            if isinstance(rows, ReadRows):
                firsts, counts = rows.reader.of_the_same_source([rows["row"][place] for place in gaps])
                others: Mapping[str, list] = rows.reader.__getitems__((firsts + np.floor(unit * counts)).astype(int))
            else:
                picks = good[np.floor(unit * len(good)).astype(int)]
                others = {name: [values[pick] for pick in picks] for name, values in rows.items()}
            found, also_broken = self._decoded(others, of_gaps)
            broken += also_broken
            for place, image, other in zip(gaps, found, range(len(gaps)), strict=True):
                images[place] = image
                for name, values in others.items():
                    kept[name][place] = values[other]
            gaps = [place for place in gaps if images[place] is None]
            if not gaps:
                return kept, images, list(dict.fromkeys(broken))
        raise BrokenImage(
            f"row {rows['row'][gaps[0]]} is broken, and so is every row that was drawn in its place "
            f"({len(set(broken))} broken images; the messages above say why each one is). Check the files, or "
            "whether the image column is the right one"
        )

    def _decoded(self, rows: Mapping[str, list], draws: Draws) -> tuple[list, list[int]]:
        return self.decoded(rows, lambda source, face: decode_face(source, self.image_size, face), boxes(rows, draws))


@dataclass
class EvaluationCollator(Collator):
    """Clean batches, by the definition of preprocessing that serving uses (`HMTLImageProcessor`).

    A broken image keeps its place in the batch, black and without labels, so that it counts in no score and the
    processes of a distributed evaluation stay in step.
    """

    def __call__(self, rows: Mapping[str, list] | Sequence[Mapping]) -> dict:
        rows = columns_of(rows)
        if "row" not in rows:
            rows = {**rows, "row": list(range(len(rows[self.image_column])))}
        images, broken = self.decoded(rows, self._clean, boxes(rows))
        blank = np.zeros((self.image_size, self.image_size, 3), dtype=np.uint8)
        usable = torch.tensor([image is not None for image in images])
        targets = self.targets(rows)
        targets = {name: known_where(usable, target) for name, target in targets.items()}
        return {
            "pixel_values": channels_last_batch([blank if image is None else image for image in images]),
            "views": {task.name: (0, len(images)) for task in self.supervised},
            "targets": targets,
            "rows": torch.tensor(rows["row"], dtype=torch.int64),
            "broken_rows": torch.tensor(broken, dtype=torch.int64),
        }

    def _clean(self, source: Any, face: Box | None) -> np.ndarray:
        seen = source if face is None else Image.fromarray(cut(np.asarray(decode(source)), face))
        return to_pixels(seen, self.image_size, self.crop_fraction)
