"""What may leave this machine: for each branch of a repository the files that it holds, each with its reason.

Everything is named here or stays. From a run's folder no `run.json`, `predictions.parquet`, `training_args.bin`, log or
picture of a batch ever goes, and no file that somebody has put beside them.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from transformers.dynamic_module_utils import get_relative_import_files

from hf_hmtl.files import weights_of
from hf_hmtl.parsing import read_json, shown
from hf_hmtl.results.card import render, render_unmeasured
from hf_hmtl.results.free_record import free_record
from hf_hmtl.results.result import Result, read, without_folders

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
PROCESSOR, RESULT, CARD = "preprocessor_config.json", "result.json", "README.md"
OF_A_RUN = {"curves.png": "the log as a picture", "recipe.yaml": "the recipe, which makes the run again"}
OF_A_CHECKPOINT = {
    "optimizer.pt": "the state of the optimizer",
    "scheduler.pt": "the state of the schedule",
    "scaler.pt": "the state of the loss scaling",
    "hmtl_state.json": "measured loss weights, and what was gathered since the last log",
}
EXPORTS, EXPORT_RECORD = "onnx", "export.json"
OF_AN_EXPORT = {
    "model.onnx": "the network as ONNX",
    "model_int8.onnx": "the same in 8 bits",
    "model.pt2": "the network as a program of torch.export",
    "example.py": "how the ONNX file is asked, without torch",
    EXPORT_RECORD: "how far the exports were compared with the network",
}
RANDOM_STATES = "rng_state*.pth"
STATE, RECORD, FREE_RECORD = "trainer_state.json", "run.json", "record.json"
MAIN, WITH_HEADS, TRAINING = "main", "with-heads", "training"
_FRAMES = ("backbone", "image_size", "pixel_mean", "pixel_std")
IDENTITY = {
    "hmtl": (*_FRAMES, "heads", "primary"),
    "hmtl-sequence": (
        "recurrent", "layers", "units", "bidirectional", "answers", "summary", "id2label", "problem_type",
        *(f"frame_config.{name}" for name in _FRAMES),
    ),
}  # fmt: skip
"""{model type: the parts of a configuration that make it another network}."""
_NOTES = {
    WITH_HEADS: "This branch keeps the heads that served training only, to look into them or to train on.",
    TRAINING: "This branch holds checkpoints with the states of optimizer and random numbers. Download it into a "
    "folder, and train with --output_dir FOLDER --resume_from_checkpoint last and the options of the run.",
}


@dataclass(frozen=True)
class Part:
    """A file of a repository.

    Attributes:
        path: its name there.
        content: the file here, or what is written anew for it.
        reason: why it goes.
    """

    path: str
    content: Path | bytes
    reason: str

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def read(self) -> bytes:
        """Its content."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


def result_of(folder: Path) -> Result | None:
    """The result of a run's folder as it may be published, None where nothing was measured."""
    if not (folder / RESULT).is_file():
        return None
    result = read(folder / RESULT)
    return dataclasses.replace(result, left_out=_counts(result.left_out))


def _counts(ledger: dict[str, Any]) -> dict[str, Any]:
    """Numbers alone: names of rows that were left out are names of people's pictures."""
    nested = {key: _counts(value) if isinstance(value, dict) else value for key, value in ledger.items()}
    return {key: value for key, value in nested.items() if isinstance(value, dict | int | float)}


def config_of(folder: Path) -> dict[str, Any]:
    """The configuration of a saved model of ours.

    Raises:
        FileNotFoundError, ValueError: there is none.
    """
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(
            f"{folder} has no {CONFIG}, so it holds no model. Give the folder that a training wrote, or one that "
            "model.slim().save_pretrained(FOLDER) wrote"
        )
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ValueError(f"{folder / CONFIG} is no configuration of a model")
    if config["model_type"] not in IDENTITY:
        raise ValueError(f"{folder} holds a model of the type {config.get('model_type')!r}, and none of hf_hmtl")
    return config


