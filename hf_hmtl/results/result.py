"""result.json: what one training run did and what came out, with a versioned schema.

Model cards and comparison tables are made from this file alone. Splits are called train, validation and test; only the
keys of `metrics` and `baselines` carry the prefixes of transformers' Trainer: train_, eval_ (validation) and test_.
"""

import dataclasses
import json
import math
import os
import platform
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

from hf_hmtl import printed
from hf_hmtl._version import __version__
from hf_hmtl.files import replacing
from hf_hmtl.metrics.measure import SHARE, Measure
from hf_hmtl.parsing import read_json, shown
from hf_hmtl.results.groups import require_scores
from hf_hmtl.results.schema import require_shape
from hf_hmtl.results.versions import PRESENT, upgraded
from hf_hmtl.workers import usable_cores

SPLITS = {"train_": "train", "eval_": "validation", "test_": "test"}  # metric prefix -> name of the split

# The keys of each group, every one required. A group that may be None says so in _OPTIONAL.
_GROUPS = {
    "model": ("backbone", "image_size", "base_model", "primary", "supervised", "auxiliary"),
    "protocol": ("selection", "reported_on", "notes"),
    "data": ("source", "fingerprint", "licence", "citation", "notes"),
    "paper": printed.KEYS,
    "hardware": ("system", "cpu", "cores", "gpus"),
    "seconds": ("total", "per_step"),
    "parameters": ("total", "supervised", "auxiliary"),
    "execution": ("processes", "device", "precision", "global_batch"),
}
_FURTHER = {"paper": printed.FURTHER_KEYS}  # keys that a group may have
_JSON: dict[str, Any] = {"indent": 2, "ensure_ascii": False, "allow_nan": False}
_SELECTION = ("metric", "split", "step", "epoch")
_OPTIONAL = ("paper", "execution")
_PACKAGES = ("torch", "transformers", "timm", "datasets", "accelerate")


