"""JAFFE on a miniature release: everything stands in the names."""

import os
import shutil

import numpy as np
import pytest
from data_trees import all_labels, encoded, write_images
from PIL import Image
from releases import JAFFE_CODES, JAFFE_PEOPLE, jaffe_names, write_jaffe

from hf_hmtl import recipe as recipes
from hf_hmtl.data.decode import decode_face
from hf_hmtl.data.sources import jaffe
from hf_hmtl.run.rows import load_rows

pytestmark = pytest.mark.filterwarnings("ignore:jaffe. all rows differ from the published counts")
EMOTIONS = dict(
    zip(JAFFE_CODES, ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"), strict=True)
)


@pytest.mark.parametrize("place", ["jaffe", ".", "JAFFE/jaffe images"])
def test_label_and_person_come_from_the_name_wherever_it_lies(tmp_path, place):
    source = jaffe.load(write_jaffe(tmp_path, place))
    found = {os.path.basename(file).removesuffix(".tiff"): label for file, label in all_labels(source).items()}
    assert found == {name: EMOTIONS[name[3:5]] for name in jaffe_names()}
    for data in source.splits.values():
        assert [os.path.basename(file)[:2] for file in data["_file"]] == list(data["_group"])
    reasons = {name: entry["count"] for name, entry in source.ledger.to_dict()["folder"].items()}
    assert reasons == {"not_image": 1, "system": 1}


def test_a_photograph_is_decoded_as_it_is(tmp_path):
    source = jaffe.load(write_jaffe(tmp_path))
    row = source.splits["test"][0]
    pixels = decode_face(row["image"], 16, None)
    expected = np.asarray(Image.open(row["image"]["path"]))
    assert expected.ndim == 2 and np.array_equal(np.asarray(pixels).reshape(16, 16, -1)[..., 0], expected)


def test_ten_folds_leave_one_person_out_each_and_select_on_another(tmp_path):
    write_jaffe(tmp_path)
    tested = []
    for number in range(1, 11):
        chosen = recipes.load("jaffe/linear-supervised", {"source": {"fold": [number, 10]}})
        splits = load_rows(chosen, tmp_path).splits
        people = {split: set(data["_group"]) for split, data in splits.items()}
        assert [len(people[split]) for split in ("train", "validation", "test")] == [8, 1, 1]
        assert len(set.union(*people.values())) == 10
        tested += people["test"]
    assert sorted(tested) == sorted(JAFFE_PEOPLE)
    first = jaffe.load(tmp_path)
    assert "it comes undivided; unless source.fold says otherwise, fold 1 of 10, cut by group" in first.notes[-1]
    assert set(first.splits["test"]["_group"]) == {tested[0]}


def test_odd_names_are_read_and_others_are_counted(tmp_path):
    write_jaffe(tmp_path)
    folder = tmp_path / "jaffe"
    (folder / "KA.AN1.39.tiff").rename(folder / " KA.AN1.39 .tiff")
    (folder / "KA.DI1.41.tiff").rename(folder / "ka.di1.41.Tiff")
    (folder / "KA.FE1.43.tiff").rename(folder / "KA.FE1.43.new.tiff")
    write_images(folder, "KA.XX1.99.tiff", "portrait.tiff", kind="TIFF")
    source = jaffe.load(tmp_path)
    assert sum(map(len, source.splits.values())) == 70
    assert source.ledger.to_dict()["folder"]["no_code"]["count"] == 2


def test_a_converted_copy_is_no_second_photograph(tmp_path):
    write_jaffe(tmp_path)
    (tmp_path / "by class").mkdir()
    for name in jaffe_names():
        place = tmp_path / "by class" / name[3:5]
        place.mkdir(exist_ok=True)
        (place / f"{name}.png").write_bytes(encoded(1, "PNG"))
    source = jaffe.load(tmp_path)
    files = [file for data in source.splits.values() for file in data["_file"]]
    assert len(files) == 70 and all(file.endswith(".tiff") for file in files)
    assert source.ledger.to_dict()["folder"]["copy"]["count"] == 70
    shutil.rmtree(tmp_path / "jaffe")
    assert sum(map(len, jaffe.load(tmp_path).splits.values())) == 70  # passed on in folders of the classes


def test_counts_and_people_that_differ_warn_with_the_published_ones(tmp_path):
    with pytest.warns(UserWarning, match=r"anger 3 \(published 30\).*persons 3 \(published 10\)"):
        source = jaffe.load(write_jaffe(tmp_path, people=JAFFE_PEOPLE[:3]))
    assert "fold 1 of 3" in source.notes[-1]
    assert sum(jaffe.EXPECTED.values()) == 213


def test_a_wrong_folder_says_what_was_expected_and_what_was_found(tmp_path):
    write_images(tmp_path, "happy/1.jpg")
    with pytest.raises(FileNotFoundError, match=r"no photograph of JAFFE \(found: happy\)(.|\n)*--data_dir FOLDER"):
        jaffe.load(tmp_path)
    with pytest.raises(ValueError, match="jaffe: fold 1 of 2 leaves 1 group, and two are needed"):
        jaffe.load(write_jaffe(tmp_path / "two", people=JAFFE_PEOPLE[:2]))
