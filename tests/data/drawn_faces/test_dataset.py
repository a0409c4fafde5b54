"""Promises of the drawn faces: determinism, independence of the nuisances, labels that show, hardness, speed."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_hmtl.data.drawn_faces.dataset import (
    AGE_GROUPS,
    APPEARANCE_GROUPS,
    EMOTIONS,
    GENDERS,
    draw,
    synthetic_faces,
)
from hf_hmtl.data.drawn_faces.drawing import draw_faces
from hf_hmtl.data.drawn_faces.face_parameters import AFFECTNET_COUNTS, PHOTOS_PER_SUBJECT, face_parameters, nuisances


def pixels(dataset) -> np.ndarray:
    """(rows, side, side, 3) uint8, decoded by PIL, which the drawing code never uses."""
    return np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in dataset["image"]])


def file_bytes(dataset) -> list[bytes]:
    return [image["bytes"] for image in dataset["image"]]


@pytest.fixture(scope="module")
def default_faces():
    """The size of the default data set, drawn smaller; its bytes are decoded once."""
    return synthetic_faces(train=4000, validation=800, test=0, size=64)


@pytest.fixture
def plain():
    """One frontal face without texture, clutter or noise, so that only what a test changes moves pixels."""
    face = face_parameters(0, "train", [3], difficulty=0.0).copy()
    for name in ("hair_contrast", "blemish", "wall_clutter", "wall_grain", "noise", "parting", "yaw", "pitch", "roll"):
        face[name] = 0.0
    return face


def test_contract_of_a_split():
    splits = synthetic_faces(train=16, validation=8, test=8, size=48)
    assert list(splits) == ["train", "validation", "test"]
    assert [len(split) for split in splits.values()] == [16, 8, 8]
    features = splits["train"].features
    assert features["image"].decode is False
    for column, names in {
        "emotion": EMOTIONS,
        "gender": GENDERS,
        "age_group": AGE_GROUPS,
        "appearance_group": APPEARANCE_GROUPS,
    }.items():
        assert tuple(features[column].names) == names
    assert EMOTIONS == ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
    image = Image.open(io.BytesIO(splits["test"][0]["image"]["bytes"]))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (48, 48))


def test_same_seed_same_bytes_and_other_seed_other_faces():
    first, again, other = (synthetic_faces(train=16, validation=0, test=0, size=32, seed=seed) for seed in (1, 1, 2))
    assert first["train"].to_dict() == again["train"].to_dict()
    assert not set(file_bytes(first["train"])) & set(file_bytes(other["train"]))


def test_a_face_does_not_depend_on_how_many_are_drawn():
    few, many = (synthetic_faces(train=count, validation=0, test=0, size=32)["train"] for count in (24, 130))
    assert many.select(range(24)).to_dict() == few.to_dict()
    alone = draw(face_parameters(0, "train", [100])[0], 32)
    written, encoded = cv2.imencode(".jpg", alone[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert written and encoded.tobytes() == many[100]["image"]["bytes"]


def test_action_units_stand_beside_the_same_pictures_when_asked_for_and_alone_then():
    plain, asked = (
        synthetic_faces(train=64, validation=0, test=0, size=48, action_units=units)["train"] for units in (False, True)
    )
    assert file_bytes(plain) == file_bytes(asked) and plain["valence"] == asked["valence"]
    units = [name for name in asked.column_names if name not in plain.column_names]
    assert units == [f"au{unit}" for unit in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 23, 25, 26, 43)]
    faces = face_parameters(0, "train", np.arange(64))
    assert asked["au26"][:] == pytest.approx(faces.au26.tolist())
    assert asked["au12"][:] == pytest.approx(np.maximum(faces.au12_left, faces.au12_right).clip(0).tolist())
    # Ekman and Friesen: cheeks and lip corners rise in joy, inner brows in sadness, the jaw drops in surprise.
    shown = {name: np.array(asked[name][:]) for name in ("au6", "au12", "au1", "au26")}
    emotion = np.array(EMOTIONS)[asked["emotion"][:]]
    for name, of in (("au6", "happy"), ("au12", "happy"), ("au1", "sad"), ("au26", "surprise")):
        assert shown[name][emotion == of].mean() > shown[name][emotion == "neutral"].mean() + 0.1, name


def test_processes_draw_the_same_faces():
    alone, shared = (synthetic_faces(80, 0, 0, size=32, num_proc=processes)["train"] for processes in (None, 2))
    assert alone.to_dict() == shared.to_dict()


def test_balanced_classes_and_disjoint_subjects():
    splits = synthetic_faces(train=160, validation=40, test=40, size=32)
    for split in splits.values():
        assert np.bincount(split["emotion"], minlength=8).tolist() == [len(split) // 8] * 8
    people = [set(split["_group"]) for split in splits.values()]
    assert [len(subjects) for subjects in people] == [160 // PHOTOS_PER_SUBJECT, 10, 10]
    assert len(set.union(*people)) == sum(map(len, people))
    table = splits["train"].to_pandas().groupby("_group")
    assert (table[["gender", "age_group", "appearance_group"]].nunique() == 1).all().all()
    assert (table["yaw"].nunique() == PHOTOS_PER_SUBJECT).all()


def test_imbalanced_train_split_follows_affectnet():
    rows = np.arange(4000)
    counts = np.bincount(face_parameters(5, "train", rows, imbalanced=True).emotion, minlength=8)
    expected = 4000 * np.array(AFFECTNET_COUNTS) / sum(AFFECTNET_COUNTS)
    assert np.abs(counts - expected).max() <= 3.0
    splits = synthetic_faces(train=80, validation=16, test=0, size=32, imbalanced=True)
    assert np.bincount(splits["train"]["emotion"], minlength=8)[1] > 30
    assert np.bincount(splits["validation"]["emotion"], minlength=8).tolist() == [2] * 8


def test_emotion_cannot_be_told_from_the_nuisances():
    rows = np.arange(2000)
    faces = face_parameters(0, "train", rows)
    emotion = faces.emotion
    units = [name for name in faces.dtype.names if name.startswith("au")]
    about_emotion = {"emotion", "valence", "arousal", "intensity", "lift_left", "lift_right", *units}
    values = [faces[name] for name in faces.dtype.names if name not in about_emotion]
    before = nuisances(0, "train", rows, 1.0)  # action units and brows as they are before the emotion moves them
    values += [before[name] for name in ("lift_left", "lift_right", *units)]
    table = np.stack(values, axis=1).astype(float)
    most = 1 / 8 + 3 * np.sqrt(1 / 8 * 7 / 8 / len(rows))
    logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    forest = RandomForestClassifier(n_estimators=60, min_samples_leaf=4, random_state=0)
    for classifier in (logistic, forest):
        assert cross_val_score(classifier, table, emotion, cv=3).mean() < most
    # The comparison can fail: the same classifier finds the emotion in the action units.
    told = np.column_stack([table, *(faces[name] for name in units)])
    assert cross_val_score(forest, told, emotion, cv=3).mean() > 0.6


def shrink(images: np.ndarray, side: int, gray: bool) -> np.ndarray:
    small = [
        np.asarray(Image.fromarray(image).convert("L" if gray else "RGB").resize((side, side))) for image in images
    ]
    return np.stack(small).reshape(len(images), -1).astype(np.float32) / 255


def test_a_linear_probe_on_pixels_stays_near_chance(default_faces):
    train, validation = default_faces["train"], default_faces["validation"]
    for side, gray in ((48, True), (32, False)):
        seen, unseen = shrink(pixels(train), side, gray), shrink(pixels(validation), side, gray)
        mean = seen.mean(axis=0)
        for strength in (30.0, 300.0):
            probe = RidgeClassifier(alpha=strength).fit(seen - mean, train["emotion"])
            assert probe.score(unseen - mean, validation["emotion"]) < 0.25


def test_the_same_probe_reads_clean_portraits():
    splits = synthetic_faces(train=1200, validation=200, test=0, size=48, difficulty=0.0)
    seen, unseen = (shrink(pixels(split), 48, gray=True) for split in splits.values())
    probe = RidgeClassifier(alpha=30.0).fit(seen - seen.mean(axis=0), splits["train"]["emotion"])
    assert probe.score(unseen - seen.mean(axis=0), splits["validation"]["emotion"]) > 0.5


def test_valence_and_arousal_follow_the_emotion():
    faces = face_parameters(0, "train", np.arange(1600))
    feelings = {name: faces[faces.emotion == index] for index, name in enumerate(EMOTIONS)}
    valence = {name: group.valence.mean() for name, group in feelings.items()}
    arousal = {name: group.arousal.mean() for name, group in feelings.items()}
    for values in (faces.valence, faces.arousal):
        assert np.abs(values).max() <= 1.0
    assert np.abs(feelings["neutral"].valence).max() < 0.1 and np.abs(feelings["neutral"].arousal).max() < 0.1
    assert valence["happy"] > 0.5 > valence["surprise"] > valence["contempt"] > valence["sad"]
    assert arousal["surprise"] > arousal["happy"] > arousal["neutral"] > arousal["sad"]
    emotional = faces[faces.emotion > 0]
    strong = emotional.intensity > np.median(emotional.intensity)
    strength = np.hypot(emotional.valence, emotional.arousal)
    assert strength[strong].mean() > strength[~strong].mean() + 0.02


def test_contempt_is_one_sided_and_a_smile_is_not():
    faces = face_parameters(0, "train", np.arange(1600))
    uneven = np.abs(faces.au14_left - faces.au14_right)
    assert uneven[faces.emotion == EMOTIONS.index("contempt")].min() > 0.3
    assert uneven[faces.emotion == EMOTIONS.index("happy")].max() < 0.1


def lenses(face) -> np.ndarray:
    """(pixels, 2) x and y of the dark lenses of a face that wears sunglasses over light skin."""
    face = face.copy()
    face["glasses"] = face["dark_glasses"] = 1.0
    face["skin_tone"], face["hair_colour"], face["grey"], face["beard"] = 0.0, 4, 1.0, 0.0
    face["wall_bright"] = face["cloth_bright"] = face["wall_pale"] = face["cloth_pale"] = 1.0
    y, x = np.nonzero(draw(face[0], 128).max(axis=-1) < 60)
    keep = (np.abs(y - 64) < 40) & (np.abs(x - 64) < 50)
    return np.stack([x[keep], y[keep]], axis=-1)


@pytest.mark.parametrize(("angle", "axis", "sign"), [("yaw", 0, -1), ("pitch", 1, -1)])
def test_yaw_turns_left_in_the_image_and_pitch_lifts(plain, angle, axis, sign):
    moved = []
    for degrees in (-20.0, 0.0, 20.0):
        plain[angle] = degrees
        moved.append(lenses(plain).mean(axis=0)[axis])
    assert sign * (moved[1] - moved[0]) > 3 and sign * (moved[2] - moved[1]) > 3


def test_roll_turns_clockwise(plain):
    for degrees in (-15.0, 15.0):
        plain["roll"] = degrees
        x, y = lenses(plain).T
        slope = np.degrees(np.arctan(np.polyfit(x, y, 1)[0]))
        assert slope == pytest.approx(degrees, abs=3.0)  # y points down: a positive slope is clockwise


def test_a_mirrored_face_is_the_face_with_yaw_and_roll_negated(plain):
    plain["yaw"], plain["pitch"], plain["roll"], plain["light_azimuth"], plain["gaze_x"] = 18.0, 6.0, 9.0, 25.0, 0.5
    plain["au12_left"], plain["au12_right"], plain["shift_x"] = 0.9, 0.1, 0.04
    other = plain.copy()
    for name in ("yaw", "roll", "light_azimuth", "gaze_x", "shift_x"):
        other[name] = -plain[name]
    for name in ("au12", "au14", "lift"):
        other[f"{name}_left"], other[f"{name}_right"] = plain[f"{name}_right"], plain[f"{name}_left"]
    image, mirrored = (draw(face[0], 96).astype(float) for face in (plain, other))
    assert np.abs(image - mirrored[:, ::-1]).mean() < 1.0
    assert np.abs(image - mirrored).mean() > 5.0


def test_expressions_move_only_the_face(plain):
    neutral = plain.copy()
    for name in plain.dtype.names:
        if name.startswith("au"):
            neutral[name] = 0.0
    for units, top, bottom in (({"au26": 1.0, "au25": 1.0}, 60, 92), ({"au1": 1.0, "au2": 1.0}, 24, 50)):
        face = neutral.copy()
        for name, strength in units.items():
            face[name] = strength
        change = np.abs(draw(face[0], 96).astype(int) - draw(neutral[0], 96)).sum(axis=-1)
        assert change.max() > 60
        assert change[top:bottom].sum() > 0.8 * change.sum()


def test_difficulty_drowns_the_expression():
    """Measure: energy that the expression adds to the same photograph of a calm face / variance between faces."""
    rows = np.arange(96)
    shares = []
    for difficulty in (0.0, 0.5, 1.0, 2.0, 3.0):
        faces = face_parameters(0, "train", rows, difficulty)
        calm = faces.copy()
        for name, values in nuisances(0, "train", rows, difficulty).items():
            calm[name] = values
        shown, idle = (draw_faces(group, 48).astype(float) for group in (faces, calm))
        shares.append(np.square(shown - idle).mean() / shown.var(axis=0).mean())
    assert shares == sorted(shares, reverse=True) and shares[0] > 1.5 * shares[-1], shares
