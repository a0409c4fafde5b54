"""The registry, the contract of a Source, and finding its folder."""

import sys
import types

import datasets
import pytest

from hf_hmtl.data import sources
from hf_hmtl.data.identity import FEATURES, identity
from hf_hmtl.data.sources._building import drift, images_of_bytes, images_of_paths, make_dataset

EMOTION = datasets.ClassLabel(names=["happy", "sad"])


def rows(*labels):
    who = identity("mine", [str(row) for row in range(len(labels))])
    return make_dataset(images_of_bytes([b"image"] * len(labels)), {"emotion": (EMOTION, list(labels))}, who)


def source(**splits):
    return sources.Source("mine", datasets.DatasetDict(splits), "free", "none")


def test_the_folder_is_the_registry():
    assert {"affectnet", "custom", "drawn", "fer2013"} <= set(sources.available())
    assert not [name for name in sources.available() if name.startswith("_")]
    for name in sources.available():
        module = sources.get(name)
        assert callable(module.load)
        assert module.LICENCE
        assert module.CITATION
        assert isinstance(module.HOMEPAGE, str)


def test_unknown_source_names_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"unknown source 'fer2031'. Did you mean 'fer2013'\? Known: afew_va, aff_wild, affectnet, aflw2000",
    ):
        sources.get("fer2031")
    with pytest.raises(ValueError, match="unknown source '_tables'"):
        sources.get("_tables")


def test_mistyped_option_names_the_nearest():
    with pytest.raises(ValueError, match=r"no option 'remove_duplicate'. Did you mean 'remove_duplicates'\?"):
        sources.load("fer2013", remove_duplicate=True)


def test_resolve_takes_the_given_folder_then_the_environment(tmp_path, monkeypatch):
    (tmp_path / "root" / "fer2013").mkdir(parents=True)
    monkeypatch.setenv("HF_HMTL_DATA", str(tmp_path / "root"))
    assert sources.resolve("fer2013", None, "") == tmp_path / "root" / "fer2013"
    assert sources.resolve("fer2013", str(tmp_path), "") == tmp_path


def test_resolve_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HMTL_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="--data_dir FOLDER, or set HF_HMTL_DATA.*\n.*the layouts"):
        sources.resolve("fer2013", None, "the layouts")
    with pytest.raises(FileNotFoundError, match=f"there is no folder {tmp_path}/nothing.\nthe layouts"):
        sources.resolve("fer2013", tmp_path / "nothing", "the layouts")
    (tmp_path / "fer2013.csv").touch()
    with pytest.raises(NotADirectoryError, match=f"give the folder that holds it: {tmp_path}"):
        sources.resolve("fer2013", tmp_path / "fer2013.csv", "")
    monkeypatch.setenv("HF_HMTL_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"HF_HMTL_DATA is {tmp_path}"):
        sources.resolve("fer2013", None, "")


def test_source_keeps_its_contract():
    with pytest.raises(ValueError, match="splits are train; needed are train and at least one of"):
        source(train=rows(0))
    with pytest.raises(ValueError, match="splits are test, validation"):
        source(test=rows(0), validation=rows(1))
    with pytest.raises(ValueError, match="splits are train, dev"):
        source(train=rows(0), dev=rows(1))
    with pytest.raises(ValueError, match="split test has no rows"):
        source(train=rows(0), test=rows())
    with pytest.raises(ValueError, match="split test lacks the reserved columns _id, _group"):
        source(train=rows(0), test=rows(1).remove_columns(["_id", "_group"]))
    with pytest.raises(ValueError, match="decode=False"):
        source(train=rows(0).cast_column("image", datasets.Image()), test=rows(1))


def test_validation_is_reported_where_there_is_no_test():
    assert source(train=rows(0), validation=rows(1)).report_split == "validation"
    assert source(train=rows(0), validation=rows(1), test=rows(1)).report_split == "test"


def test_describe_counts_classes_and_missing_labels():
    shown = source(train=rows(0, 0, 1, -1), test=rows(1)).describe()
    assert "train: 4 rows" in shown
    assert "emotion: happy 2, sad 1, (no label) 1" in shown
    assert "emotion: happy 0, sad 1" in shown


def test_built_datasets_are_those_of_from_dict():
    paths = ["/a/1.jpg", "/a/2.jpg"]
    features = datasets.Features({"image": datasets.Image(decode=False), "emotion": EMOTION, **FEATURES})
    who = {"_id": ["1", "2"], "_file": ["1.jpg", None], "_source": ["mine", "mine"], "_group": [None, None]}
    expected = datasets.Dataset.from_dict(
        {"image": [{"bytes": None, "path": path} for path in paths], "emotion": [0, -1], **who}, features=features
    )
    who = identity("mine", ["1", "2"], ["1.jpg", None])
    built = make_dataset(images_of_paths(paths), {"emotion": (EMOTION, [0, -1])}, who)
    assert built.features == expected.features
    assert built[:] == expected[:]


def test_drift_warns_and_never_raises():
    with pytest.warns(UserWarning, match=r"sad 1 \(published 2\)"):
        notes = drift("mine", "train", {"happy": 3, "sad": 1}, {"happy": 3, "sad": 2})
    assert notes == ["train rows differ from the published counts: sad 1 (published 2)"]
    assert drift("mine", "train", {"happy": 3}, {"happy": 3}) == []


def test_drawn_faces_come_from_the_drawing_code_and_take_no_folder(monkeypatch, tmp_path):
    calls = []

    def synthetic_faces(train=4, seed=0):
        calls.append({"train": train, "seed": seed})
        return datasets.DatasetDict(train=rows(0), validation=rows(1), test=rows(1))

    fake = types.ModuleType("hf_hmtl.data.drawn_faces.dataset")
    fake.synthetic_faces = synthetic_faces
    monkeypatch.setitem(sys.modules, "hf_hmtl.data.drawn_faces.dataset", fake)
    drawn = sources.get("drawn").load(train=1, seed=3)
    assert calls == [{"train": 1, "seed": 3}]
    assert drawn.report_split == "test"
    assert sources.load("drawn", seed=4).name == "drawn"
    with pytest.raises(
        ValueError, match=r"'drawn' has no option 'sead'. Did you mean 'seed'\? Its options: train, seed"
    ):
        sources.load("drawn", sead=4)
    for name, own in (("drawn", "custom"), ("drawn_clips", "clips")):
        with pytest.raises(ValueError, match=f"{name}: data_dir is .* no file is read.* with the source '{own}'"):
            sources.get(name).load(tmp_path)
