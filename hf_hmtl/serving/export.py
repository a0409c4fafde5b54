"""One export, from a model's folder to a folder of files that are whole and answer as the model does."""

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_hmtl._version import __version__
from hf_hmtl.files import weights_of, without_place
from hf_hmtl.model.answers_hmtl import CLASSES
from hf_hmtl.serving import onnx_file, program, quantization
from hf_hmtl.serving.images import image_files
from hf_hmtl.serving.network import ExportedNetwork, description, load

ONNX, INT8, PROGRAM = "model.onnx", "model_int8.onnx", "model.pt2"
EXAMPLE, RECORD = "example.py", "export.json"
FORMATS = {"onnx": ONNX, "program": PROGRAM}
_OURS = (ONNX, INT8, PROGRAM, EXAMPLE, RECORD)


@dataclass(frozen=True)
class Choices:
    """What is exported.

    Attributes:
        formats: "onnx", "program", or both.
        heads: names of heads; all supervised ones where none is named.
        int8: folder of images that a file in 8 bits is calibrated on, or None for no such file.
        check: folder of class folders on which the file in 8 bits may lose a point of accuracy, or None.
    """

    formats: Sequence[str] = ("onnx",)
    heads: Sequence[str] = ()
    int8: Path | None = None
    check: Path | None = None


@dataclass
class Exported:
    """What came out.

    Attributes:
        folder: where the files are.
        differences: {file: largest difference from the network, as a share of an output's largest value}.
        int8: {images, checked_on, accuracy, accuracy_float32, withdrawn: the reason, or None} of the file in 8 bits; {}
            where none was asked for.
    """

    folder: Path
    differences: dict[str, float] = field(default_factory=dict)
    int8: dict[str, Any] = field(default_factory=dict)


def export(model: str | Path, target: Path, choices: Choices) -> Exported:
    """Write the files of an export; each is compared with the network on random pixels before it counts.

    Everything is written beside the target first, so that a folder never holds half an export, nor files of two.

    Args:
        model: folder or Hub name of a saved model.
        target: folder to write into; of an earlier export there nothing is left.
        choices: what is wanted.

    Raises:
        ImportError: a package is missing.
        OSError: the model cannot be read, or the target not be written.
        ValueError: a head, a format or a folder of images is not what it has to be.
        RuntimeError: torch cannot export this network, or the export answers something else.
    """
    unknown = [name for name in choices.formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"--formats has {unknown[0]!r}; there are {', '.join(FORMATS)}")
    if choices.int8 and "onnx" not in choices.formats:
        raise ValueError("--int8 makes a second ONNX file beside the first: add onnx to --formats")
    if choices.check and not choices.int8:
        raise ValueError("--check judges the file in 8 bits: give the images that it is calibrated on, --int8 DIR")
    if "onnx" in choices.formats:
        onnx_file.require_packages()
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"--output {target} is a file; give a folder")
    loaded, processor = load(model)
    network = ExportedNetwork(loaded, choices.heads)
    calibration = image_files(choices.int8, "--int8") if choices.int8 else []
    if choices.int8:
        quantization.require_enough(calibration)
    truth = quantization.labelled(choices.check, _classes(network).keys) if choices.check else {}
    described = description(network, processor, without_place(str(model)), __version__)
    done = Exported(target)
    target.mkdir(parents=True, exist_ok=True)
    staging = target / ".writing"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        if "program" in choices.formats:
            program.write(network, staging / PROGRAM)
            done.differences[PROGRAM] = onnx_file.largest_difference(network, program.module(staging / PROGRAM))
        if "onnx" in choices.formats:
            onnx_file.write(network, described, staging / ONNX)
            opened = onnx_file.session(staging / ONNX)
            done.differences[ONNX] = onnx_file.largest_difference(
                network, lambda pixels: onnx_file.run(opened, pixels.numpy()).values()
            )
            text = Path(__file__).with_name("example.txt").read_text(encoding="utf-8")
            (staging / EXAMPLE).write_text(text, encoding="utf-8")
        for name, difference in done.differences.items():
            onnx_file.require_equal(name, difference)
        if choices.int8:
            quantization.quantize(staging / ONNX, staging / INT8, calibration, processor)
            done.int8 = {"images": len(calibration), "withdrawn": None}
            if choices.check:
                done.int8 |= _judged(network, staging, truth, processor)
        weights = weights_of(Path(model)) if Path(model).is_dir() else {}  # a push looks whether they are still those
        record = {"made_of": described, "weights": weights, **dataclasses.asdict(done)}
        del record["folder"]
        (staging / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for path in sorted(staging.iterdir()):
            os.replace(path, target / path.name)
        for name in _OURS:
            if name not in {*_written(choices, done)}:
                (target / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not any(target.iterdir()):
            target.rmdir()
    return done


def report(done: Exported) -> str:
    """What a person reads about an export, a line a file."""
    lines = []
    for name, difference in done.differences.items():
        size = (done.folder / name).stat().st_size / 1e6
        rows = ", ".join(map(str, onnx_file.BATCHES))
        lines.append(f"{done.folder / name}  {size:.1f} MB, differs by {difference:.1g} at batches of {rows}")
    if done.int8.get("withdrawn"):
        lines.append(f"{INT8} is not written: {done.int8['withdrawn']}")
    elif done.int8:
        size = (done.folder / INT8).stat().st_size / 1e6
        judged = "not checked on labelled images (--check DIR)"
        if "accuracy" in done.int8:
            both = done.int8["accuracy"], done.int8["accuracy_float32"]
            judged = f"accuracy {both[0]:.4f} instead of {both[1]:.4f} on {done.int8['checked_on']} images"
        lines.append(f"{done.folder / INT8}  {size:.1f} MB, calibrated on {done.int8['images']} images, {judged}")
    return "\n".join(lines)


def _classes(network: ExportedNetwork):
    """How the head is read that a labelled folder is about: the primary one, with classes."""
    primary = network.network.config.primary
    for answer in network.answers:
        if answer.head == primary and answer.kind == CLASSES:
            return answer
    raise ValueError(
        f"--check needs classes, and the primary head {primary!r} has none or is not exported. Leave --check out"
    )


def _judged(network: ExportedNetwork, staging: Path, truth: dict[Path, str], processor) -> dict[str, Any]:
    """The accuracy of both files; the one in 8 bits is removed where it loses too much."""
    answer = _classes(network)
    output = f"{answer.head}_probabilities"
    before, after = (
        quantization.accuracy(staging / name, output, truth, answer.keys, processor) for name in (ONNX, INT8)
    )
    judged: dict[str, Any] = {"checked_on": len(truth), "accuracy": after, "accuracy_float32": before}
    if before - after > quantization.LARGEST_LOSS:
        (staging / INT8).unlink()
        judged["withdrawn"] = (
            f"in 8 bits the accuracy of {answer.head!r} on {len(truth)} images is {after:.4f} instead of {before:.4f}, "
            f"and more than {quantization.LARGEST_LOSS:g} is lost"
        )
    return judged


def _written(choices: Choices, done: Exported) -> list[str]:
    """Names of the files that belong to this export."""
    names = [*done.differences, RECORD]
    if "onnx" in choices.formats:
        names.append(EXAMPLE)
    if done.int8 and not done.int8["withdrawn"]:
        names.append(INT8)
    return names
