"""Can a linear classifier tell the angle of a turned view from artefacts? Only where something is taken away.

The contents say nothing about the angle: isotropic noise, and drawn faces turned by any angle before they are sampled.
(Upright faces will not do: their own orientation shows in such features, at an AUC of 0.62, however they are turned.)
"""

import cv2
import numpy as np
import pytest
import scipy.fft
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_hmtl.data import augment
from hf_hmtl.data.drawn_faces.drawing import draw_faces
from hf_hmtl.data.drawn_faces.face_parameters import face_parameters
from hf_hmtl.draws import Draws

SIDE, ROWS, DIRECTIONS = 48, 1600, 8
ALLOWED = 0.05  # of the AUC about 0.5; the standard error of 1600 rows is 0.014

_CENTRED = np.arange(SIDE) - (SIDE - 1) / 2
RADIUS = np.hypot(_CENTRED[:, None], _CENTRED)
DISC, INNER = RADIUS <= SIDE / 2, RADIUS < SIDE / 2 - 3
WINDOW = np.where(RADIUS < SIDE / 2 - 2, np.cos(np.pi / 2 * np.minimum(RADIUS / (SIDE / 2 - 2), 1)) ** 2, 0)
FREQUENCY = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
BINS = np.append(np.linspace(0.02, 0.5, 13), 0.71)


def noise_pictures(side: int, slope: float, rows: int = ROWS, seed: int = 7) -> list[np.ndarray]:
    """Isotropic noise with an amplitude of 1 / frequency^slope: 1 is that of photographs, 0 is white."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(2 * side)[:, None], np.fft.rfftfreq(2 * side))
    frequency[0, 0] = 1.0
    weight = (frequency**slope).astype(np.float32)
    pictures = []
    for _ in range(rows):
        white = generator.standard_normal((2 * side, 2 * side), dtype=np.float32)
        picture = scipy.fft.irfft2(scipy.fft.rfft2(white) / weight)[:side, :side]  # a part, so that it does not repeat
        picture = 128 + 40 * (picture - picture.mean()) / picture.std()
        pictures.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return pictures


@pytest.fixture(scope="module")
def large_faces():
    """The inner 0.7 of drawn faces, each turned by any angle."""
    side, generator, pictures = 96, np.random.default_rng(3), []
    edge = round(0.15 * side)
    for face in draw_faces(face_parameters(0, "train", np.arange(ROWS)), side):
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), generator.uniform(0, 360), 1.0)
        gray = cv2.warpAffine(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), turn, (side, side), flags=cv2.INTER_CUBIC)
        pictures.append(gray[edge:-edge, edge:-edge])
    return pictures


def turned_views(pictures: list[np.ndarray], disc: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(rows, side, side) floats and the direction of each row."""
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    directions = np.random.default_rng(78).integers(0, DIRECTIONS, len(pictures))
    draws = Draws(1, np.zeros(len(pictures)), np.arange(len(pictures)))
    still = augment.Augmentation()
    pixels = augment.augment_batch(pictures, draws, still, SIDE, extra_angles=45.0 * directions, inscribed_disc=disc)
    return pixels[:, 0].numpy().astype(np.float32), directions


def sharpness(pixels: np.ndarray) -> np.ndarray:
    """High-frequency features within the disc: radial log spectrum, Laplacian, differences in four directions."""
    means = (pixels * WINDOW).sum((1, 2), keepdims=True) / WINDOW.sum()
    power = np.abs(np.fft.fft2((pixels - means) * WINDOW)) ** 2
    rings = np.digitize(FREQUENCY, BINS)
    features = [power[:, rings == ring].mean(1) + 1 for ring in range(1, len(BINS))]
    kernel = np.array([[1, 4, 1], [4, -20, 4], [1, 4, 1]], np.float32) / 6
    laplacians = np.stack([cv2.filter2D(image, -1, kernel) for image in pixels])
    features.append((laplacians[:, INNER] ** 2).mean(1))
    centre, inner = pixels[:, 1:-1, 1:-1], INNER[1:-1, 1:-1]
    for other in (pixels[:, 1:-1, 2:], pixels[:, 2:, 1:-1], pixels[:, 2:, 2:], pixels[:, 2:, :-2]):
        features.append(((centre - other)[:, inner] ** 2).mean(1))
    return np.log(np.stack(features, axis=1) + 1e-3)


def corners(pixels: np.ndarray) -> np.ndarray:
    blocks = (slice(0, 6), slice(SIDE - 6, SIDE))
    return np.concatenate([pixels[:, down, across].reshape(len(pixels), -1) for down in blocks for across in blocks], 1)


def rim(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, DISC & (RADIUS > SIDE / 2 - 1.6)]


def readable(features: np.ndarray, directions: np.ndarray) -> tuple[float, float]:
    """Cross-validated AUC of odd against even directions, and accuracy of all eight."""
    assert features.std(axis=0).max() > 1e-6, "constant features: nothing is measured"
    strength = 1.0 if features.shape[1] < 50 else 0.01
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200))
    scores = cross_val_predict(model, features, directions % 2, cv=4, method="decision_function")
    accuracy = (cross_val_predict(model, features, directions, cv=4) == directions).mean()
    return roc_auc_score(directions % 2, scores), accuracy


def assert_chance(features: np.ndarray, directions: np.ndarray) -> None:
    auc, accuracy = readable(features, directions)
    assert abs(auc - 0.5) < ALLOWED and accuracy < 1 / DIRECTIONS + 0.03, (auc, accuracy)


@pytest.mark.parametrize("side", [30, 48, 64, 96])
def test_angles_of_photograph_like_noise_cannot_be_read(side):
    pixels, directions = turned_views(noise_pictures(side, slope=1.0))
    assert_chance(sharpness(pixels), directions)
    assert_chance(rim(pixels), directions)


@pytest.mark.parametrize("side", [30, 48])
def test_angles_of_drawn_faces_cannot_be_read(side, large_faces):
    pictures = [cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA) for face in large_faces]
    pixels, directions = turned_views(pictures)
    assert_chance(sharpness(pixels), directions)


@pytest.mark.parametrize(
    ("missing", "least"),
    [
        (
            {"warp_turned": augment.warp, "_TURNED_VISIBLE": (1.0, 1.0), "_TURNED_SHIFT": 0.0, "_TURNED_NOISE": 0.0},
            0.95,
        ),
        ({"warp_turned": augment.warp}, 0.8),
        ({"_TURNED_NOISE": 0.0}, 0.6),
        ({"_TURNED_VISIBLE": (1.0, 1.0), "_TURNED_SHIFT": 0.0}, 0.55),
    ],
    ids=["plain sampling", "no enlargement and blur", "no noise", "no zoom and shift"],
)
def test_the_check_sees_what_each_part_hides(missing, least, monkeypatch):
    for name, value in missing.items():
        monkeypatch.setattr(augment, name, value)
    pixels, directions = turned_views(noise_pictures(SIDE, slope=1.0))
    assert readable(sharpness(pixels), directions)[0] > least


def test_corners_give_the_angle_away_unless_the_disc_hides_them():
    pictures = noise_pictures(SIDE, slope=1.0, rows=600)
    bare, directions = turned_views(pictures, disc=False)
    assert readable(corners(bare), directions)[0] > 0.95
    masked, _ = turned_views(pictures)
    assert masked[:, ~DISC].max() == 0 and corners(masked).max() == 0  # constant: no classifier can read them
