"""One tiny model of every kind that a folder or a repository can hold, and the pixels to ask them with."""

import zlib

import numpy as np
import torch

from hf_hmtl import HMTLConfig, HMTLForImageClassification

SIDE = 32
SPREAD = 0.05  # of drawn weights
EMOTIONS = {"kind": "linear", "shape": [3], "labels": ["happy", "sad", "angry"], "dropout": 0.1}
NUMBERS = {"kind": "linear", "shape": [2]}
PUZZLE = {"kind": "mlp", "shape": [4, 4], "hidden": 8, "auxiliary": True}
DECODER = {"kind": "decoder", "auxiliary": True}
PROJECTOR = {"kind": "projector", "shape": [4], "hidden": 8, "auxiliary": True}
KINDS = {
    "classification": {"heads": {"emotion": EMOTIONS}},
    "hybrid": {
        "heads": {"emotion": EMOTIONS, "puzzle": PUZZLE, "inpainting": DECODER},
        "loss_weighting": "uncertainty",
    },
    "mlp": {"heads": {"emotion": EMOTIONS | {"kind": "mlp", "hidden": 8}}, "backbone": "test_efficientnet"},
    "several": {"heads": {"emotion": EMOTIONS, "arousal": NUMBERS, "gender": EMOTIONS | {"labels": None}}},
    "numbers": {"heads": {"valence_arousal": NUMBERS}},
    "transformer": {"heads": {"emotion": EMOTIONS}, "backbone": "test_vit"},
    "pretrained": {"heads": {"puzzle": PUZZLE, "inpainting": DECODER, "barlow_twins": PROJECTOR}},
}


def made(kind: str, **changes) -> HMTLForImageClassification:
    """A model of this kind, in evaluation, with the same random weights every time; `changes` are of its config."""
    torch.manual_seed(0)
    settings = {"backbone": "test_resnet", "image_size": SIDE, **KINDS[kind], **changes}
    model = HMTLForImageClassification(HMTLConfig(**settings))
    for module in model.modules():  # batch norm that has seen something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return model.eval()


def pixels() -> torch.Tensor:
    """Two images, uint8."""
    return torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def answers(model) -> dict[str, torch.Tensor]:
    """All that a model says about `pixels`: {head: output}, of every head that it has, and its features."""
    given = pixels()
    views = dict.fromkeys(model.config.heads, (0, len(given)))
    return {"pooled": model.base_model(given).pooler_output, **model(given, views=views).predictions}


def drawn_weights(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """A tensor for every name, by the generator whose numbers numpy promises never to change."""
    return {
        name: torch.zeros((), dtype=torch.int64)
        if name.endswith("num_batches_tracked")
        else torch.from_numpy(_normal(name, shape))
        for name, shape in shapes.items()
    }


def _normal(name: str, shape: list[int]) -> np.ndarray:
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) * SPREAD
    is_scale = name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1)  # of a normalisation
    return values.astype(np.float32) + np.float32(is_scale)