@dataclasses.dataclass
class Result:
    """One finished run; every value becomes plain Python data when the object is made.

    Args:
        name: recipe and row, such as "fer2013/puzzle-3x3".
        recipe: the full recipe; absolute paths are kept as their last part, so that no file names a machine's folders.
        model: {backbone, image_size, base_model: Hub id of the weights it started from or None, primary: head shown by
            the pipeline, supervised: [heads that stay], auxiliary: [heads that were dropped after training]}.
        metrics: floats by train_/eval_/test_ + task + measure, such as "eval_emotion_accuracy"; NaN where undefined.
        baselines: the same keys for the answer that needs no image (the majority class, the mean number).
        confusion: {split: {task: {labels: [...], matrix: rows true, columns answered}}}.
        rows: {split: {rows: int, classes: {task: {label: int}}}}.
        protocol: {selection: {metric, split, step, epoch} or None if the last weights were kept,
            reported_on: validation or test, notes: [sentences]}.
        seeds: {purpose: int}, such as {"training": 0, "fraction": 0}.
        data: {source, fingerprint, licence, citation, notes: [sentences]}.
        packages, hardware: what `environment` returns.
        seconds: {total, per_step}.
        parameters: {total, supervised, auxiliary}: total while training, supervised in the final model.
        steps: optimiser steps taken.
        epochs: passes over the training rows.
        broken_images: {split: rows whose image could not be decoded}.
        scored: {split: {task: rows that its scores are over}}.
        measures: {task: [its measures, the headline first: {name, greater_is_better, unit}]}.
        history: the log of the run, a list of dicts as transformers' Trainer.state.log_history.
        paper: the paper's own figures, as `hf_hmtl.printed` describes them: {table, row, metric: key of `metrics`
            without its split, value in the unit of that measure, and where it prints more, also, plus_minus and
            in_table}, or None.
        finished: ISO time at which the run ended, or None.
        execution: {processes, device, precision: float32 | bfloat16 | float16, global_batch: rows a step}; None in
            files of version 1.
        left_out: {split, or "folder" for files of no split: {reason: {count, names: the first of them, what: words}}},
            files and rows that were found and not used.
        left_out_steps: numbers of the steps that changed nothing, because a loss, a prediction or a gradient was not
            finite (`--on_nonfinite skip`).
        groups: {task: {column: {value: {measure: score}}}}, scores by group of rows of the reported split; beside them
            rows, low, high and few, as `results.groups` makes them.
        fold: {number, of}: which part of a cross-validation this run is, from 1; number is None where the answers of
            all parts are laid together. None for no cross-validation.
        sources: {name: {split: rows}} where several were mixed.
        calibration: {task: {expected_error, brier, confidence, count, reliability: [bins]}}: how well its
            probabilities hold on the reported split, as `results.calibration` makes it.
        started_from: {name, base_model: Hub id or None, sources: data that these weights have learned from} of the
            weights that the backbone started from, or None for random ones.

        heads: {task: what its head answers: kind, and labels of classes or attributes, or names, unit and range of
            numbers}; empty in earlier files.
        seconds_an_image: of the saved network about one image, on the device of the training; None in earlier files and
            where no head is saved.

    Later work adds optional keys only; what a newer hf_hmtl has added to a file of the present version is passed over.

    Raises:
        ValueError: a group misses a key or has an unknown one, a metric has no split prefix, a split is unknown, or a
            share of the paper is given in percent.
        TypeError: a value cannot be written as JSON.
    """

    name: str
    recipe: dict[str, Any]
    model: dict[str, Any]
    metrics: dict[str, float]
    baselines: dict[str, float]
    confusion: dict[str, dict[str, dict[str, list]]]
    rows: dict[str, dict[str, Any]]
    protocol: dict[str, Any]
    seeds: dict[str, int]
    data: dict[str, Any]
    packages: dict[str, str]
    hardware: dict[str, Any]
    seconds: dict[str, float]
    parameters: dict[str, int]
    steps: int
    epochs: float
    broken_images: dict[str, int]
    scored: dict[str, dict[str, int]]
    measures: dict[str, list[dict[str, Any]]]
    history: list[dict[str, Any]]
    paper: dict[str, Any] | None = None
    finished: str | None = None
    execution: dict[str, Any] | None = None
    left_out: dict[str, Any] = dataclasses.field(default_factory=dict)
    left_out_steps: list[int] = dataclasses.field(default_factory=list)
    groups: dict[str, Any] = dataclasses.field(default_factory=dict)
    fold: dict[str, Any] | None = None
    sources: dict[str, Any] = dataclasses.field(default_factory=dict)
    calibration: dict[str, Any] = dataclasses.field(default_factory=dict)
    started_from: dict[str, Any] | None = None
    heads: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    seconds_an_image: float | None = None
    schema_version: int = PRESENT

    def __post_init__(self):
        self.recipe, self.left_out = without_folders(self.recipe), without_folders(self.left_out)
        for field in dataclasses.fields(self):
            setattr(self, field.name, _plain(getattr(self, field.name), field.name))
        for group, keys in _GROUPS.items():
            if getattr(self, group) is not None or group not in _OPTIONAL:
                _require(getattr(self, group), keys, group, _FURTHER.get(group, ()))
        if self.protocol["selection"] is not None:
            _require(self.protocol["selection"], _SELECTION, "protocol.selection")
        self._check_splits()
        self._check_paper()

    def measures_of(self, task: str) -> list[Measure]:
        """The measures of a task, the headline first; none where the run did not learn it."""
        return [Measure(**measure) for measure in self.measures.get(task, [])]

    @property
    def learned_from(self) -> list[str]:
        """Names of the sources that these weights have learned from, before this run too."""
        earlier = self.started_from["sources"] if self.started_from else []
        own = self.recipe.get("source", {}).get("name", self.data["source"])
        return list(dict.fromkeys([own, *self.sources, *earlier]))

    def write(self, path: str | Path) -> None:
        """Write strict JSON to `path` (NaN and infinity as null), so that no reader ever sees half of it."""
        with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
            json.dump(_finite(dataclasses.asdict(self)), file, **_JSON)
            file.write("\n")

    def to_json(self) -> str:
        """Strict JSON, as the file holds it."""
        return json.dumps(_finite(dataclasses.asdict(self)), **_JSON) + "\n"

    def _check_splits(self) -> None:
        for group in ("metrics", "baselines"):
            for key in getattr(self, group):
                if not key.startswith(tuple(SPLITS)):
                    raise ValueError(
                        f"{group} has the key {shown(key)}; it must start with one of {', '.join(SPLITS)}."
                    )
        named = {group: list(getattr(self, group)) for group in ("confusion", "rows", "broken_images", "scored")}
        named["protocol.reported_on"] = [self.protocol["reported_on"]]
        for where, splits in named.items():
            unknown = [split for split in splits if split not in SPLITS.values()]
            if unknown:
                raise ValueError(
                    f"{where} names the split {shown(unknown[0])}; splits are {', '.join(SPLITS.values())}."
                )

    def _check_paper(self) -> None:
        if self.paper is None:
            return
        shares = {
            f"{task}_{measure.name}"
            for task in self.measures
            for measure in self.measures_of(task)
            if measure.unit == SHARE
        }
        for metric, value in printed.figures(self.paper).items():
            if metric.startswith(tuple(SPLITS)):
                raise ValueError(f"paper.metric is {shown(metric)}; leave out its split: {metric.split('_', 1)[1]!r}.")
            if metric in shares and not 0 <= value <= 1:
                raise ValueError(
                    f"paper.value of {metric} is {value}, but it is measured as a share from 0 to 1; "
                    f"if it is in percent, write {value / 100:.6g}."
                )


