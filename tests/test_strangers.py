"""What strangers pack into folders is never executed: pickles, code, names of files elsewhere."""

import json
import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from data_trees import write_classes, write_text
from model_kinds import made
from trainers import make, weights
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline

from hf_hmtl import HMTLForImageClassification
from hf_hmtl import recipe as recipes
from hf_hmtl.data.sources import custom
from hf_hmtl.data.sources._affectnet_npy import _label
from hf_hmtl.data.sources._pose_mat import _face
from hf_hmtl.hub.contents import of_branch
from hf_hmtl.model import modeling_hmtl
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.serving.network import load
from hf_hmtl.training.checkpoint import resume_point


class Payload:
    """Unpickled, it makes a folder."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


@pytest.fixture
def trap(tmp_path):
    """A folder that is there once somebody has unpickled `trap.payload` or run `trap.code`."""
    place = tmp_path / "executed"
    found = SimpleNamespace(place=place, payload=Payload(place), code=f"import os\nos.mkdir({str(place)!r})\n")
    yield found
    assert not place.exists(), "it was executed"


def test_the_trap_is_one(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "executed")))
    assert (tmp_path / "executed").is_dir()


def in_numpy(payload, path):
    np.save(path, np.array([payload], dtype=object), allow_pickle=True)


def in_torch(payload, path):
    with open(path, "wb") as file:
        torch.save({"state": payload}, file)


def in_old_torch(payload, path):
    with open(path, "wb") as file:
        torch.save({"state": payload}, file, _use_new_zipfile_serialization=False)


def in_pickle(payload, path):
    with open(path, "wb") as file:
        pickle.dump(payload, file)


WAYS = [in_numpy, in_torch, in_old_torch, in_pickle]


def packed(way, payload, path):
    """A pickle at this path; numpy would put another suffix behind it."""
    way(payload, path.with_suffix(".npy"))
    shutil.move(path.with_suffix(".npy"), path)


@pytest.mark.parametrize("way", WAYS)
def test_labels_in_small_files_are_numbers_and_nothing_else(trap, tmp_path, way):
    packed(way, trap.payload, tmp_path / "0_exp.npy")
    packed(way, trap.payload, tmp_path / "0.mat")
    assert np.isnan(_label(tmp_path / "0_exp.npy"))
    assert np.isnan(_face(tmp_path / "0.mat")[0])


@pytest.mark.parametrize("way", WAYS)
def test_nothing_in_a_folder_of_faces_is_unpickled(trap, tmp_path, way):
    write_classes(tmp_path / "faces")
    names = ["a.pkl", "a.pt", "a.npy", "a.npz", "cache.joblib", "happy/a.bin", "dataset.cache", "labels.pickle"]
    for name in names:
        packed(way, trap.payload, tmp_path / "faces" / name)
    source = custom.load(tmp_path / "faces")
    assert sum(map(len, source.splits.values())) == 20


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["weights.pth", "weights.bin", "weights.safetensors"])
def test_a_file_of_weights_holds_tensors_alone(trap, tmp_path, way, name):
    packed(way, trap.payload, tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} holds no tensors of a backbone, or more than tensors"):
        made("classification").load_pretrained_backbone(tmp_path / name)


@pytest.fixture
def saved(tmp_path):
    """The folder of a small model."""
    made("classification").save_pretrained(tmp_path / "model")
    HMTLImageProcessor(size=32).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [HMTLForImageClassification, AutoModelForImageClassification, AutoModel])
def test_a_pickle_in_the_place_of_a_model_is_refused(trap, saved, way, kind):
    (saved / "model.safetensors").unlink()
    packed(way, trap.payload, saved / "pytorch_model.bin")
    with pytest.raises(ValueError, match="a pickle that holds more than tensors, which is not loaded"):
        kind.from_pretrained(saved)


@pytest.mark.parametrize("way", WAYS)
def test_a_pickle_beside_a_model_is_not_looked_at(trap, saved, way):
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "preprocessor.pkl"):
        packed(way, trap.payload, saved / name)
    HMTLForImageClassification.from_pretrained(saved)


def test_code_beside_a_model_is_not_run(trap, saved):
    config = json.loads((saved / "config.json").read_text())
    for path in saved.glob("*.py"):
        path.write_text(trap.code)
    (saved / "evil.py").write_text(trap.code)
    evil = "evil.Evil"
    config["auto_map"] = dict.fromkeys([*config["auto_map"], "AutoConfig", "AutoTokenizer"], evil)
    config["custom_pipelines"] = {"face-analysis": {"impl": evil, "pt": ["AutoModel"], "type": "image"}}
    (saved / "config.json").write_text(json.dumps(config))
    processor = json.loads((saved / "preprocessor_config.json").read_text())
    processor["auto_map"] = {"AutoImageProcessor": evil}
    (saved / "preprocessor_config.json").write_text(json.dumps(processor))
    load(saved)
    HMTLForImageClassification.from_pretrained(saved)
    AutoModelForImageClassification.from_pretrained(saved)
    AutoModel.from_pretrained(saved)
    AutoImageProcessor.from_pretrained(saved)
    pipeline("image-classification", model=str(saved))
    pipeline("face-analysis", model=str(saved))


def test_the_code_in_a_folder_is_that_of_the_package(saved):
    package = Path(modeling_hmtl.__file__).parent
    files = sorted(saved.glob("*.py"))
    assert "modeling_hmtl.py" in {file.name for file in files}
    for file in files:
        assert file.read_bytes() == (package / file.name).read_bytes()


def test_a_backbone_is_a_name_of_timm_and_no_place(saved):
    config = json.loads((saved / "config.json").read_text())
    for name in (
        "hf-hub:somebody/something",
        "local-dir:/tmp",
        "../x",
        "test_resnet.x@y",
        "timm/test_resnet.r160_in1k",
    ):
        (saved / "config.json").write_text(json.dumps(config | {"backbone": name}))
        with pytest.raises((ValueError, OSError)):
            HMTLForImageClassification.from_pretrained(saved)


@pytest.fixture(scope="module")
def checkpoint(faces, tmp_path_factory):
    """The folder of a run with a checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    make(faces, folder, max_steps=2, save_strategy="steps", save_steps=1).train()
    return folder


