"""What a network takes for an answer on the CPU: as it is, channels last, compiled, as ONNX, and as ONNX in 8 bits."""

import copy
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from hf_hmtl.benchmark.faces import jpeg_faces
from hf_hmtl.benchmark.loops import USUAL, emotion
from hf_hmtl.benchmark.measuring import in_turn
from hf_hmtl.benchmark.rows import OURS, Row, compared, missing_row
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.run.process import cores_of_this_process
from hf_hmtl.serving import onnx_file, quantization
from hf_hmtl.serving.network import ExportedNetwork, description

EAGER = "eager"
GOALS = {"ONNX": ">= 1.5"}
"""At one image; the others have none."""
WAYS = ("channels last", "compiled", "ONNX", "ONNX in 8 bits")
_CALIBRATION = 64

Answering = Callable[[torch.Tensor], object]


def rows(rounds: int, backbone: str = USUAL, side: int = 224, batch: int = 32, images: int = 64) -> Iterator[Row]:
    """Rows of one image, and of a batch, each against the model as it is.

    Args:
        rounds: of each row.
        backbone, side: of the network.
        batch: images of the larger batch.
        images: that one measurement passes, one by one or in batches.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = HMTLForImageClassification.for_tasks([emotion()], backbone=backbone, image_size=side)
        ways, missing = _ways(model, folder)
        for count in (1, batch):
            repeats = max(1, images // count)
            pixels = torch.randint(256, (count, 3, side, side), dtype=torch.uint8)
            with torch.inference_mode():
                seconds = in_turn({name: _passing(way, pixels, repeats) for name, way in ways.items()}, rounds)
            for name in WAYS:
                goal = GOALS.get(name, "") if count == 1 else ""
                row = f"{name} / eager, {backbone} at {side} px, batches of {count}"
                if name in missing:
                    yield missing_row(row, goal, missing[name])
                    continue
                pair = {OURS: seconds[name], EAGER: seconds[EAGER]}
                took, eager = (1000 * statistics.median(each) / repeats for each in pair.values())
                note = f"{took:.2f} ms a batch, eager {eager:.2f} ms"
                yield compared(row, pair, EAGER, goal, limit=False, images=count * repeats, note=note)


def _passing(way: Answering, pixels: torch.Tensor, repeats: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(repeats):
            way(pixels)

    return run


def _ways(model: HMTLForImageClassification, folder: str) -> tuple[dict[str, Answering], dict[str, str]]:
    """{way: what answers}, and {way: why it is not to be had here}."""
    model = model.eval()
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    ways: dict[str, Answering] = {
        EAGER: model,
        "channels last": lambda pixels: last(pixels.contiguous(memory_format=torch.channels_last)),
    }
    missing: dict[str, str] = {}
    try:
        compiled = torch.compile(copy.deepcopy(model))
        with torch.inference_mode():
            compiled(torch.zeros(2, 3, model.config.image_size, model.config.image_size, dtype=torch.uint8))
        ways["compiled"] = compiled
    except RuntimeError as error:  # no compiler of C++ on this machine
        missing["compiled"] = f"torch.compile: {str(error).splitlines()[0]}"
    try:
        for name, path in _files(model, Path(folder)).items():
            opened = onnx_file.session(path, cores_of_this_process())
            ways[name] = lambda pixels, opened=opened: onnx_file.run(opened, pixels.numpy())  # type: ignore[misc]
    except ImportError as error:
        missing |= dict.fromkeys(("ONNX", "ONNX in 8 bits"), str(error))
    return ways, missing


def _files(model: HMTLForImageClassification, folder: Path) -> dict[str, Path]:
    """The ONNX files, the one in 8 bits calibrated on drawn faces."""
    network, processor = ExportedNetwork(model), HMTLImageProcessor(size=model.config.image_size)
    files = {"ONNX": folder / "model.onnx", "ONNX in 8 bits": folder / "model_int8.onnx"}
    onnx_file.write(network, description(network, processor, "benchmark", ""), files["ONNX"])
    images = [folder / f"{number}.jpg" for number in range(_CALIBRATION)]
    for path, row in zip(images, jpeg_faces(_CALIBRATION), strict=True):
        path.write_bytes(row["image"]["bytes"])
    quantization.quantize(files["ONNX"], files["ONNX in 8 bits"], images, processor)
    return files
