"""The network as it is exported: pixels in, the named outputs of its supervised heads out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from transformers.utils import CONFIG_NAME

from hf_hmtl.files import is_local
from hf_hmtl.model.answers_hmtl import CLASSES, YES_NO, Answer, answers_of, note_of
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.configuration_sequence_hmtl import HMTLSequenceConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification

INPUT = "pixel_values"
LOGITS = "logits"


@dataclass(frozen=True)
class Output:
    """A named output of the exported network.

    Attributes:
        name: `<head>_probabilities` and `<head>_logits` of classes and of yes-or-no questions, else the head's own.
        kind: that of the answer, or "logits".
        answer: how the head is read.
    """

    name: str
    kind: str
    answer: Answer


class ExportedNetwork(nn.Module):
    """The supervised network in float32 on the CPU, in evaluation mode: uint8 pixels to a tuple of all `outputs`.

    Args:
        model: one of ours; it is copied, and stays in the mode that it is in.
        heads: names of the heads that are asked for; all supervised ones by default.

    Raises:
        ValueError: there is no such head, or two outputs would have one name.
    """

    def __init__(self, model: HMTLForImageClassification, heads: Sequence[str] | None = None):
        super().__init__()
        self.answers = answers_of(model.config, heads)
        self.network = model.slim().float().cpu().eval().requires_grad_(False)
        self.outputs = [output for answer in self.answers for output in _outputs(answer)]
        (name, count), *_ = Counter(output.name for output in self.outputs).most_common(1)
        if count > 1:
            raise ValueError(f"{count} outputs would be called {name!r}; export fewer heads at once with --heads")
        self.require_evaluation()

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs, in their order, of (rows, 3, side, side) uint8 pixels."""
        predictions = self.network(pixel_values, return_dict=True).predictions
        values = []
        for output in self.outputs:
            prediction = predictions[output.answer.head]
            values.append(prediction.float() if output.kind == LOGITS else output.answer.values(prediction))
        return tuple(values)

    def require_evaluation(self) -> None:
        """Raises RuntimeError where a part is in training mode: batch norms and dropout would be exported as such."""
        training = [name or "the network" for name, module in self.network.named_modules() if module.training]
        if training:
            raise RuntimeError(f"{training[0]} and {len(training) - 1} others are in training mode")

    def pixels(self, rows: int, seed: int = 0) -> torch.Tensor:
        """(rows, 3, side, side) uint8 of random pixels, coarse as those of pictures are."""
        side = self.network.config.image_size
        coarse = torch.randint(256, (rows, 3, 4, 4), generator=torch.Generator().manual_seed(seed)).float()
        return nn.functional.interpolate(coarse, size=(side, side), mode="bilinear").to(torch.uint8)


def load(folder: str | Path) -> tuple[HMTLForImageClassification, HMTLImageProcessor]:
    """A saved model in evaluation mode, and its image processor; raises as `require_ours`."""
    require_ours(folder)
    model = HMTLForImageClassification.from_pretrained(folder)
    return model.eval(), HMTLImageProcessor.from_pretrained(folder)


def require_ours(model: str | Path, revision: str | None = None) -> None:
    """Raises where a name leads to no model that could be served.

    Args:
        model: folder, or name on the Hub.
        revision: branch, tag or commit there.

    Raises:
        OSError: the folder holds no model, or the Hub has none of that name.
        ValueError: it holds a model of another kind.
    """
    if is_local(str(model)) and not Path(model).is_dir():
        raise FileNotFoundError(f"{model}: there is no such folder; give what a training wrote, or a name of the Hub")
    if Path(model).is_dir() and not (Path(model) / CONFIG_NAME).is_file():
        raise FileNotFoundError(
            f"{model} has no {CONFIG_NAME}, so it holds no model; give the folder that a training wrote"
            f"{_such_as(Path(model))}"
        )
    try:
        kind = HMTLConfig.get_config_dict(model, revision=revision)[0].get("model_type")
    except OSError as error:
        if Path(model).is_dir():
            raise
        raise OSError(
            f"{model}: there is no such folder, and as a name of the Hub it leads to no model: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if kind == HMTLSequenceConfig.model_type:
        raise ValueError(
            f"{model} holds a network for faces in time, and images are answered and networks of images exported here. "
            "Load it by AutoModel.from_pretrained, or where clips have one answer by pipeline('video-classification')"
        )
    if kind != HMTLConfig.model_type:
        raise ValueError(f"{model} holds a model of the type {kind!r}, and none of hf_hmtl")


def _such_as(folder: Path) -> str:
    """The first model in the folders of a folder, as those of a comparison are, in the words of a message."""
    inside = sorted(path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(f"{depth}/{CONFIG_NAME}"))
    return f", such as {inside[0].parent}" if inside else ""


def description(network: ExportedNetwork, processor: HMTLImageProcessor, name: str, version: str) -> dict:
    """All that somebody needs to use the exported network, as JSON has it.

    Returns:
        outputs: [{name, kind, head, key, keys: names of classes, questions or numbers, unit, range}];
        preprocessing: size (side in pixels), crop_fraction, resample (Pillow's filter), layout, colours, dtype;
        face_margin, learned_from, note: as the model's configuration tells.
    """
    config = network.network.config
    return {
        "model": name,
        "made_by": f"hf_hmtl {version}",
        "outputs": [
            output.answer.described() | {"name": output.name, "kind": output.kind} for output in network.outputs
        ],
        "preprocessing": {
            "size": processor.size["height"],
            "crop_fraction": processor.crop_fraction,
            "resample": Image.Resampling(processor.resample).name.lower(),
            "layout": "rows, 3, height, width",
            "colours": "RGB",
            "dtype": "uint8",
        },
        "face_margin": config.face_margin,
        "learned_from": config.learned_from,
        "note": note_of(config),
    }


def _outputs(answer: Answer) -> list[Output]:
    if answer.kind not in (CLASSES, YES_NO):
        return [Output(answer.head, answer.kind, answer)]
    return [
        Output(f"{answer.head}_probabilities", answer.kind, answer),
        Output(f"{answer.head}_{LOGITS}", LOGITS, answer),
    ]
