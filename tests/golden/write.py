"""Write a folder for every kind of model, and what it answers: `PYTHONPATH=tests python tests/golden/write.py FOLDER`.

Once for each version that changes what is saved; folders that are committed are never written again. Where weights are
too large to be kept (timm's smallest transformer, a decoder), there are their names and shapes in weights.json instead,
and `model_kinds.drawn_weights` gives the same numbers for a name wherever it runs.
"""

import json
import sys
from pathlib import Path

from model_kinds import KINDS, SIDE, answers, drawn_weights, made
from safetensors.torch import load_file, save_file

from hf_hmtl import HMTLForImageClassification, HMTLImageProcessor

WITHOUT_CODE = ("config.json", "model.safetensors", "preprocessor_config.json")
DRAWN = {"transformer": "transformer", "decoder": "hybrid"}  # {folder: its kind of model}


def write(folder: Path, kind: str) -> None:
    """Save a model with weights that 16 bits hold, and compute its answers in 32."""
    heads = {name: head for name, head in KINDS[kind]["heads"].items() if head["kind"] != "decoder"}  # of 3 MB
    _save(folder, made(kind, backbone="test_efficientnet", heads=heads))
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    _answer(folder)


def write_drawn(folder: Path, kind: str) -> None:
    """Save a model whose weights are a function of their names, without them."""
    _save(folder, made(kind))
    shapes = {name: list(tensor.shape) for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(drawn_weights(shapes), folder / "model.safetensors", {"format": "pt"})
    _answer(folder)
    (folder / "model.safetensors").unlink()
    (folder / "weights.json").write_text(json.dumps(shapes, indent=1) + "\n")


def _save(folder: Path, model: HMTLForImageClassification) -> None:
    model.save_pretrained(folder)
    HMTLImageProcessor(size=SIDE).save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in WITHOUT_CODE:
            path.unlink()


def _answer(folder: Path) -> None:
    given = answers(HMTLForImageClassification.from_pretrained(folder))
    rounded = {name: value.double().numpy().round(7).tolist() for name, value in given.items()}
    (folder / "answers.json").write_text(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    for each in KINDS:
        if each not in DRAWN:
            write(Path(sys.argv[1]) / each, each)
    for name, each in DRAWN.items():
        write_drawn(Path(sys.argv[1]) / name, each)
