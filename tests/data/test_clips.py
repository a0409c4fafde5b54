"""Windows over clips, and their batches: every frame once, one augmentation a clip, padding that says nothing."""

import datasets
import numpy as np
import pytest
import torch

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.clip_collators import EvaluationClipCollator, FeatureClipCollator, TrainingClipCollator
from hf_hmtl.data.clips import Windows, clips_of, cut_windows
from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.drawn_faces.clips import synthetic_clips
from hf_hmtl.data.rows import RowReader
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.regression import Regression

SIDE = 32
AFFECT = Regression("affect", column=("valence", "arousal"), range=(-1, 1))


@pytest.fixture(scope="module")
def frames():
    """Eight clips of ten frames."""
    return synthetic_clips(train=8, validation=0, test=0, frames=10, size=SIDE)["train"]


@pytest.fixture(scope="module")
def still(frames):
    """The same clips, whose frames all show the first one."""
    first = [frames["image"][row // 10 * 10] for row in range(len(frames))]
    return frames.remove_columns("image").add_column("image", first, feature=frames.features["image"])


def batch_of(windows, collator, keys):
    return collator(RowReader(windows).__getitems__(keys))


def test_frames_are_ordered_by_their_numbers_whatever_the_order_of_the_rows(frames):
    order = np.random.default_rng(0).permutation(len(frames))
    shuffled = frames.select(order)
    for clip in clips_of(shuffled):
        rows = shuffled.select(clip)
        assert rows["_frame"] == list(range(10)) and len(set(rows["_clip"])) == 1


def test_rows_that_are_no_frames_are_refused(frames):
    with pytest.raises(ValueError, match="single images. Take a source of clips"):
        clips_of(frames.remove_columns(["_clip", "_frame"]))
    with pytest.raises(ValueError, match="frame 3 of the clip 'train/0' is there twice"):
        clips_of(frames.select([0, 1, 2, 3, 3, 4]))


@pytest.mark.parametrize(
    ("count", "length", "stride", "expected"),
    [
        (20, 8, None, [(0, 8), (8, 16), (16, 20)]),
        (16, 8, None, [(0, 8), (8, 16)]),
        (3, 8, None, [(0, 3)]),
        (9, 8, 4, [(0, 8), (4, 9)]),
        (20, 8, 8, [(0, 8), (8, 16), (16, 20)]),
        (20, 8, 5, [(0, 8), (5, 13), (10, 18), (15, 20)]),
        (20, None, None, [(0, 20)]),
    ],
)
def test_windows_begin_at_every_stride_and_cover_the_clip(count, length, stride, expected):
    found = cut_windows([np.arange(count)], length, stride)
    assert [(int(rows[0]), int(rows[-1]) + 1) for rows in found] == expected
    assert set(np.concatenate(found)) == set(range(count))


def test_answers_to_windows_come_back_in_the_order_of_the_rows(frames):
    windows = Windows(frames.shuffle(seed=1), 4)
    assert len(windows) == 8 * 3
    answers = np.full((len(windows), 4), -9)
    for number, rows in enumerate(windows.windows):
        answers[number, : len(rows)] = rows
    assert windows.by_frame(answers).tolist() == list(range(len(frames)))
    with pytest.raises(ValueError, match="overlap"):
        Windows(frames, 4, 2).by_frame(answers)


def test_windows_begin_elsewhere_in_every_epoch_all_of_a_clip_alike(frames):
    """Ten frames by windows of 4: they begin at 0, 4 and 8, up to 2 earlier or 1 later, but at 6 at the latest."""
    windows, reader = Windows(frames, 4, offset_seed=3), RowReader(Windows(frames, 4, offset_seed=3))
    offsets = set()
    for epoch in range(12):
        begins = []
        for key in [(epoch, number, 0.0) for number in range(len(windows))]:
            (rows,) = reader[key]["frame_rows"]
            assert rows == list(range(rows[0], rows[0] + 4)) and rows[0] // 10 == rows[-1] // 10  # whole, of one clip
            assert reader[key]["frame_rows"] == [windows.of_epoch(epoch, key[1])["frame_rows"]]  # a function of its key
            begins.append(rows[0])
        firsts = np.array(begins).reshape(8, 3) - 10 * np.arange(8)[:, None]
        drawn = firsts[:, 1] - 4
        assert (firsts == np.clip([0, 4, 8] + drawn[:, None], 0, 6)).all()
        offsets.add(tuple(drawn))
    assert len(offsets) == 12 and {each for offset in offsets for each in offset} == {-2, -1, 0, 1}
    assert windows.windows[1].tolist() == [4, 5, 6, 7]  # what is asked for without an epoch has none
    assert Windows(frames, 16, offset_seed=3).of_epoch(5, 2)["frame_rows"] == list(range(20, 30))  # a short clip: whole
    with pytest.raises(ValueError, match="no offset to draw"):
        Windows(frames, None, offset_seed=3)


def test_augmentation_is_drawn_once_a_clip_and_anew_in_every_epoch(still):
    collator = TrainingClipCollator([AFFECT], SIDE, augmentation=Augmentation.level("strong", blur=(1,), noise=0.0))
    windows = Windows(still, None)
    first, again = (batch_of(windows, collator, [(epoch, 2, 0.0), (epoch, 5, 0.0)]) for epoch in (0, 1))
    for clip in first["pixel_values"]:
        assert (clip == clip[0]).all()
    assert not torch.equal(first["pixel_values"], again["pixel_values"])
    same = batch_of(windows, collator, [(0, 5, 0.0)])
    assert torch.equal(same["pixel_values"][0], first["pixel_values"][1])


def test_a_mirrored_clip_is_mirrored_as_a_whole_and_so_are_its_labels(frames):
    from hf_hmtl.tasks.head_pose import HeadPose

    pose = HeadPose("pose", column=("yaw", "pitch", "roll"))
    collator = TrainingClipCollator([pose], SIDE, augmentation=Augmentation.level("none", flip=0.5))
    plain = EvaluationClipCollator([pose], SIDE)
    signs = set()
    for number in range(8):
        turned, upright = (batch_of(Windows(frames, None), each, [(0, number, 0.0)]) for each in (collator, plain))
        sign = torch.sign(turned["targets"]["pose"][:, 0] * upright["targets"]["pose"][:, 0])
        assert len(set(sign.tolist())) == 1
        signs |= set(sign.tolist())
    assert signs == {-1.0, 1.0}


def test_clean_clips_are_the_clean_frames_with_padding_behind(frames):
    windows = Windows(frames, 8)
    batch = batch_of(windows, EvaluationClipCollator([AFFECT], SIDE), [0, 1])
    assert batch["pixel_values"].shape == (2, 8, 3, SIDE, SIDE)
    assert batch["attention_mask"].sum(1).tolist() == [8, 2]
    clean = EvaluationCollator([AFFECT], SIDE)(RowReader(frames).__getitems__(range(10)))
    assert torch.equal(batch["pixel_values"][batch["attention_mask"]], clean["pixel_values"])
    assert not batch["pixel_values"][1, 2:].any()
    targets = batch["targets"]["affect"]
    assert targets.shape == (16, 2) and targets[10:].isnan().all()
    assert torch.equal(targets[:10], clean["targets"]["affect"])
    assert batch["rows"].tolist() == [0, 8]


def test_a_clip_with_one_answer_has_the_label_of_its_last_frame(frames):
    emotion = Classification("emotion", labels=tuple(frames.features["emotion"].names))
    labels = [-1 if number % 10 < 9 else label for number, label in enumerate(frames["emotion"])]
    last = frames.remove_columns("emotion").add_column("emotion", labels, feature=frames.features["emotion"])
    windows = Windows(last, None)
    batch = batch_of(windows, EvaluationClipCollator([emotion], SIDE, whole=True), [3, 0])
    assert batch["targets"]["emotion"].tolist() == [frames["emotion"][39], frames["emotion"][9]]
    assert windows.last_rows.tolist() == [9, 19, 29, 39, 49, 59, 69, 79]


def test_a_broken_frame_keeps_its_place_black_and_without_a_label(frames):
    images = frames["image"][:10]
    images[4] = {"bytes": b"no image", "path": None}
    rows = frames.select(range(10)).remove_columns("image")
    rows = rows.add_column("image", images, feature=datasets.Image(decode=False))
    for collator in (TrainingClipCollator([AFFECT], SIDE), EvaluationClipCollator([AFFECT], SIDE)):
        batch = batch_of(Windows(rows, None), collator, [(0, 0, 0.0)])
        assert batch["broken_rows"].tolist() == [4]
        assert batch["attention_mask"].all() and not batch["pixel_values"][0, 4].any()
        assert batch["targets"]["affect"].isnan().any(1).nonzero().flatten().tolist() == [4]


def test_features_stand_in_the_place_of_frames(frames):
    features = np.arange(80, dtype=np.float32)[:, None] * np.ones(3, dtype=np.float32)
    features[7] = np.nan  # a broken frame
    batch = batch_of(Windows(frames, 8, features=features), FeatureClipCollator([AFFECT], SIDE), [0, 1])
    assert batch["features"][..., 0].tolist() == [[0, 1, 2, 3, 4, 5, 6, 0], [8, 9, 0, 0, 0, 0, 0, 0]]
    assert batch["targets"]["affect"].isnan().any(1).nonzero().flatten().tolist() == [7, *range(10, 16)]
    assert batch["broken_rows"].tolist() == [7] and "pixel_values" not in batch
