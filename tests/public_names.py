"""Public names as a program uses them, for the type checker (`make lint`); no test."""

from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset

import hf_hmtl
from hf_hmtl.recipe import load
from hf_hmtl.results.result import read
from hf_hmtl.tasks import Task, available, get


def scores(folder: Path) -> dict[str, float]:
    result: hf_hmtl.Result = read(folder / "result.json")
    return {task: result.metrics[f"test_{task}_{result.measures_of(task)[0].name}"] for task in result.measures}


def row(name: str) -> str:
    recipe: hf_hmtl.Recipe = load(name, {"image_size": 96})
    return f"{recipe.name}, {recipe.image_size} px, version {hf_hmtl.__version__}"


def heads(tasks: Sequence[Task]) -> hf_hmtl.HMTLConfig:
    return hf_hmtl.HMTLConfig(heads={task.name: task.head() for task in tasks})


def steps(args: hf_hmtl.HMTLTrainingArguments) -> tuple[str, int]:
    return args.precision, args.global_batch


def kinds() -> list[type[Task]]:
    return [get(name) for name in available()]


def learned(faces: Dataset) -> hf_hmtl.HMTLTrainer:
    tasks = [hf_hmtl.Classification.of(faces, "label"), hf_hmtl.Puzzle(grid=2), hf_hmtl.Rotation(view="own")]
    model = hf_hmtl.HMTLForImageClassification.for_tasks(tasks, backbone="resnet18", image_size=96)
    args = hf_hmtl.HMTLTrainingArguments("out", num_train_epochs=10)
    level = hf_hmtl.Augmentation.level("weak")
    return hf_hmtl.HMTLTrainer(model, args, tasks, augmentation=level, train_dataset=faces)
