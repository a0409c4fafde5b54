"""`hf_hmtl.data.load`: plain data sets, of which those for research only are not pushed."""

import io
import logging

import datasets
import pyarrow.parquet
import pytest
from PIL import Image
from releases import write_ferplus, write_rafdb

import hf_hmtl.data
from hf_hmtl.data import sources

pytestmark = pytest.mark.filterwarnings("ignore:.* rows differ from the published counts")


def test_a_source_is_a_plain_data_set_for_map_pipelines(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        faces = hf_hmtl.data.load("ferplus", write_ferplus(tmp_path), votes="cross_entropy")
    assert isinstance(faces, datasets.DatasetDict) and list(faces) == ["train", "validation", "test"]
    assert isinstance(faces["train"][0]["image"], Image.Image)
    assert "ferplus: left out, train: 1 rows voted to be no face (fer0000010.png)" in caplog.messages
    sizes = faces.map(lambda row: {"side": row["image"].size[0]}, remove_columns=["image"])
    assert set(sizes["test"]["side"]) == {48} and "image" not in sizes["test"].column_names
    info = sizes["train"].info
    assert info.citation == sources.get("ferplus").CITATION and info.homepage == sources.get("ferplus").HOMEPAGE
    assert "left out, train: 1 rows voted to be no face" in info.description


@pytest.mark.parametrize("made", ["split", "splits", "mapped", "bare", "mixed", "reloaded"])
def test_research_data_and_what_is_made_of_it_are_not_pushed(tmp_path, made):
    faces = hf_hmtl.data.load("rafdb", write_rafdb(tmp_path / "data"))
    train = faces["train"]
    if made == "reloaded":
        faces.save_to_disk(tmp_path / "saved")
    other = datasets.Dataset.from_dict({"label": [1]})
    dataset = {
        "split": lambda: train,
        "splits": lambda: faces,
        "mapped": lambda: faces.map(lambda row: {"bright": True}).filter(lambda row: True),
        "bare": lambda: train.map(lambda row: {"label": 1}, remove_columns=train.column_names),
        "mixed": lambda: datasets.concatenate_datasets([other, train.select_columns(["emotion"]).cast_column(
            "emotion", datasets.Value("int64")).rename_column("emotion", "label")]),
        "reloaded": lambda: datasets.load_from_disk(tmp_path / "saved"),
    }[made]()  # fmt: skip
    with pytest.raises(PermissionError, match=r"RAF-DB agreement: non-commercial research; .* \(rafdb: must stay on"):
        dataset.push_to_hub("user/faces")


def test_other_data_is_pushed_as_ever(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    hf_hmtl.data.load("rafdb", write_rafdb(tmp_path))  # from here on pushing is watched
    drawn = hf_hmtl.data.load("drawn", train=8, validation=0, test=8, size=32)
    drawn.push_to_hub("tester/drawn")
    pushed = hub.repositories["datasets", "tester/drawn"].at("main").files
    file = next(blob.content for path, blob in pushed.items() if path.startswith("data/train"))
    assert pyarrow.parquet.read_table(io.BytesIO(file)).num_rows == 8
    assert drawn["train"].info.license == "apache-2.0"


def test_options_are_those_of_the_source(tmp_path):
    with pytest.raises(ValueError, match=r"'rafdb' has no option 'image'. Did you mean 'images'\?"):
        hf_hmtl.data.load("rafdb", tmp_path, image="original")
    with pytest.raises(ValueError, match="unknown source 'raf_db'"):
        hf_hmtl.data.load("raf_db", tmp_path)
    with pytest.raises(ValueError, match="images is 3, which is a whole number; allowed is text"):
        hf_hmtl.data.load("rafdb", tmp_path, images=3)
