"""Faces that another detector has found, from tables as people write them."""

import pytest
from data_trees import write_text

from hf_hmtl.data.faces.given import GivenFaces


def table(tmp_path, *lines, name="boxes.csv"):
    write_text(tmp_path / name, *lines)
    return GivenFaces(tmp_path / name)


@pytest.mark.parametrize(
    "lines",
    [
        ("file,left,top,right,bottom,score", "a/1.jpg,1,2,11,22,0.9"),
        ("image;x;y;width;height;confidence", "a\\1.jpg;1;2;10;20;0.9"),
        ("filename\tx1\ty1\tx2\ty2\tscore", "./a/1.jpg\t1.0\t2.0\t11\t22\t0.9"),
        ("Path,xmin,ymin,xmax,ymax,Score", "a/1.jpg,1,2,11,22,0.9"),
        ("file,left,top,w,h,score", "a/1.jpg,1,2,10,20,0.9"),
    ],
)
def test_boxes_are_read_in_the_ways_that_they_are_written(tmp_path, lines):
    (face,) = table(tmp_path, *lines).match([("a/1.jpg", None)])[0]
    assert (face.box, face.score, face.landmarks) == ((1, 2, 11, 22), 0.9, None)


def test_several_faces_of_a_picture_come_the_largest_first(tmp_path):
    given = table(tmp_path, "file,left,top,right,bottom", "1.jpg,0,0,5,5", "1.jpg,0,0,9,9", "2.jpg,0,0,4,4")
    one, two, none = given.match([("x/1.jpg",), ("x/2.jpg",), ("x/3.jpg",)])
    assert [face.box[2] for face in one] == [9, 5] and [face.box[2] for face in two] == [4] and none == []
    assert given.notes() == []


def test_landmarks_alone_give_the_box_around_them(tmp_path):
    given = table(tmp_path, "file,landmarks", '1.jpg,"3 4 9 5; 6 7.5, 4 10 8 11"')
    (face,) = given.match([("1.jpg",)])[0]
    assert face.box == (3, 4, 9, 11) and len(face.landmarks) == 5 and face.landmarks[2] == (6, 7.5)
    given.require_eyes()


def test_names_fit_as_a_whole_or_by_their_ends_and_never_the_file_of_another_folder(tmp_path):
    header = "file,left,top,right,bottom"
    given = table(tmp_path, header, "/home/me/data/train/1.jpg,0,0,5,5", "2.jpg,0,0,6,6", "test/3.jpg,0,0,7,7")
    found = given.match([("train/1.jpg",), ("train/2.jpg",), ("train/3.jpg",), (None, "train/3")])
    assert [len(faces) for faces in found] == [1, 1, 0, 0]
    assert given.notes() == ["1 rows of boxes.csv fit no picture (test/3.jpg)"]
    # Two pictures of one name: a bare name could be either.
    given = table(tmp_path, header, "1.jpg,0,0,5,5", "9.jpg,0,0,5,5")
    assert given.match([("a/1.jpg",), ("b/1.jpg",), ("9.jpg",)])[:2] == [[], []]
    # By `_id`, for pictures that are no files.
    assert len(table(tmp_path, "_id,left,top,right,bottom", "train/7,0,0,5,5").match([(None, "train/7")])[0]) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("file,left,top", "1.jpg,1,2"), "has the columns file, left, top; needed are the picture"),
        (("name,left,top,right,bottom", "1.jpg,1,2,3,4"), "needed are the picture"),
        (("file,left,top,right,bottom", "1.jpg,1,2,3,4", "2.jpg,5,2,3,4"), r"row 2 \(2.jpg\): a box is left < right"),
        (("file,left,top,right,bottom", "1.jpg,1,2,3,4", "2.jpg,,2,3,4"), r"row 2 \(2.jpg\): a box is"),
        (("file,x,y,width,height", "1.jpg,1,2,0,4"), r"row 1 \(1.jpg\): a box is"),
        (("file,x,y,width,height", "1.jpg,1,2,wide,4"), r"row 1 \(1.jpg\): a box is"),
        (("file,landmarks", "1.jpg,1 2 3"), "landmarks are pairs of numbers"),
        (("file,landmarks", "1.jpg,1 2 3 x"), "landmarks are pairs of numbers"),
        (("file,landmarks", "1.jpg,"), "landmarks are pairs of numbers"),
        (("file,left,top,right,bottom", ",1,2,3,4"), "row 1 names no picture"),
        (("file,left,top,right,bottom,score", "1.jpg,1,2,3,4,high"), "score is a number"),
    ],
)
def test_what_is_no_box_is_refused_with_its_row(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        table(tmp_path, *lines)


def test_a_table_that_fits_no_picture_is_refused_and_so_is_one_that_is_not_there(tmp_path):
    given = table(tmp_path, "file,left,top,right,bottom", "1.jpg,0,0,5,5")
    with pytest.raises(ValueError, match="no row of .*boxes.csv fits a picture: it names 1.jpg, .* called a/2.jpg"):
        given.match([("a/2.jpg",)])
    with pytest.raises(ValueError, match="gives 1.jpg no 5 or 68 landmarks"):
        given.require_eyes()
    with pytest.raises(FileNotFoundError, match="boxes: there is no file"):
        GivenFaces(tmp_path / "gone.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match="boxes: .*empty.csv is empty"):
        GivenFaces(tmp_path / "empty.csv")
