"""Write a folder for every kind of model, and what it answers: `PYTHONPATH=tests python tests/golden/write.py FOLDER`.

Once for each version that changes what is saved; folders that are committed are never written again.
"""

import json
import sys
from pathlib import Path

from model_kinds import KINDS, SIDE, answers, made
from safetensors.torch import load_file, save_file

from hf_hmtl import HMTLForImageClassification, HMTLImageProcessor

WITHOUT_CODE = ("config.json", "model.safetensors", "preprocessor_config.json")


def write(folder: Path, kind: str) -> None:
    """Save a model with weights that 16 bits hold, and compute its answers in 32."""
    heads = {name: head for name, head in KINDS[kind]["heads"].items() if head["kind"] != "decoder"}  # of 3 MB
    made(kind, backbone="test_efficientnet", heads=heads).save_pretrained(folder)
    HMTLImageProcessor(size=SIDE).save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in WITHOUT_CODE:
            path.unlink()
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    given = answers(HMTLForImageClassification.from_pretrained(folder))
    (folder / "answers.json").write_text(json.dumps({name: value.tolist() for name, value in given.items()}) + "\n")


if __name__ == "__main__":
    for each in KINDS:
        if each != "transformer":  # timm's smallest is above 300 KiB
            write(Path(sys.argv[1]) / each, each)
