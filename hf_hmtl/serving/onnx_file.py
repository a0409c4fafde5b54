"""The network as an ONNX file, and whether onnxruntime answers with it what the network answers."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from hf_hmtl.serving.network import INPUT, ExportedNetwork

KEY = "hf_hmtl"
"""Name of the metadata that hold `network.description` as JSON."""
BATCHES = (1, 2, 5, 64)
TOLERANCE = 1e-4
"""Largest difference of an output, as a share of its largest value (of 1 where that is smaller): float32 sums in
another order, and the fused layers of onnxruntime, stay two orders of magnitude below it."""
_PROVIDERS = ["CPUExecutionProvider"]
INSTALL = "pip install 'hf_hmtl[export]'"


def write(network: ExportedNetwork, described: dict, path: Path) -> None:
    """Write the network as one ONNX file with any number of rows in a batch.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        RuntimeError: torch cannot export this network, or a part of it is in training mode.
    """
    require_packages()
    network.require_evaluation()
    with _quietly():
        program = torch.onnx.export(
            network,
            (network.pixels(2),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[output.name for output in network.outputs],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
    program.model.metadata_props[KEY] = json.dumps(described)
    program.save(str(path), external_data=False)


def session(path: str | Path, threads: int = 0):
    """The session of onnxruntime for a file on the CPU; `threads` 0 leaves their number to onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(path), options, providers=_PROVIDERS)


def run(opened, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """{output: values} of a session for (rows, 3, side, side) uint8 pixels."""
    names = [output.name for output in opened.get_outputs()]
    return dict(zip(names, opened.run(names, {INPUT: pixels}), strict=True))


def largest_difference(network: ExportedNetwork, answer, batches: Sequence[int] = BATCHES) -> float:
    """By how much another way to compute the network differs from it, over batches of random pixels.

    Args:
        network: the network itself.
        answer: uint8 tensor -> values of all outputs, in their order.
        batches: rows of each batch.

    Returns:
        The largest difference of any output, as a share of its largest value or of 1.

    Raises:
        RuntimeError: an output has another shape.
    """
    worst = 0.0
    for rows in batches:
        pixels = network.pixels(rows, seed=rows)
        with torch.inference_mode():
            expected = [value.numpy() for value in network(pixels)]
        for output, one, other in zip(network.outputs, expected, answer(pixels), strict=True):
            other = np.asarray(other)
            if one.shape != other.shape:
                raise RuntimeError(f"{output.name} has the shape {other.shape} instead of {one.shape}")
            worst = max(worst, float(np.abs(one - other).max() / max(1.0, float(np.abs(one).max()))))
    return worst


def require_equal(what: str, difference: float) -> None:
    """Raises RuntimeError where an export answers something else than the network; NaN is something else."""
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"{what} differs from the network by {difference:.2g} of an output's largest value, allowed is "
            f"{TOLERANCE:g}: it is not written. Please report the backbone and the versions of torch and onnxruntime"
        )


def require_packages() -> None:
    """Raises ImportError, with what to type, where the packages of an export are missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"an ONNX export needs the package {error.name}. Type: {INSTALL}") from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what torch's exporter tells about its own steps; its errors are raised."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