@pytest.mark.parametrize("way", [in_torch, in_old_torch, in_pickle])
@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_checkpoint_holds_tensors_and_plain_values_alone(trap, checkpoint, tmp_path, way, name):
    folder = shutil.copytree(checkpoint, tmp_path / "run") / "checkpoint-1"
    packed(way, trap.payload, folder / name)
    args = SimpleNamespace(output_dir=str(folder.parent), world_size=1, precision="float32")
    with pytest.raises(ValueError, match=f"{name} is cut off or damaged"):
        resume_point(str(folder), args)


def test_arguments_that_are_pickled_beside_a_checkpoint_are_never_read(trap, faces, checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "run") / "checkpoint-1"
    options = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    packed(in_torch, trap.payload, folder / "training_args.bin")
    packed(in_torch, trap.payload, folder / "pytorch_model.bin")
    resumed = make(faces, tmp_path / "run", **options)
    resumed.train(resume_from_checkpoint=str(folder))
    assert all(torch.isfinite(tensor).all() for tensor in weights(resumed).values())


@pytest.mark.parametrize("name", ["../private.txt", "x/../../private.txt", "{place}/private.txt"])
def test_what_a_model_names_in_another_folder_is_never_published(saved, tmp_path, name):
    (tmp_path / "private.txt").write_text("a secret")
    (tmp_path / "private.py").write_text("a secret")
    assert of_branch("main", saved, "user/name")
    index = {"weight_map": {"a": name.format(place=tmp_path)}}
    (saved / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="names a file of another folder, '.*private.txt'"):
        of_branch("main", saved, "user/name")
    (saved / "model.safetensors.index.json").unlink()
    config = json.loads((saved / "config.json").read_text())
    config["auto_map"]["AutoModel"] = f"{tmp_path}/private.Model"
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="names a file of another folder, '.*private.py'"):
        of_branch("main", saved, "user/name")


def test_no_recipe_makes_an_object_of_python(trap, tmp_path):
    write_text(
        tmp_path / "mine.yaml", "rows:", "  a:", "    about: !!python/object/apply:os.mkdir", f"      [{trap.place}]"
    )
    with pytest.raises(ValueError, match="could not determine a constructor"):
        recipes.load(str(tmp_path / "mine.yaml"))
