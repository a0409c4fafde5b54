"""300W-LP and AFLW2000-3D on miniature releases; their angles against rotations made by hand."""

import os
from pathlib import Path

import datasets
import numpy as np
import pytest
import scipy.io
from data_trees import write_images
from releases import AFLW_FACES, LP_FACES, aflw_mat, lp_mat, mat_of, pose_of, write_aflw, write_lp
from scipy.spatial.transform import Rotation

from hf_hmtl.data import sources
from hf_hmtl.data.sources import _pose_mat, aflw2000, the300w_lp
from hf_hmtl.tasks.head_pose import HeadPose

pytestmark = pytest.mark.filterwarnings("ignore:.* rows differ from the published counts")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return write_aflw(write_lp(tmp_path / "data"))


def poses(data):
    """{name without folder and suffix: (pitch, yaw, roll)} to a thousandth of a degree."""
    return {Path(row["_file"]).stem: tuple(round(row[angle], 3) for angle in ("pitch", "yaw", "roll")) for row in data}


def named(faces, *without):
    return {name.split("/")[-1]: pose for name, pose in faces.items() if not name.endswith(without)}


def files_below(folder):
    return sum(len(files) for _, _, files in os.walk(folder))


def test_training_faces_without_mirrored_copies_and_those_beyond_99_degrees(folder):
    source = sources.load("the300w_lp", folder, validation_fraction=0)
    assert poses(source.splits["train"]) == named(LP_FACES, "_1_9")
    assert poses(source.splits["validation"]) == named(AFLW_FACES, "image00006")
    assert source.report_split == "validation"
    assert "validation is AFLW2000-3D: it selects the best epoch and is reported, as publications do" in source.notes


def test_every_file_is_used_or_in_the_ledger(folder):
    source = sources.load("the300w_lp", folder, validation_fraction=0)
    left_out = source.ledger.to_dict()
    counts = {split: {name: entry["count"] for name, entry in found.items()} for split, found in left_out.items()}
    assert counts == {
        "folder": {"mirrored": 16, "code": 5, "landmark_files": 8},
        "train": {"beyond_99_degrees": 1},
        "validation": {"beyond_99_degrees": 1},
    }
    # A face is two files, and the ledger counts those beyond 99 degrees once.
    faces = sum(map(len, source.splits.values())) + 2
    assert files_below(folder) == 2 * faces + source.ledger.count("folder")


def test_mirrored_copies_are_read_when_asked_for(folder):
    source = sources.load("the300w_lp", folder, with_mirrored=True, validation_fraction=0)
    train = source.splits["train"]
    assert len(train) == 14 and "mirrored" not in source.ledger.to_dict()["folder"]
    by_file = {row["_file"]: (row["yaw"], row["pitch"], row["roll"]) for row in train}
    plain = by_file["300W_LP/AFW/AFW_134212_2_0.jpg"]
    mirrored = by_file["300W_LP/AFW_Flip/AFW_134212_2_0.jpg"]
    assert mirrored == (-plain[0], plain[1], -plain[2])
    groups = {row["_file"]: row["_group"] for row in train}
    assert groups["300W_LP/AFW_Flip/AFW_134212_2_0.jpg"] == groups["300W_LP/AFW/AFW_134212_2_0.jpg"]


def test_validation_is_carved_by_photograph_and_the_test_is_aflw2000(folder):
    source = sources.load("the300w_lp", folder, validation_fraction=0.4)
    splits = source.splits
    assert poses(splits["test"]) == named(AFLW_FACES, "image00006")
    assert poses(splits["train"]) | poses(splits["validation"]) == named(LP_FACES, "_1_9")
    assert not set(splits["train"]["_group"]) & set(splits["validation"]["_group"])
    assert "AFW_134212_1" in {*splits["train"]["_group"], *splits["validation"]["_group"]}


# Angles


