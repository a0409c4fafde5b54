"""Saved models with every kind of head that stays after training, for the tests of what is served."""

from model_kinds import DECODER, EMOTIONS, PROJECTOR, PUZZLE, made

from hf_hmtl import HMTLImageProcessor

POSE = {
    "kind": "regression",
    "shape": [3],
    "names": ["yaw", "pitch", "roll"],
    "unit": "degrees",
    "range": [-99, 99],
    "bins": {"first": -99, "step": 3, "count": 66},
}
AFFECT = {"kind": "regression", "shape": [2], "names": ["valence", "arousal"], "range": [-1, 1], "tanh": True}
UNITS = {"kind": "multilabel", "shape": [2], "labels": ["au1", "au2"]}
ANSWERING = {
    "emotion": EMOTIONS | {"dropout": 0.5},
    "pose": POSE,
    "affect": AFFECT,
    "units": UNITS,
    "age": {"kind": "mlp", "shape": [1], "hidden": 8, "dropout": 0.5},
}
RAW = {"map": {"kind": "linear", "shape": [2, 3]}, "vector": PROJECTOR | {"auxiliary": False}}
AUXILIARY = {"puzzle": PUZZLE, "inpainting": DECODER}
CROP = 0.8


def serving_model(heads=ANSWERING, side=32, **changes):
    """A model in evaluation mode whose primary head is the emotion."""
    return made("classification", heads=heads, image_size=side, **{"primary": "emotion", **changes})


def save(model, folder):
    """Save a model, and the processor that crops, as a finished run does."""
    model.save_pretrained(folder)
    HMTLImageProcessor(size=model.config.image_size, crop_fraction=CROP).save_pretrained(folder)
    return folder
