"""The ONNX file in 8 bits: static, one scale a channel, calibrated on images, and what it costs on labelled ones."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor, ImageError
from hf_hmtl.serving import onnx_file
from hf_hmtl.serving.network import INPUT

LARGEST_LOSS = 0.01
"""Accuracy that the file in 8 bits may lose on labelled images: a point."""
FEWEST, MOST = 8, 512
"""Images for the calibration: with fewer the ranges are chance; more only take time."""
_ROWS = 16


def pixels_of(paths: Sequence[Path], processor: HMTLImageProcessor, rows: int, doing: str) -> Iterator[np.ndarray]:
    """Batches (up to rows, 3, side, side) uint8 of image files, with a bar.

    Raises:
        ValueError: a file is no image; the message names it.
    """
    with tqdm(total=len(paths), desc=doing, unit="image", disable=None) as bar:
        for first in range(0, len(paths), rows):
            part = [str(path) for path in paths[first : first + rows]]
            try:
                yield processor(part, return_tensors="np")["pixel_values"]
            except ImageError as error:
                raise ValueError(f"{doing}: {error} Take the file out of the folder") from error
            bar.update(len(part))


def require_enough(paths: Sequence[Path]) -> None:
    """Raises ValueError where there are fewer than 8 images."""
    if len(paths) < FEWEST:
        raise ValueError(
            f"--int8 has {len(paths)} images, and needs {FEWEST} or more (a few hundred are good) to see the ranges of "
            "numbers in the network. Give a folder of images like those that it will be used on"
        )


def quantize(source: Path, target: Path, paths: Sequence[Path], processor: HMTLImageProcessor) -> None:
    """Write an ONNX file whose convolutions and matrix products compute in 8 bits.

    Weights are int8 with a scale of their own for each output channel, activations uint8 with ranges that the images
    show (Jacob et al. 2018, arXiv 1712.05877). The normalisation of the pixels and the heads stay in float32: they are
    a thousandth of the work, and a mean over bins of three degrees would show the steps of a logit in 8 bits.

    Args:
        source: the file in float32.
        target: where to write.
        paths: 8 images or more, like those that it will see; of more than 512 every n-th is taken.
        processor: of the model.

    Raises:
        ValueError: an image is broken.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        """What onnxruntime asks for the batches."""

        def __init__(self):
            self.batches = pixels_of(_spread(paths), processor, _ROWS, "calibration")

        def get_next(self):
            """The next batch, None at the end."""
            pixels = next(self.batches, None)
            return None if pixels is None else {INPUT: pixels}

    prepared = target.with_name(f"prepared-{source.name}")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it warns there that the graph is not prepared, whatever has been prepared
    try:
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_kept_in_float(prepared),
        )
    finally:
        root.setLevel(level)
        prepared.unlink(missing_ok=True)


def labelled(folder: Path, labels: Sequence[str]) -> dict[Path, str]:
    """{image: class} of a folder of class folders.

    Raises:
        ValueError: a folder is called like no class, or there is no image.
    """
    found = {}
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if inner.name not in labels:
            raise ValueError(
                f"--check {folder}: the folder {inner.name!r} is called like no class of the model. Its classes: "
                f"{', '.join(labels)}"
            )
        found |= {path: inner.name for path in sorted(inner.iterdir()) if path.is_file() and path.name[0] != "."}
    if not found:
        raise ValueError(f"--check {folder} has no class folders with images; name them {', '.join(labels)}")
    return found


def accuracy(file: Path, output: str, truth: dict[Path, str], keys: Sequence[str], processor) -> float:
    """Share of the images whose class the file answers."""
    opened, paths, right = onnx_file.session(file), list(truth), 0
    wanted = iter(truth.values())
    for pixels in pixels_of(paths, processor, _ROWS, "check"):
        for row in onnx_file.run(opened, pixels)[output]:
            right += keys[int(row.argmax())] == next(wanted)
    return right / len(paths)


def _spread(paths: Sequence[Path]) -> list[Path]:
    """At most `MOST` of them, evenly over their order, since folders are sorted by class."""
    return [paths[index] for index in sorted(set(np.linspace(0, len(paths) - 1, MOST).astype(int)))]


def _kept_in_float(path: Path) -> list[str]:
    """Names of the nodes before the backbone, which normalise pixels, and of those behind it: all that stand on a
    weight of a head, and what follows from them."""
    import onnx

    graph = onnx.load(str(path)).graph
    weights = {tensor.name for tensor in graph.initializer}
    behind, names, before = {name for name in weights if ".heads." in f".{name}"}, [], True
    for node in graph.node:  # in the order in which they are computed
        before = before and not any(".backbone." in name for name in weights.intersection(node.input))
        if before or behind.intersection(node.input):
            names.append(node.name)
        if behind.intersection(node.input):
            behind.update(node.output)
    return names
