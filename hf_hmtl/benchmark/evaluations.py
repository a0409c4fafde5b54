"""Evaluation and feature extraction on files against a bare forward pass on tensors."""

import tempfile
from collections.abc import Callable, Iterator

import torch
from transformers import PrinterCallback

from hf_hmtl.analysis.probe import extract_features
from hf_hmtl.benchmark.faces import jpeg_faces
from hf_hmtl.benchmark.loops import USUAL, emotion
from hf_hmtl.benchmark.measuring import in_turn
from hf_hmtl.benchmark.rows import OURS, Row, compared
from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.trainer import HMTLTrainer

BARE = "bare forward on ready tensors"


def rows(rounds: int, backbone: str = USUAL, side: int = 224, batch: int = 32, count: int = 256) -> Iterator[Row]:
    """Rows of evaluation.

    Args:
        rounds: of each row.
        backbone, side, batch: of the network.
        count: images that are evaluated.
    """
    task, faces = emotion(), jpeg_faces(count)
    model = HMTLForImageClassification.for_tasks([task], backbone=backbone, image_size=side)
    model = model.to(memory_format=torch.channels_last).eval()
    with tempfile.TemporaryDirectory() as folder:
        arguments = HMTLTrainingArguments(
            folder, per_device_eval_batch_size=batch, report_to="none", disable_tqdm=True, log_level="error"
        )
        trainer = HMTLTrainer(model, arguments, [task], eval_dataset=faces)
        trainer.remove_callback(PrinterCallback)
        collator = EvaluationCollator([task], side)
        ways: dict[str, Callable] = {
            BARE: _bare_forward(model, side, batch, count),
            "evaluate": trainer.evaluate,
            "extract_features": lambda: extract_features(model, faces, collator, batch),
        }
        seconds = in_turn(ways, rounds)
    for name in ("evaluate", "extract_features"):
        pair = {OURS: seconds[name], BARE: seconds[BARE]}
        row = f"{name} on JPEGs / bare forward, {backbone} at {side} px"
        yield compared(row, pair, BARE, ">= 0.97", limit=True, images=count)


def _bare_forward(model: HMTLForImageClassification, side: int, batch: int, count: int) -> Callable[[], None]:
    pixels = torch.randint(256, (batch, 3, side, side), dtype=torch.uint8).to(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            for _ in range(count // batch):
                model(pixel_values=pixels)

    return run