def read(path: str | Path) -> Result:
    """Read a result.json of any version; nulls in metrics, baselines and history come back as NaN.

    Raises:
        ValueError: the file is no JSON, has no or a newer schema version, or misses a key.
    """
    values = read_json(Path(path))
    version = values.get("schema_version") if isinstance(values, dict) else None
    if type(version) is not int:
        raise ValueError(f"{path} has no schema_version, so it is not the result.json of a training run.")
    if not 1 <= version <= PRESENT:
        raise ValueError(
            f"{path} has schema version {version}; this hf_hmtl reads versions 1 to {PRESENT}. "
            "Update with `pip install --upgrade hf_hmtl`, or train again."
        )
    try:
        values = upgraded(values)
        require_shape(values)
        _require_square(values.get("confusion", {}))
        require_scores(values.get("groups", {}))
        fields = {field.name: field for field in dataclasses.fields(Result)}
        missing = [name for name, field in fields.items() if _is_required(field) and name not in values]
        if missing:
            raise ValueError(f"the file lacks {', '.join(missing)}")
        for group in ("metrics", "baselines"):
            values[group] = _nan_for_none(values[group])
        values["history"] = [_nan_for_none(entry) for entry in values["history"]]
        return Result(**{name: value for name, value in values.items() if name in fields})
    except KeyError as error:
        raise ValueError(f"{path} does not follow schema version {version}: it lacks {error}") from error
    # Of an earlier version, before it is upgraded, values may be of any type.
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{path} does not follow schema version {version}: {error}") from error


def _require_square(confusion: dict[str, Any]) -> None:
    for task, found in (pair for tasks in confusion.values() for pair in tasks.items()):
        sizes = {len(found["matrix"]), *map(len, found["matrix"])}
        if sizes != {len(found["labels"])}:
            raise ValueError(f"the confusion of {shown(task)} is not a row and a column for each of its labels")


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def environment() -> dict[str, dict[str, Any]]:
    """Describe packages and hardware without the network, and without names of users, hosts or folders.

    Returns:
        packages: {name: version}, python included.
        hardware: {system, cpu: model name, cores: those this process may use, gpus: [names]}.
    """
    packages = {"python": platform.python_version(), "hf_hmtl": __version__}
    packages |= {name: metadata.version(name) for name in _PACKAGES}
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    hardware = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "gpus": gpus,
    }
    return {"packages": packages, "hardware": hardware}


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux; platform.processor() is empty or only the architecture there
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _require(values: dict[str, Any], keys, where: str, further=()) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"{where} must be a dict with the keys {', '.join(keys)}; got {values!r}.")
    missing = [key for key in keys if key not in values]
    unknown = [key for key in values if key not in (*keys, *further)]
    if missing or unknown:
        found = [f"lacks {', '.join(missing)}"] * bool(missing) + [
            f"has the unknown {', '.join(unknown)[:200]}"
        ] * bool(unknown)
        raise ValueError(f"{where} {' and '.join(found)}; its keys are {', '.join((*keys, *further))}.")


def _plain(value: Any, where: str) -> Any:
    """Python data only, exactly as JSON gives it back, so that a Result equals itself after a round trip."""
    if isinstance(value, dict):
        return {str(key): _plain(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(inner, where) for inner in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{where} holds a {type(value).__name__}, which is no JSON; give text, numbers, lists or dicts.")


def without_folders(value: Any) -> Any:
    """Keep the last part of absolute paths, wherever they stand."""
    if isinstance(value, dict):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(inner) for inner in value]
    if isinstance(value, str | os.PathLike):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute():
                return kind(value).name
        return str(value)
    return value


def _finite(value: Any) -> Any:
    """None for NaN and infinity, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nan_for_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in values.items()}