def turned(angle, axis):
    """One of 3DDFA's three matrices: sines of the usual right-handed one negated."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    if axis == "x":
        return np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    if axis == "y":
        return np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


# A face looking at the viewer: x to the right, y up, z towards the viewer. Nose, the viewer's left and right eye, chin.
FACE = np.array([[0, 0, 1.0], [-0.4, 0.4, 0.5], [0.4, 0.4, 0.5], [0, -0.8, 0.4]]).T
NOSE, LEFT_EYE, RIGHT_EYE, CHIN = range(4)


def cloud_of(pitch, yaw, roll):
    """(3, 68) points as `pt3d_68` has them: in pixels, rows counted from above."""
    model = np.concatenate([FACE, np.random.default_rng(0).normal(size=(3, 64))], axis=1)
    points = 100 * turned(pitch, "x") @ turned(yaw, "y") @ turned(roll, "z") @ model + [[225], [225], [0]]
    return model, np.stack([points[0], 450 - points[1], points[2]])


def recovered(model, cloud):
    """Pitch, yaw and roll of a cloud by orthogonal Procrustes (Kabsch), independent of the reader."""
    points = np.stack([cloud[0], -cloud[1], cloud[2]])
    turn, _ = Rotation.align_vectors(
        (points - points.mean(1, keepdims=True)).T, (model - model.mean(1, keepdims=True)).T
    )
    return -turn.as_euler("XYZ", degrees=True)


@pytest.mark.parametrize("pose", [(-9.39, -8.41, 0.92), (20.0, 50.0, -30.0), (-40.0, -70.0, 60.0)])
def test_order_and_direction_of_the_angles_are_those_of_the_points_in_space(tmp_path, pose):
    model, cloud = cloud_of(*pose)
    write_images(tmp_path, "image00002.jpg")
    (tmp_path / "image00002.mat").write_bytes(aflw_mat(*pose, cloud=cloud))
    row = aflw2000.load(tmp_path).splits["test"][0]
    stored = scipy.io.loadmat(tmp_path / "image00002.mat")["pt3d_68"]
    assert (row["pitch"], row["yaw"], row["roll"]) == pytest.approx(recovered(model, stored), abs=1e-4)


@pytest.mark.parametrize("pose", [(-9.39, -8.41, 0.92), (20.0, 50.0, -30.0), (-40.0, -70.0, 60.0)])
def test_the_turned_face_is_the_one_that_hopenet_draws(pose):
    """HopeNet's `utils.py` draws these three axes over a face: its right, its down and its front, in pixels."""
    (p, y, r), (sin, cos) = np.radians(pose) * (1, -1, 1), (np.sin, np.cos)
    right = (cos(y) * cos(r), cos(p) * sin(r) + cos(r) * sin(p) * sin(y))
    down = (-cos(y) * sin(r), cos(p) * cos(r) - sin(p) * sin(y) * sin(r))
    front = (sin(y), -cos(y) * sin(p))
    turn = turned(pose[0], "x") @ turned(pose[1], "y") @ turned(pose[2], "z")
    in_the_picture = (turn @ np.diag([1, -1, 1]))[:2] * [[1], [-1]]  # rows count from above
    np.testing.assert_allclose(in_the_picture.T, [right, down, front], atol=1e-12)


@pytest.mark.parametrize("pose", [(20.0, 50.0, -30.0), (-40.0, -70.0, 60.0)])
def test_a_mirror_negates_yaw_and_roll(pose):
    model, cloud = cloud_of(*pose)
    mirror = np.array([[-1.0], [1.0], [1.0]])
    pitch, yaw, roll = recovered(model * mirror, cloud * mirror)
    target = HeadPose().target([pose[1]], [pose[0]], [pose[2]])
    assert HeadPose().mirrored(target)[0].tolist() == pytest.approx([yaw, pitch, roll], abs=1e-4)


def test_what_the_signs_mean_in_the_picture():
    _, yawed = cloud_of(0, 30, 0)
    assert yawed[0, NOSE] < yawed[0, [LEFT_EYE, RIGHT_EYE]].mean(), "the nose turns to the viewer's left"
    _, lifted = cloud_of(30, 0, 0)
    assert lifted[1, NOSE] < cloud_of(0, 0, 0)[1][1, NOSE], "the nose is lifted: rows count from above"
    _, tilted = cloud_of(0, 0, 30)
    assert tilted[1, LEFT_EYE] < tilted[1, RIGHT_EYE], "clockwise: the eye at the viewer's left rises"


# The crop


def boxes(data, column="_box"):
    return [tuple(box) for box in data[column]]


def test_unseen_landmarks_pull_the_box_into_the_corner_unless_they_are_left_out(folder):
    faithful, visible = (aflw2000.load(folder, landmarks=how) for how in ("all", "visible"))
    assert boxes(faithful.splits["test"]) == [(-1.0, -1.0, 40.0, 50.0)] * 2
    assert boxes(visible.splits["test"]) == [(20.0, 30.0, 40.0, 50.0)] * 2
    assert "test: faces are cut out by HopeNet's rule around visible landmarks" in visible.notes
    with pytest.raises(ValueError, match="landmarks is 'some', allowed are all and visible"):
        aflw2000.load(folder, landmarks="some")


def test_margins_are_those_of_training_and_of_evaluation(folder):
    source = sources.load("the300w_lp", folder)
    assert set(boxes(source.splits["train"], "_margins")) == {(0.6, 2.0, 0.6, 0.6, 0.2, 0.4)}
    assert set(boxes(source.splits["test"], "_margins")) == {(2.0, 2.0, 2.0, 0.6, 0.2, 0.2)}


@pytest.mark.parametrize("count", [2, 19, 21, 25])
def test_any_number_of_landmarks_will_do(tmp_path, count):
    write_images(tmp_path, "image00002.jpg")
    points = [(10 + number, 20 + number) for number in range(count)]
    (tmp_path / "image00002.mat").write_bytes(aflw_mat(points=points, invisible=0))
    assert boxes(aflw2000.load(tmp_path).splits["test"]) == [(10.0, 20.0, 9.0 + count, 19.0 + count)]


# Files that are not as they should be