def same_network(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two configurations describe one network with the same heads and labels."""
    kind = one.get("model_type")
    return kind == other.get("model_type") and all(
        _part_of(one, key) == _part_of(other, key) for key in IDENTITY.get(str(kind), ())
    )


def _part_of(config: dict[str, Any], key: str) -> Any:
    """A value of a configuration, of one within it by "outer.inner"."""
    outer, _, inner = key.rpartition(".")
    return (config.get(outer) or {} if outer else config).get(inner)


def of_branch(branch: str, folder: Path, repo_id: str, others: Sequence[Path] = ()) -> list[Part]:
    """The files of a branch, in the order of their names.

    Args:
        branch: main, with-heads or training.
        folder: of a run, or with a saved model.
        repo_id: that the card names.
        others: runs of the same recipe with other seeds, whose results the card tells.

    Raises:
        FileNotFoundError, ValueError: the folder lacks what the branch needs.
    """
    parts = {MAIN: _main, WITH_HEADS: _with_heads, TRAINING: _training}[branch](folder)
    parts = list(parts)
    card = _card(folder, repo_id, _NOTES.get(branch, ""), others, [part.path for part in parts])
    return sorted(
        [*parts, Part(CARD, card.encode(), "the model card, made from result.json")], key=lambda part: part.path
    )


def _card(folder: Path, repo_id: str, note: str, others: Sequence[Path], files: Sequence[str]) -> str:
    result = result_of(folder)
    if result is None:
        return render_unmeasured(config_of(folder), repo_id, note=note, files=files)
    return render(result, repo_id, note, files, [read(other / RESULT) for other in others])


def _main(folder: Path) -> Iterator[Part]:
    config = config_of(folder)
    serving = [name for name, head in config.get("heads", {}).items() if head["auxiliary"]]
    serving += config.get("auxiliary") or ()
    if serving:
        raise ValueError(
            f"{folder} holds heads that serve training only ({', '.join(serving)}), and the main branch is what people "
            "use. Give the folder of the finished run, which has none, or save yours without: "
            "model.slim().save_pretrained(FOLDER)"
        )
    yield from _model(folder, config)
    yield from _exports(folder)
    yield from _of_the_run(folder)


def _exports(folder: Path) -> Iterator[Part]:
    """What `hf-hmtl export` has made of these weights; other files beside it stay."""
    exports = folder / EXPORTS
    if not (exports / EXPORT_RECORD).is_file():
        return
    record = read_json(exports / EXPORT_RECORD)
    if not isinstance(record, dict) or record.get("weights") != weights_of(folder):
        raise ValueError(
            f"{exports} was made of other weights than {folder} holds now, so it would answer otherwise than the model "
            f"beside it. Export again: hf-hmtl export {folder}; or remove that folder"
        )
    for name, reason in OF_AN_EXPORT.items():
        if (exports / name).is_file():
            yield Part(f"{EXPORTS}/{name}", exports / name, reason)


def _with_heads(folder: Path) -> Iterator[Part]:
    in_time = "heads" not in config_of(folder)
    if in_time and not config_of(Path(with_training_heads(str(folder)))).get("auxiliary"):
        raise ValueError(f"{folder} holds a network for faces in time without training heads; leave them out")
    checkpoint = _kept_checkpoint(folder)
    yield from _model(checkpoint, config_of(checkpoint))
    yield from _of_the_run(folder)


def _training(folder: Path) -> Iterator[Part]:
    checkpoints = sorted({_kept_checkpoint(folder), _checkpoints(folder)[-1]})
    for checkpoint in checkpoints:
        for part in _checkpoint(checkpoint):
            yield dataclasses.replace(part, path=f"{checkpoint.name}/{part.path}")
    record = folder / (RECORD if (folder / RECORD).is_file() else FREE_RECORD)
    if not record.is_file():
        raise FileNotFoundError(f"{folder} has no {RECORD}, so nobody could tell whether a run goes on as it began")
    yield Part(FREE_RECORD, _json(free_record(read_json(record))), "the options of the run, which a resume compares")
    yield from _of_the_run(folder)


def _of_the_run(folder: Path) -> Iterator[Part]:
    result = result_of(folder)
    if result is None:
        return
    yield Part(RESULT, result.to_json().encode(), "what came out, and what led to it")
    for name, reason in OF_A_RUN.items():
        if (folder / name).is_file():
            yield Part(name, folder / name, reason)


def _model(folder: Path, config: dict[str, Any]) -> Iterator[Part]:
    """Configuration, weights, image processor, and the files of code that these name."""
    yield Part(CONFIG, folder / CONFIG, "the network, its heads and labels")
    if (folder / INDEX).is_file():
        yield Part(INDEX, folder / INDEX, "which file holds which weights")
        index = read_json(folder / INDEX)
        weights = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(weights, dict) or not all(isinstance(shard, str) for shard in weights.values()):
            raise ValueError(f"{folder / INDEX} does not say which file holds which weights (weight_map)")
        shards = sorted(set(weights.values()))
    else:
        shards = [WEIGHTS]
    for shard in shards:
        yield Part(shard, _there(folder, shard), "the weights")
    yield Part(PROCESSOR, _there(folder, PROCESSOR), "the image processor")
    code = config.get("auto_map")
    if not isinstance(code, dict) or not all(isinstance(name, str) for name in code.values()):
        raise ValueError(f"{folder / CONFIG} does not name the code that loads the model (auto_map); save it again")
    names = {name.partition(".")[0] for name in code.values()}
    modules = {f"{name}.py" for name in names}
    for name in sorted(modules):
        modules |= {Path(found).name for found in get_relative_import_files(_there(folder, name))}
    for name in sorted(modules):
        yield Part(name, _there(folder, name), "code that loads the model where hf_hmtl is not installed")


def _checkpoint(checkpoint: Path) -> Iterator[Part]:
    yield from _model(checkpoint, config_of(checkpoint))
    for name, reason in OF_A_CHECKPOINT.items():
        if (checkpoint / name).is_file():
            yield Part(name, checkpoint / name, reason)
    for path in sorted(checkpoint.glob(RANDOM_STATES)):
        yield Part(path.name, path, "the state of the random numbers")
    yield Part(STATE, _json(_free_state(read_json(_there(checkpoint, STATE)))), "step, log and best score")


def _free_state(state: dict[str, Any]) -> dict[str, Any]:
    """The best checkpoint by its name alone, by which a resumed training finds it in its own folder."""
    free, best = without_folders(state), state.get("best_model_checkpoint")
    return free | {"best_model_checkpoint": PureWindowsPath(best).name} if isinstance(best, str) else free


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if (path / STATE).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{folder} has no checkpoint-N, and these hold what the branches {WITH_HEADS} and {TRAINING} keep. Train "
            "with --save_strategy epoch, or push the main branch alone"
        )
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def _kept_checkpoint(folder: Path) -> Path:
    """The checkpoint whose weights were kept, else the last one."""
    result = result_of(folder)
    selection = result.protocol["selection"] if result else None
    kept = folder / f"checkpoint-{selection['step']}" if selection else None
    return kept if kept and kept.is_dir() else _checkpoints(folder)[-1]


def with_training_heads(model: str) -> str:
    """Where a model still has the heads that it was trained with: the checkpoint that was kept, of a run's folder that
    has one; else the model itself."""
    folder = Path(model)
    whole = any((checkpoint / STATE).is_file() for checkpoint in folder.glob("checkpoint-*"))
    return str(_kept_checkpoint(folder)) if whole else model


def _there(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise ValueError(f"{folder} names a file of another folder, {shown(name)}, and what is there stays where it is")
    if not (folder / name).is_file():
        raise FileNotFoundError(
            f"{folder} has no {name}, without which nobody can load the model. Give the folder that a training wrote"
        )
    return folder / name
