"""The record of what a run was asked for, kept beside its checkpoints, so that a resumed run cannot silently change."""

import hashlib
import json
from pathlib import Path
from typing import Any

from hf_hmtl.files import replacing
from hf_hmtl.parsing import read_json
from hf_hmtl.results.free_record import free_record

NAME = "run.json"
FREE_NAME = "record.json"  # as the Hub has it, in the branch that a training can go on from

# Training arguments that change what is learned.
DECISIVE = (
    "num_train_epochs", "max_steps", "learning_rate", "optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon",
    "weight_decay", "max_grad_norm", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "decay_epochs",
    "gradient_accumulation_steps", "early_stopping_patience", "seed", "data_seed", "precision",
    "dataloader_drop_last", "channels_last", "sync_batchnorm",
)  # fmt: skip
VERSION = 3


def record(experiment) -> dict[str, Any]:
    """Flat mapping of everything that decides the result: recipe, training arguments, data, task files of one's own."""
    args = experiment.args
    flat = _flat({"recipe": experiment.recipe.to_dict()})
    usual_of = {"report_groups": [], "mixed_with": [], "label_fraction": 1.0, "without_classes": {}, "sequence": None}
    for option, usual in usual_of.items():
        if getattr(experiment.recipe, option) == usual:
            del flat[f"recipe.{option}"]  # runs that began before there was such an option go on
    flat |= {f"training.{name}": plain(getattr(args, name)) for name in DECISIVE}
    if not args.sync_batchnorm:
        del flat["training.sync_batchnorm"]  # as above
    flat["training.global_batch_size"] = args.train_batch_size * args.world_size
    flat["version"] = VERSION
    for group in (experiment.recipe.supervised, experiment.recipe.auxiliary):
        for name, settings in group.items():
            if str((settings or {}).get("task")).endswith(".py"):
                flat[f"task_file.{name}"] = hashlib.sha256(Path(settings["task"]).read_bytes()).hexdigest()
    for task in experiment.supervised:
        flat[f"labels.{task.name}"] = list(getattr(task, "labels", ()))
    flat["data.fingerprint"] = experiment.fingerprint
    flat["data.train_rows"] = len(experiment.splits["train"])
    return json.loads(json.dumps(flat))


def write_record(folder: Path, content: dict[str, Any]) -> None:
    """Write the record of a new run."""
    with replacing(folder / NAME) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def has_record(folder: str | Path) -> bool:
    """Whether a run has begun in this folder."""
    return (Path(folder) / NAME).is_file()


def check_unchanged(folder: Path, content: dict[str, Any]) -> None:
    """Raise when a run is resumed with other options than it began with.

    Raises:
        ValueError: it names every difference, with the old and the new value.
    """
    path = next((folder / name for name in (NAME, FREE_NAME) if (folder / name).is_file()), folder / NAME)
    if not path.is_file():
        raise ValueError(f"{folder} has no {NAME}, so its options are unknown; start a new run instead")
    before = read_json(path)
    if before.get("version", 1) < VERSION:
        raise ValueError(
            f"{folder} was begun by an earlier hf_hmtl, which trained in another way, so it would not go on to the "
            "same weights. Finish it with that version, or train into another --output_dir"
        )
    if path.name == FREE_NAME:
        before, content = free_record(before), free_record(content)
    missing = object()
    changed = [
        f"{key}: {before.get(key, 'unset')!r} then, {content.get(key, 'unset')!r} now"
        for key in sorted({*before, *content})
        if before.get(key, missing) != content.get(key, missing)
    ]
    if changed:
        raise ValueError(
            f"this run began with other options, so it cannot be resumed: {'; '.join(changed)}. "
            "Resume with the old ones, or train into another --output_dir"
        )


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in nested.items():
        if isinstance(value, dict) and value and key != "training":
            flat |= _flat(value, f"{prefix}{key}.")
        elif key != "training":  # defaults of the arguments, which are recorded by their final values
            flat[f"{prefix}{key}"] = value
    return flat


def plain(value: Any) -> Any:
    """An option as JSON and YAML have it."""
    return getattr(value, "value", value)
