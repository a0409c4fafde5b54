"""A small run of every part, which is broken off and goes on: in steps, checkpoints, evaluations, and its end."""

import json
from pathlib import Path

from child_commands import Ended, Fault, run
from runs import tiny
from safetensors.torch import load_file
from trainers import assert_same

OPTIONS = [*tiny("augmentation.level=strong"), "--cpu_threads", "1", "--max_steps", "8", "--logging_steps", "3"]
OPTIONS += ["--save_strategy", "steps", "--save_steps", "3", "--eval_strategy", "steps", "--eval_steps", "3"]
OPTIONS += ["--keep_lowest_loss", "true", "--save_total_limit", "9"]  # 6 steps an epoch; checkpoints 3, 6, 8
TRAINER = "hf_hmtl.training.trainer:HMTLTrainer"
MODEL_BYTES = 300_000
"""A part of the weights, and more than the log and all text files."""


def train(folder: Path, *options: str, fault: Fault | None = None) -> Ended:
    """The run, in a process of its own; its log lies beside the folder."""
    arguments = ["train", "quickstart", *OPTIONS, "--output_dir", str(folder), *options]
    return run(arguments, folder.with_name(f"{folder.name}.log"), fault)


def go_on(folder: Path, *options: str) -> Ended:
    """Resume it to its end."""
    ended = train(folder, *options, "--resume_from_checkpoint", "last")
    assert ended.status == 0, ended.printed[-3000:]
    return ended


def outcome(folder: Path) -> dict:
    """What a run has come to, without what a clock says, and without what the Trainer says of its last part alone."""
    result = json.loads((folder / "result.json").read_text())
    history = [
        {key: value for key, value in entry.items() if not key.endswith(("runtime", "_per_second"))}
        for entry in result["history"]
        if "train_runtime" not in entry
    ]
    return {"metrics": result["metrics"], "selection": result["protocol"]["selection"], "history": history}


def assert_same_run(whole: Path, resumed: Path) -> None:
    """The same weights at its end and as shipped, the same scores and log, and nothing half-written."""
    for name in ("checkpoint-8/model.safetensors", "model.safetensors"):
        assert_same(load_file(whole / name), load_file(resumed / name))
    assert outcome(resumed) == outcome(whole)
    assert leavings(resumed) == []
    assert {path.name for path in resumed.iterdir()} >= {path.name for path in whole.iterdir()}


def leavings(folder: Path) -> list[str]:
    """Names of what is no finished file, in a folder and below."""
    return [path.name for path in folder.rglob(".*")]