def test_faces_without_a_usable_mat_file_are_counted(folder):
    place = folder / "AFLW2000"
    whole = aflw_mat()
    for number, content in enumerate(
        [
            whole[:250],
            b"",
            b"no MATLAB file at all",
            mat_of(pt2d=np.zeros((2, 21))),
            mat_of(Pose_Para=np.full((1, 7), np.nan), pt2d=np.zeros((2, 21))),
            mat_of(Pose_Para="text", pt2d=np.zeros((2, 21))),
            b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400),
        ],
        start=10,
    ):
        write_images(place, f"image{number:05d}.jpg")
        (place / f"image{number:05d}.mat").write_bytes(content)
    write_images(place, "image00090.jpg")
    (place / "image00091.mat").write_bytes(whole)
    source = aflw2000.load(folder, allow_left_out=["no_annotation", "missing_file"])
    left_out = {name: entry["count"] for name, entry in source.ledger.to_dict()["test"].items()}
    assert left_out == {"no_annotation": 8, "missing_file": 1, "beyond_99_degrees": 1}
    with pytest.raises(ValueError, match="more than a tenth. .* --allow_left_out no_annotation"):
        aflw2000.load(folder)


def test_a_face_without_visible_landmarks_has_no_box(tmp_path):
    for number in range(12):
        write_images(tmp_path, f"image{number:05d}.jpg")
        points = () if number == 3 else ((20, 30), (40, 50))
        (tmp_path / f"image{number:05d}.mat").write_bytes(aflw_mat(points=points, invisible=21))
    (tmp_path / "image00004.mat").write_bytes(mat_of(Pose_Para=pose_of(1, 2, 3)))
    source = aflw2000.load(tmp_path, landmarks="visible", allow_left_out=["no_box"])
    assert source.ledger.to_dict()["test"]["no_box"]["names"] == ["image00003.jpg", "image00004.jpg"]


def test_files_are_read_once_and_again_after_a_change(folder, monkeypatch):
    calls, read = [], _pose_mat._face
    monkeypatch.setattr(_pose_mat, "_face", lambda path: calls.append(path) or read(path))
    first = poses(sources.load("the300w_lp", folder, validation_fraction=0).splits["train"])
    assert len(calls) == len(LP_FACES) + len(AFLW_FACES)
    assert poses(sources.load("the300w_lp", folder, validation_fraction=0).splits["train"]) == first
    assert len(calls) == len(LP_FACES) + len(AFLW_FACES), "the second load opens no .mat file"
    (folder / "300W_LP/AFW/AFW_134212_1_0.mat").write_bytes(lp_mat(1.0, 2.0, 3.0) + b"longer")
    again = poses(sources.load("the300w_lp", folder, validation_fraction=0).splits["train"])
    assert again == {**first, "AFW_134212_1_0": (1.0, 2.0, 3.0)}


# Folders


@pytest.mark.parametrize("place", ["300W_LP/300W_LP", "300W-LP", "."])
def test_folders_that_unpacking_doubles_or_leaves_out(tmp_path, place):
    root = write_aflw(write_lp(tmp_path / "data", place))
    assert len(sources.load("the300w_lp", root, validation_fraction=0).splits["train"]) == 7
    assert len(aflw2000.load(root / "AFLW2000").splits["test"]) == 2


def test_aflw2000_may_lie_elsewhere(tmp_path):
    write_lp(tmp_path / "one")
    write_aflw(tmp_path / "two", "AFLW2000-3D")
    with pytest.raises(
        FileNotFoundError, match="no AFLW2000-3D to evaluate on. Unpack it .*source.aflw2000_dir=FOLDER"
    ):
        sources.load("the300w_lp", tmp_path / "one")
    source = sources.load("the300w_lp", tmp_path / "one", aflw2000_dir=tmp_path / "two")
    assert poses(source.splits["test"]) == named(AFLW_FACES, "image00006")


def test_a_wrong_folder_says_what_was_expected_and_what_was_found(tmp_path):
    (tmp_path / "300W-LP.zip").touch()
    with pytest.raises(
        FileNotFoundError, match=r"AFW, HELEN, IBUG, LFPW \(found: 300W-LP.zip\)(.|\n)*--data_dir FOLDER"
    ):
        the300w_lp.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no image with a .mat file \(found: 300W-LP.zip\)(.|\n)*--data_dir"):
        aflw2000.load(tmp_path)
    with pytest.raises(ValueError, match="validation_fraction is 1.5, allowed is 0 <= fraction < 1"):
        the300w_lp.load(tmp_path, validation_fraction=1.5)


def test_counts_that_differ_warn_with_the_published_ones(folder):
    with pytest.warns(UserWarning, match=r"AFW 3 \(published 5,207\)"):
        the300w_lp.load(folder)
    with pytest.warns(UserWarning, match=r"images 3 \(published 2,000\), within 99 degrees 2 \(published 1,969\)"):
        aflw2000.load(folder)
    assert sum(the300w_lp.EXPECTED.values()) == 61_225
