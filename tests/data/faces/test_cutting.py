"""Faces cut out and turned upright, against Pillow and points worked by hand."""

import io

import numpy as np
import pytest
from data_trees import picture
from PIL import Image

from hf_hmtl.data.faces.cutting import Cutting, eyes_of, turned
from hf_hmtl.model.face_detector_hmtl import Face, square_around

BOX = (20.0, 30.0, 40.0, 60.0)


def eyes(*points):
    return Face(BOX, 1.0, (*points, (0, 0), (0, 0), (0, 0)))


def test_a_square_stands_around_the_middle_of_the_box_with_its_margins():
    assert square_around(BOX, 0) == (15, 30, 45, 60)
    assert square_around(BOX, 0.5) == (0, 15, 60, 75)
    assert square_around((0.0, 0.0, 0.2, 0.1), 0) == (0, 0, 1, 1)
    for box in ((5, 5, 5, 9), (5, 9, 9, 5)):
        with pytest.raises(ValueError, match="a face's box without an area"):
            square_around(box, 0.2)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_face_is_the_crop_of_pillow_black_beyond_the_edge(mode):
    image = picture(1, side=64).convert(mode)
    part = Cutting(margin=0.5).cut(np.asarray(image), Face(BOX, 1.0))
    assert np.array_equal(part, np.asarray(image.crop((0, 15, 60, 75)))) and not part[-11:].any()


def test_larger_faces_are_reduced_and_smaller_ones_stay():
    image = np.asarray(picture(1, side=64))
    assert Cutting(margin=0, size=16).cut(image, Face(BOX, 1.0)).shape == (16, 16, 3)
    assert Cutting(margin=0, size=31).cut(image, Face(BOX, 1.0)).shape == (30, 30, 3)
    # Half the side averages two by two pixels.
    part = Cutting(margin=0).cut(image, Face(BOX, 1.0)).astype(float)
    halved = part.reshape(15, 2, 15, 2, 3).mean((1, 3))
    assert np.abs(Cutting(margin=0, size=15).cut(image, Face(BOX, 1.0)) - halved).max() <= 0.5


def test_png_keeps_every_bit_and_jpeg_nearly():
    part = np.asarray(picture(2, side=32).resize((64, 64)))  # smooth
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(Cutting(format="png").encoded(part)))), part)
    opened = Image.open(io.BytesIO(Cutting().encoded(part)))
    assert opened.format == "JPEG" and np.abs(np.asarray(opened).astype(int) - part).mean() < 3
    assert Image.open(io.BytesIO(Cutting().encoded(part[..., 0]))).mode == "L"


def test_without_a_turn_the_turned_picture_is_the_cut_one():
    image = np.asarray(picture(3, side=64))
    for box in (BOX, (21.0, 31.0, 40.0, 60.0), (-4.0, 3.0, 20.0, 33.0)):
        left, top, right, _ = square_around(box, 0)
        side = right - left
        if (box[0] + box[2] - side) % 2 == 0 and (box[1] + box[3] - side) % 2 == 0:  # else between two pixels
            assert np.array_equal(turned(image, Face(box, 1.0), side, 0.0), Cutting(0).cut(image, Face(box, 1.0)))


def test_a_quarter_turn_is_that_of_numpy():
    image = np.asarray(picture(4, side=64))
    face = Face((20.0, 30.0, 40.0, 50.0), 1.0)
    part = Cutting(margin=0).cut(image, face)
    assert np.abs(turned(image, face, 20, 90.0).astype(int) - np.rot90(part)).max() <= 1


@pytest.mark.parametrize("degrees", [-60, -10, 25, 80])
def test_a_face_that_is_turned_comes_out_upright(degrees):
    """Two bright spots for eyes, which lie on a line of that slope; clockwise is > 0 where y runs down."""
    image = np.zeros((100, 100), dtype=np.uint8)
    middle, slope = np.array([50.0, 50.0]), np.radians(degrees)
    step = 18 * np.array([np.cos(slope), np.sin(slope)])
    up = 12 * np.array([np.sin(slope), -np.cos(slope)])  # the eyes stand above the middle of the face
    left, right = middle - step + up, middle + step + up
    for x, y in (left, right):
        image[round(y - 0.5) - 1 : round(y - 0.5) + 2, round(x - 0.5) - 1 : round(x - 0.5) + 2] = 255
    face = Face((20.0, 20.0, 80.0, 80.0), 1.0, (tuple(left), tuple(right), (0, 0), (0, 0), (0, 0)))
    cutting = Cutting(margin=0, align=True)
    assert cutting.angle(face) == pytest.approx(degrees) and Cutting().angle(face) == 0
    part = cutting.cut(image, face)
    assert part.shape == (60, 60)
    for x, half in ((12, part[:, :30]), (48, part[:, 30:])):
        ys, xs = np.nonzero(half > 100)
        assert abs(ys.mean() + 0.5 - 18) < 1.5 and abs(xs.mean() + 0.5 + (x > 30) * 30 - x) < 1.5
    assert (part[35:] < 100).all()


def test_eyes_are_the_first_two_of_five_points_or_the_middles_of_six_of_68():
    left, right = eyes_of(eyes((1, 2), (3, 4)))
    assert left.tolist() == [1, 2] and right.tolist() == [3, 4]
    points = [(float(number), 2.0 * number) for number in range(68)]
    left, right = eyes_of(Face(BOX, 1.0, tuple(points)))
    assert left.tolist() == [38.5, 77] and right.tolist() == [44.5, 89]
    assert eyes_of(Face(BOX, 1.0)) is None and eyes_of(Face(BOX, 1.0, ((1, 2),))) is None
    with pytest.raises(ValueError, match="align needs the eyes of every face: .* has none"):
        Cutting(align=True).cut(np.zeros((64, 64), np.uint8), Face(BOX, 1.0))


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"margin": float("nan")}, {"margin": "wide"}, {"size": 0},
                                     {"size": 1.5}, {"size": True}, {"format": "gif"}])  # fmt: skip
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Cutting(**options)


@pytest.mark.parametrize("align", [False, True])
def test_a_box_beyond_all_measure_is_refused(align):
    face = Face((0.0, 0.0, 1e6, 1e6), 1.0, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
    with pytest.raises(ValueError, match="is larger than"):
        Cutting(align=align).cut(np.zeros((8, 8), np.uint8), face)
