"""Faces cut out of pictures, against Pillow and HopeNet's rule worked by hand."""

import io

import datasets
import numpy as np
import pytest
import torch
from data_trees import encoded, picture
from PIL import Image

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import EvaluationCollator, TrainingCollator
from hf_hmtl.data.crops import boxes, cut, widened
from hf_hmtl.data.decode import BrokenImage
from hf_hmtl.data.rows import RowReader
from hf_hmtl.draws import Draws
from hf_hmtl.model.image_processing_hmtl import to_pixels
from hf_hmtl.tasks.head_pose import HeadPose

TRAINING, EVALUATION = (0.6, 2.0, 0.6, 0.6, 0.2, 0.4), (2.0, 2.0, 2.0, 0.6, 0.2, 0.2)
BOX = (20.0, 30.0, 40.0, 50.0)


def test_right_and_bottom_margins_go_by_the_sides_that_are_wider_already():
    # 20 - 0.12 * 20, 30 - 0.4 * 20, 40 + 0.12 * 22.4, 50 + 0.12 * 28: 17.6, 22, 42.688, 53.36
    assert widened(BOX, TRAINING, 0.2) == (17, 22, 42, 53)
    # 20 - 0.4 * 20, 30 - 0.4 * 20, 40 + 0.4 * 28, 50 + 0.12 * 28: 12, 22, 51.2, 53.36
    assert widened(BOX, EVALUATION, 0.2) == (12, 22, 51, 53)


def test_numbers_are_cut_off_towards_zero():
    assert widened((-1.7, -1.0, 10.9, 9.5), (0, 0, 0, 0), 0.2) == (-1, -1, 10, 9)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_cut_is_that_of_pillow_black_outside(mode):
    image = picture(3, side=12).convert(mode)
    generator = np.random.default_rng(0)
    for _ in range(200):
        left, top = generator.integers(-15, 14, 2)
        box = (left, top, left + generator.integers(1, 30), top + generator.integers(1, 30))
        assert np.array_equal(cut(np.asarray(image), box), np.asarray(image.crop(box))), box


@pytest.mark.parametrize("box", [(4, 4, 4, 9), (4, 9, 9, 4), (0, 0, 10**6, 10**6)])
def test_a_box_without_area_or_beyond_any_image_is_refused(box):
    with pytest.raises(ValueError, match="has no area|is larger than"):
        cut(np.zeros((8, 8), dtype=np.uint8), box)


def test_k_is_drawn_for_each_row_and_epoch_and_is_the_middle_without_draws():
    rows = {"_box": [BOX] * 400, "_margins": [TRAINING] * 400}
    drawn = boxes(rows, Draws(0, [1] * 400, range(400)))
    assert drawn == boxes(rows, Draws(0, [1] * 400, range(400)))
    assert drawn != boxes(rows, Draws(0, [2] * 400, range(400)))
    tops = {box[1] for box in drawn}  # 30 - 2 k * 20
    assert tops == set(range(14, 23)) - {22} or tops == set(range(14, 23))
    assert boxes(rows) == [widened(BOX, TRAINING, 0.2 + 0.5 * (0.4 - 0.2))] * 400
    assert boxes({"image": [1, 2]}) == [None, None]
    assert boxes({"_box": [None, BOX]}) == [None, (20, 30, 40, 50)]


def faces(margins, side=64):
    """Four pictures, the last without a box."""
    return datasets.Dataset.from_dict(
        {
            "image": [{"bytes": encoded(number, "PNG", side), "path": None} for number in range(4)],
            "_box": [BOX, (-10.0, 3.0, 30.0, 33.0), BOX, None],
            "_margins": [margins] * 4,
            **dict.fromkeys(("yaw", "pitch", "roll"), [1.0, 2.0, 3.0, 4.0]),
        },
        features=datasets.Features(
            {
                "image": datasets.Image(decode=False),
                "_box": datasets.Sequence(datasets.Value("float64")),
                "_margins": datasets.Sequence(datasets.Value("float64")),
                **dict.fromkeys(("yaw", "pitch", "roll"), datasets.Value("float32")),
            }
        ),
    )


def test_evaluation_sees_the_face_and_rows_without_a_box_whole():
    data = faces(EVALUATION)
    batch = EvaluationCollator([HeadPose()], image_size=16)(RowReader(data).__getitems__([0, 1, 2, 3]))
    for row, pixels in enumerate(batch["pixel_values"]):
        image = Image.open(io.BytesIO(data[row]["image"]["bytes"]))
        box = data[row]["_box"]
        expected = to_pixels(image if box is None else image.crop(widened(box, EVALUATION, 0.2)), 16)
        assert np.array_equal(pixels.permute(1, 2, 0).numpy(), expected)


def test_training_sees_the_face_in_pixels_of_the_whole_image():
    """A JPEG so large that it would otherwise be decoded at a quarter of its size."""
    image = Image.fromarray(np.zeros((512, 512, 3), dtype=np.uint8))
    image.paste((255, 255, 255), (100, 200, 300, 400))
    file = io.BytesIO()
    image.save(file, "JPEG")
    rows = {"image": [file.getvalue()], "_box": [(104.0, 204.0, 296.0, 396.0)], "_margins": [None]}
    rows |= {"row": [0], "epoch": [0], "yaw": [0.0], "pitch": [0.0], "roll": [0.0]}
    pixels = TrainingCollator([HeadPose()], image_size=32)(rows)["pixel_values"]
    assert pixels.float().mean() > 250


def test_training_draws_the_margin_anew_in_every_epoch():
    collator = TrainingCollator([HeadPose()], image_size=16, augmentation=Augmentation.level("none", flip=0.0))
    face = {"image": encoded(5, "PNG", 64), "_box": BOX, "_margins": TRAINING, "yaw": 0.0, "pitch": 0.0, "roll": 0.0}

    def shown(*epochs):
        rows = {name: [value] * len(epochs) for name, value in face.items()}
        return collator({**rows, "row": [7] * len(epochs), "epoch": list(epochs)})["pixel_values"]

    pixels = shown(*range(8))
    assert len(pixels.flatten(1).unique(dim=0)) > 4
    assert torch.equal(shown(3), pixels[3:4]), "and the same again in the same epoch"


def test_a_face_without_area_is_a_broken_image():
    rows = {"image": [encoded()] * 2, "_box": [BOX, (5.0, 5.0, 5.0, 5.0)], "row": [0, 1], "epoch": [0, 0]}
    rows |= dict.fromkeys(("yaw", "pitch", "roll"), [0.0, 0.0])
    assert TrainingCollator([HeadPose()], image_size=16)(rows)["broken_rows"].tolist() == [1]
    with pytest.raises(BrokenImage, match="row 1: the face's box .* has no area"):
        EvaluationCollator([HeadPose()], image_size=16, on_broken_image="raise")(rows)
