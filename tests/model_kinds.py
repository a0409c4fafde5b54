"""One tiny model of every kind that a folder or a repository can hold, and the pixels to ask them with."""

import torch

from hf_hmtl import HMTLConfig, HMTLForImageClassification

SIDE = 32
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
