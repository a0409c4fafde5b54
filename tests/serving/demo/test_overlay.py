import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from hf_hmtl.serving.demo.overlay import BLUE, GRAY, GREEN, RED, axes, with_faces, with_heat


def test_the_axes_follow_the_signs_of_the_labels():
    """The signs stand in data/drawn_faces/dataset.py: yaw > 0 turns the nose to the picture's left, pitch > 0 lifts it,
    roll > 0 turns the head clockwise as the viewer sees it."""
    assert np.allclose(axes(0, 0, 0), np.eye(3))
    nose = axes(30, 0, 0)[2]
    assert np.allclose(nose, [-0.5, 0, np.sqrt(0.75)])
    assert np.allclose(axes(0, 30, 0)[2], [0, -0.5, np.sqrt(0.75)])
    across, down, _ = axes(0, 0, 30)
    assert np.allclose(across, [np.sqrt(0.75), 0.5, 0]) and np.allclose(down, [-0.5, np.sqrt(0.75), 0])


@pytest.mark.parametrize("pose", [(40, -20, 10), (-75, 30, -60), (5, 80, 170)])
def test_any_pose_is_the_rotation_that_scipy_makes_of_it(pose):
    yaw, pitch, roll = pose
    expected = Rotation.from_euler("x", pitch, degrees=True) * Rotation.from_euler("y", -yaw, degrees=True)
    expected *= Rotation.from_euler("z", roll, degrees=True)
    assert np.allclose(axes(*pose), expected.as_matrix().T)
    assert np.isclose(np.linalg.det(axes(*pose)), 1)


def test_boxes_are_drawn_where_the_faces_are_and_the_picture_is_left_as_it_was():
    picture = Image.new("RGB", (100, 80))
    shown = np.asarray(with_faces(picture, [(10, 10, 50, 60), (60, 20, 90, 50)]))
    assert tuple(shown[10, 30]) == GREEN and tuple(shown[20, 75]) == GRAY and not np.asarray(picture).any()


def test_a_large_picture_is_reduced_with_its_boxes():
    shown = with_faces(Image.new("RGB", (3000, 1500)), [(300, 300, 1500, 1200)])
    assert shown.size == (900, 450)
    assert shown.getpixel((90, 200)) == GREEN and shown.getpixel((200, 90)) == GREEN


def test_axes_begin_in_the_middle_of_the_face():
    shown = np.asarray(with_faces(Image.new("RGB", (200, 200)), [(0, 0, 100, 100)], pose=(20, 0, 0)))
    for colour, (x, y) in ((RED, (80, 50)), (GREEN, (50, 80)), (BLUE, (40, 50))):
        assert tuple(shown[y, x]) == colour


def test_heat_leaves_what_is_cold_and_colours_what_is_hot():
    face, heat = np.full((8, 8, 3), 100, np.uint8), np.zeros((8, 8))
    heat[0, 0] = 1
    shown = np.asarray(with_heat(face, heat))
    assert (shown[1:] == 100).all() and (shown[0, 0] != 100).any()
