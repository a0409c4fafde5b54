"""The collator, and the pretext interface: four fake pretexts, one for each capability."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from hf_hmtl.data.augment import augment_batch
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import EvaluationCollator, TrainingCollator
from hf_hmtl.data.decode import BrokenImage, decode_for_training
from hf_hmtl.data.rows import RowReader
from hf_hmtl.data.sampler import EpochRowSampler
from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import MISSING, Pretext
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.puzzle import Puzzle, shuffle_tiles
from hf_hmtl.tasks.rotation import Rotation

SIDE = 48


@dataclass(frozen=True)
class Turn(Pretext):
    """(a) an affine term: quarter turns."""

    name: str = "turn"

    def affine(self, draws):
        target = draws.integers("turn", 4)
        return 90.0 * target, torch.from_numpy(target)


@dataclass(frozen=True)
class Pair(Pretext):
    """(b) two independently augmented views."""

    name: str = "pair"
    augmented_views: ClassVar[int] = 2
    view_level: ClassVar[str] = "weak"


@dataclass(frozen=True)
class Stripe(Pretext):
    """(c) corrupt: paint a stripe in a drawn row; `order` says when."""

    name: str = "cut"
    order: ClassVar[int] = 2

    def corrupt(self, pixels, draws):
        target = torch.from_numpy(draws.integers("cut", SIDE))
        pixels = pixels.clone()
        pixels[torch.arange(len(pixels)), :, target] = 255
        return pixels, target


@dataclass(frozen=True)
class HeadOnly(Pretext):
    """(d) a head of its own over unchanged pixels: predict the mean gray level."""

    name: str = "gray_level"

    def head(self):
        return {"kind": "mlp", "shape": [1], "hidden": 16, "auxiliary": True}

    def corrupt(self, pixels, draws):
        return pixels, pixels.float().mean((1, 2, 3))


def emotion(faces):
    return Classification(name="emotion", labels=tuple(faces["train"].features["emotion"].names))


def rows_of(faces, keys=tuple((2, row) for row in range(12))):
    return RowReader(faces["train"]).__getitems__(list(keys))


def collator(faces, *pretexts, **options):
    options = {"augmentation": Augmentation.level("none", flip=0.0), **options}
    return TrainingCollator([emotion(faces)], SIDE, pretexts=list(pretexts), seed=9, **options)


def clean(faces, rows):
    images = [decode_for_training(image, SIDE) for image in rows["image"]]
    draws = Draws(9, rows["epoch"], rows["row"])
    return augment_batch(images, draws, Augmentation.level("none", flip=0.0), SIDE)


def test_a_batch_without_pretexts_is_the_augmented_images_and_their_labels(faces):
    rows = rows_of(faces)
    batch = collator(faces)(rows)
    assert torch.equal(batch["pixel_values"], clean(faces, rows))
    assert batch["pixel_values"].dtype == torch.uint8
    assert batch["pixel_values"].is_contiguous(memory_format=torch.channels_last)
    assert batch["targets"]["emotion"].tolist() == rows["emotion"]
    assert batch["views"] == {"emotion": (0, 12)} and batch["broken_rows"].tolist() == []


def test_an_affine_term_turns_the_image_inside_the_one_warp(faces):
    rows = rows_of(faces)
    batch = collator(faces, Turn())(rows)
    still = clean(faces, rows)
    assert set(batch["targets"]["turn"].tolist()) == {0, 1, 2, 3}
    for image, original, quarter in zip(batch["pixel_values"], still, batch["targets"]["turn"].tolist(), strict=True):
        # Counter-clockwise; sampled a little off the pixels for every angle, so near and not equal.
        turned = torch.stack([torch.rot90(original, number, (1, 2)) for number in range(4)])
        differences = (image.int() - turned.int()).abs().float().mean((1, 2, 3))
        assert differences.argmin() == quarter and differences.sort().values[1] > 1.5 * differences.min()


def test_augmented_views_are_independent_and_belong_to_one_task(faces):
    rows = rows_of(faces)
    batch = collator(faces, Pair())(rows)
    assert batch["views"] == {"emotion": (0, 12), "pair": (12, 36)}
    first, second = batch["pixel_values"][12:24], batch["pixel_values"][24:]
    assert not torch.equal(first, second)
    assert torch.equal(batch["pixel_values"][:12], clean(faces, rows))  # the supervised view stays clean
    images = [decode_for_training(image, SIDE) for image in rows["image"]]
    draws = Draws(9, rows["epoch"], rows["row"]).view("pair/1")
    assert torch.equal(second, augment_batch(images, draws, Augmentation.level("weak"), SIDE))


def test_a_corruption_changes_what_the_supervised_head_sees(faces):
    batch = collator(faces, Stripe())(rows_of(faces))
    assert batch["views"] == {"emotion": (0, 12), "cut": (0, 12)}
    for image, row in zip(batch["pixel_values"], batch["targets"]["cut"], strict=True):
        assert (image[:, row] == 255).all()


def test_a_head_of_its_own_is_described(faces):
    batch = collator(faces, HeadOnly())(rows_of(faces))
    assert torch.equal(batch["targets"]["gray_level"], batch["pixel_values"].float().mean((1, 2, 3)))
    assert HeadOnly().head()["kind"] == "mlp"


def test_the_order_is_rotate_puzzle_cut_whatever_the_recipe_says(faces):
    rows = rows_of(faces)
    one, other = (
        collator(faces, *pretexts)(rows)
        for pretexts in ((Stripe(), Puzzle(grid=2), Turn()), (Turn(), Puzzle(grid=2), Stripe()))
    )
    assert torch.equal(one["pixel_values"], other["pixel_values"])
    turned = collator(faces, Turn())(rows)["pixel_values"]
    expected = shuffle_tiles(turned, one["targets"]["puzzle"])  # turned first, puzzled next, striped last
    stripes = one["targets"]["cut"]
    expected[torch.arange(12), :, stripes] = 255
    assert torch.equal(one["pixel_values"], expected)


def test_the_cutout_of_the_augmentation_comes_after_the_puzzle(faces):
    rows = rows_of(faces)
    cut = {"augmentation": Augmentation.level("none", flip=0.0, cutout=0.25)}
    batch = collator(faces, Puzzle(grid=3), **cut)(rows)
    whole = collator(faces, Puzzle(grid=3))(rows)
    hole = (batch["pixel_values"] != whole["pixel_values"]).any(1)
    assert (batch["pixel_values"].permute(0, 2, 3, 1)[hole] == 0).all()
    for image in hole:  # one square that ignores the tiles
        where = image.nonzero()
        height, width = (where.max(0).values - where.min(0).values + 1).tolist()
        assert max(height, width) <= 12


def test_an_own_view_leaves_the_supervised_head_clean(faces):
    rows = rows_of(faces)
    batch = collator(faces, Puzzle(grid=3, view="own"))(rows)
    assert batch["views"] == {"emotion": (0, 12), "puzzle": (12, 24)}
    assert torch.equal(batch["pixel_values"][:12], clean(faces, rows))
    puzzled = shuffle_tiles(clean(faces, rows), batch["targets"]["puzzle"])
    assert torch.equal(batch["pixel_values"][12:], puzzled)


@pytest.mark.parametrize(
    "pretext",
    [Puzzle(grid=3, view="own"), Rotation(view="own"), Rotation(tiles=2, view="own"), InPainting(view="own")],
    ids=["puzzle", "rotation", "tiles", "inpainting"],
)
def test_an_own_view_holds_the_chosen_rows_alone(faces, pretext):
    keys = [(2, row) for row in range(12)]
    chosen = [key for key in keys if Draws(9, [key[0]], [key[1]]).uniform(f"{pretext.name}/share")[0] < 0.5]
    assert 0 < len(chosen) < 12
    part = collator(faces, replace(pretext, share=0.5), augmentation=Augmentation.level("weak"))(rows_of(faces, keys))
    alone = collator(faces, pretext, augmentation=Augmentation.level("weak"))(rows_of(faces, chosen))
    first, end = part["views"][pretext.name]
    assert (first, end) == (12, 12 + len(chosen)) and len(part["pixel_values"]) == end
    assert torch.equal(part["pixel_values"][first:], alone["pixel_values"][len(chosen) :])
    assert torch.equal(part["targets"][pretext.name], alone["targets"][pretext.name])


def test_weight_zero_corrupts_the_same_way_and_has_no_target(faces):
    rows = rows_of(faces)
    with_head, without = collator(faces, Puzzle(grid=3))(rows), collator(faces, Puzzle(grid=3, weight=0.0))(rows)
    assert torch.equal(with_head["pixel_values"], without["pixel_values"])
    assert list(without["targets"]) == ["emotion"] and list(without["views"]) == ["emotion"]


@pytest.mark.parametrize("persistent", [False, True])
def test_batches_are_the_same_with_no_and_two_workers(faces, persistent):
    reader, collate = (
        RowReader(faces["train"]),
        collator(faces, Puzzle(grid=3), augmentation=Augmentation.level("strong")),
    )

    def epochs(**options):
        sampler = EpochRowSampler(len(reader), 32, seed=0)
        loader = DataLoader(reader, batch_sampler=sampler, collate_fn=collate, **options)
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            yield from loader

    alone = list(epochs())
    helped = list(epochs(num_workers=2, persistent_workers=persistent))
    assert len(alone) == len(helped) == 6
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one["pixel_values"], other["pixel_values"])
        assert torch.equal(one["targets"]["puzzle"], other["targets"]["puzzle"])
    assert not torch.equal(alone[0]["pixel_values"], alone[3]["pixel_values"])


def broken(rows, places, content=b""):
    images = [{"bytes": content, "path": f"face_{place}.jpg"} if place in places else image
              for place, image in enumerate(rows["image"])]  # fmt: skip
    return {**rows, "image": images}


def damaged(faces, numbers):
    """The training rows, some of which have no image any more."""
    train = faces["train"]
    images = [{"bytes": b"", "path": f"face_{row}.jpg"} if row in numbers else image
              for row, image in enumerate(train["image"][:])]  # fmt: skip
    return train.remove_columns("image").add_column("image", images, feature=train.features["image"])


def test_a_broken_image_is_named_counted_and_replaced_by_a_row_of_the_epoch(faces, caplog):
    keys = [(2, row) for row in range(12)]
    reader = RowReader(damaged(faces, {3, 5}))
    batch = collator(faces, Puzzle(grid=3))(reader.__getitems__(keys))
    assert batch["broken_rows"].tolist() == [3, 5] and "face_3.jpg" in caplog.text
    assert len(batch["pixel_values"]) == len(batch["targets"]["puzzle"]) == 12
    whole = collator(faces, Puzzle(grid=3))(rows_of(faces))
    kept = [place for place in range(12) if place not in (3, 5)]
    assert torch.equal(batch["pixel_values"][kept], whole["pixel_values"][kept])
    for place in (3, 5):  # by the definition: (seed, epoch, row, attempt)
        other = int(Draws(9, [2], [place]).integers("broken/0", 96)[0])
        assert batch["rows"][place] == other and other not in (3, 5)
        assert batch["targets"]["emotion"][place] == faces["train"]["emotion"][other]
    assert batch["rows"][kept].tolist() == kept


def test_which_row_comes_does_not_depend_on_the_batch_that_it_comes_into(faces):
    reader, collate = RowReader(damaged(faces, {3, 5})), collator(faces, Puzzle(grid=3))
    keys = [(2, row) for row in range(12)]
    together = collate(reader.__getitems__(keys))
    for place, key in enumerate(keys):
        alone = collate(reader.__getitems__([key]))  # batch 1
        assert torch.equal(alone["pixel_values"][0], together["pixel_values"][place])
        assert torch.equal(alone["targets"]["emotion"][0], together["targets"]["emotion"][place])


def test_a_row_that_is_broken_too_is_replaced_in_its_turn(faces):
    keys = [(0, row) for row in range(8)]
    batch = collator(faces)(RowReader(damaged(faces, set(range(80)))).__getitems__(keys))
    assert len(batch["pixel_values"]) == 8 and set(batch["rows"].tolist()) <= set(range(80, 96))
    assert set(range(8)) < set(batch["broken_rows"].tolist()) <= set(range(80))
    assert batch["targets"]["emotion"].tolist() == [faces["train"]["emotion"][row] for row in batch["rows"].tolist()]


def test_a_row_that_stands_for_another_is_augmented_in_its_own_way(faces):
    level = {"augmentation": Augmentation.level("strong")}
    other = int(Draws(9, [0], [3]).integers("broken/0", 96)[0])
    batch = collator(faces, **level)(RowReader(damaged(faces, {3})).__getitems__([(0, 3), (0, other)]))
    assert batch["rows"].tolist() == [other, other] and not torch.equal(*batch["pixel_values"])


@pytest.mark.parametrize("policy", ["replace", "skip"])
def test_rows_of_an_unknown_dataset_are_replaced_by_others_of_their_batch(faces, policy):
    rows = broken(rows_of(faces), {3, 5})
    batch = collator(faces, on_broken_image=policy)(rows)
    assert len(batch["pixel_values"]) == 12 and batch["broken_rows"].tolist() == [3, 5]
    others = [place for place in range(12) if place not in (3, 5)]
    assert any(torch.equal(batch["pixel_values"][3], batch["pixel_values"][place]) for place in others)
    assert torch.equal(batch["pixel_values"], collator(faces)(rows)["pixel_values"])
    assert batch["targets"]["emotion"][3] == rows["emotion"][batch["rows"][3]]
    assert rows["row"] == list(range(12))  # what was given is left as it was


def test_a_broken_image_raises_when_asked_to_and_when_no_other_is_left(faces):
    with pytest.raises(BrokenImage, match=r"face_0.jpg.*--on_broken_image replace"):
        collator(faces, on_broken_image="raise")(broken(rows_of(faces), {0}))
    for rows in (
        broken(rows_of(faces), set(range(12))),
        RowReader(damaged(faces, set(range(96)))).__getitems__([(0, 0), (0, 1)]),
    ):
        with pytest.raises(BrokenImage, match="row 0 is broken, and so is every row that was drawn in its place"):
            collator(faces)(rows)
    with pytest.raises(ValueError, match="'replace', 'skip', 'raise'"):
        collator(faces, on_broken_image="ignore")


def test_evaluation_keeps_the_place_of_a_broken_image_without_its_label(faces):
    rows = broken(rows_of(faces), {1}, content=b"not an image")
    batch = EvaluationCollator([emotion(faces)], SIDE)(rows)
    assert len(batch["pixel_values"]) == 12 and batch["broken_rows"].tolist() == [1]
    assert batch["targets"]["emotion"][1] == MISSING and batch["targets"]["emotion"][0] == rows["emotion"][0]
    assert (batch["pixel_values"][1] == 0).all()


def test_evaluation_is_pils_antialiased_resize(faces):
    import io

    rows = rows_of(faces)
    batch = EvaluationCollator([emotion(faces)], 32)(rows)
    for pixels, image in zip(batch["pixel_values"], rows["image"], strict=True):
        expected = Image.open(io.BytesIO(image["bytes"])).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(expected))


def test_a_side_the_grid_does_not_divide_raises(faces):
    with pytest.raises(ValueError, match="--image_size"):
        TrainingCollator([emotion(faces)], 50, pretexts=[Puzzle(grid=3)])
