"""Promises of the drawn clips: determinism, labels that follow the frames, and what no single frame can tell."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from hf_hmtl.data.drawn_faces.clips import FASTEST, clip_parameters, courses, synthetic_clips
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.data.drawn_faces.face_parameters import EMOTIONS
from hf_hmtl.metrics.regression import scores

FRAMES = 64


@pytest.fixture(scope="module")
def clips():
    return synthetic_clips(train=8, validation=0, test=8, frames=12, size=32)


@pytest.fixture(scope="module")
def faces():
    """{split: parameters of 64 clips}, which are what drawing makes pixels of."""
    return {split: clip_parameters(0, split, np.arange(64), FRAMES) for split in ("train", "test")}


def test_a_clip_is_the_same_whichever_others_are_drawn(clips):
    again = synthetic_clips(train=16, validation=0, test=0, frames=12, size=32)["train"]
    assert again["image"][: 8 * 12] == clips["train"]["image"][:]
    assert again["arousal"][: 8 * 12] == clips["train"]["arousal"][:]
    other = synthetic_clips(train=8, validation=0, test=0, frames=12, size=32, seed=1)["train"]
    assert other["image"][0] != clips["train"]["image"][0]


def test_rows_are_frames_that_know_their_clip_and_subject(clips):
    rows = clips["test"]
    assert rows["_clip"] == [f"test/{clip}" for clip in range(8) for _ in range(12)]
    assert rows["_frame"] == list(range(12)) * 8
    assert len(set(rows["_id"])) == len(rows)
    assert len(set(rows["_group"])) == 2 and not set(rows["_group"]) & set(clips["train"]["_group"])
    assert sorted(set(rows["emotion"])) == list(range(len(EMOTIONS)))


def test_the_subjects_are_those_of_the_drawn_faces_of_the_same_split(clips):
    faces = synthetic_faces(train=8, validation=0, test=8, size=32)
    assert list(dict.fromkeys(faces["test"]["_group"])) == list(dict.fromkeys(clips["test"]["_group"]))
    assert faces["test"]["gender"] == clips["test"]["gender"][::12]


def test_arousal_is_the_change_of_what_is_shown_from_frame_to_frame():
    shown, speed = courses(3, "train", np.arange(32), 200)
    differences = (shown[:, 2:] - shown[:, :-2]) / 2
    assert np.abs(differences / (np.pi / 2 / FASTEST) - speed[:, 1:-1]).max() < 0.25  # where a part begins or ends
    assert np.abs(differences / (np.pi / 2 / FASTEST) - speed[:, 1:-1]).mean() < 0.02
    assert shown.min() == 0 and shown.max() == 1
    assert abs((speed > 0).mean() - (speed < 0).mean()) < 0.03  # as often up as down


def test_valence_follows_the_expression_and_a_neutral_face_has_none(faces):
    train = faces["train"]
    happy = train[train.emotion == EMOTIONS.index("happy")]
    assert scores(happy.valence / happy.valence.max(), happy.intensity / happy.intensity.max())["ccc"] > 0.95
    neutral = train[train.emotion == EMOTIONS.index("neutral")]
    assert not neutral.arousal.any() and np.abs(neutral.valence).max() < 0.07


def test_head_and_light_drift_slowly(faces):
    for name in ("yaw", "roll", "light_azimuth"):
        course = faces["train"][name].reshape(-1, FRAMES)
        assert np.ptp(course, axis=1).min() > 0.2
        assert np.abs(np.diff(course, axis=1)).max() < 0.5 * np.ptp(course, axis=1).max()


def test_no_single_frame_tells_arousal_and_its_neighbours_do(faces):
    """From the very numbers that frames are drawn from: the best a network of single frames could hope for."""
    units = [name for name in faces["train"].dtype.names if name.startswith(("au", "lift"))]
    frame = {split: np.stack([each[name] for name in units], axis=1) for split, each in faces.items()}
    moved = {
        split: np.hstack([part, np.gradient(part.reshape(-1, FRAMES, len(units)), axis=1).reshape(part.shape)])
        for split, part in frame.items()
    }

    def concordance(inputs, label):
        whose = np.stack([faces["test"].emotion], axis=1)
        train = np.hstack([inputs["train"], 9.0 * faces["train"].emotion[:, None]])  # the emotion is given away, too
        found = KNeighborsRegressor(15).fit(train, faces["train"][label])
        return scores(found.predict(np.hstack([inputs["test"], 9.0 * whose])), faces["test"][label])["ccc"]

    assert concordance(frame, "valence") > 0.8
    assert abs(concordance(frame, "arousal")) < 0.1
    total = {split: part[:, : len(units)].sum(1) for split, part in frame.items()}
    slopes = {split: np.gradient(part.reshape(-1, FRAMES), axis=1).reshape(-1, 1) for split, part in total.items()}
    straight = LinearRegression().fit(slopes["train"], faces["train"].arousal)
    assert scores(straight.predict(slopes["test"]), faces["test"].arousal)["ccc"] > 0.6
    assert concordance({split: 9 * part[:, len(units) :] for split, part in moved.items()}, "arousal") > 0.6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 4}, "at least 8 clips"),
        ({"validation": 3}, "or 0 for no such split"),
        ({"frames": 2}, "8 to 1000 frames"),
        ({"size": 16}, "32 to 512"),
        ({"difficulty": 9.0}, "0 \\(clean portraits\\) to 3"),
        ({"num_proc": 0}, "from 1 up"),
    ],
)
def test_options_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        synthetic_clips(**{"train": 8, "validation": 0, "test": 0} | options)
