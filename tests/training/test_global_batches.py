"""The batches of 1, 2 and 4 processes: together the same rows, pixels, views and targets, without launching any."""

from collections.abc import Mapping

import pytest
import torch
from trainers import make

from hf_hmtl.data.folds import cut_fold
from hf_hmtl.data.mixed_sampler import sampler_for
from hf_hmtl.data.mixture import Mixture
from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.label_augmentation import LabelAugmentation
from hf_hmtl.tasks.localizable_rotation import LocalizableRotation
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.rotation import Rotation

HALF = "puzzle of its own view and half of the rows"
PRETEXTS = {
    "none": (),
    "puzzle": (Puzzle(grid=3),),
    HALF: (Puzzle(grid=2, view="own", share=0.5),),
    "rotation": (Rotation(),),
    "rotation of tiles": (Rotation(tiles=3),),
    "in-painting": (InPainting(),),
    "twins": (BarlowTwins(hidden=32, features=16),),
    "one quadrant": (LocalizableRotation(),),
    "classes and turns": (LabelAugmentation(of="emotion", classes=8),),
}


def batches_of(trainer, processes, batches):
    """[process][batch]: what each of so many processes would train on, of the same global batch of 16."""
    rows, made = trainer.training_rows(), []
    for index in range(processes):
        sampler = sampler_for(trainer.train_dataset, 16 // processes, 7, index, processes, False)
        sampler.set_epoch(1)
        sampler.planned = 12
        keys = list(sampler)[:batches]
        made.append([seen_by_tasks(trainer.train_collator(rows.__getitems__(each))) for each in keys])
    return made


def seen_by_tasks(batch):
    """The batch with {task: the pixels that it sees} in place of all pixels and of where they stand."""
    pixels = {task: batch["pixel_values"][first:last] for task, (first, last) in batch["views"].items()}
    return {**batch, "pixel_values": pixels, "views": sorted(batch["views"])}


def rows_of(content):
    """Every tensor of a batch as a sorted list of its rows, by its place in the batch."""
    if isinstance(content, torch.Tensor):
        return sorted(row.contiguous().numpy().tobytes() for row in content)
    if isinstance(content, Mapping):
        return {name: rows_of(each) for name, each in content.items()}
    if isinstance(content, tuple):
        return [rows_of(each) for each in content]
    return content


def together(parts):
    """The batches of several processes as one."""
    first = parts[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(parts)
    if isinstance(first, Mapping):
        return {name: together([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple):
        return [together(list(each)) for each in zip(*parts, strict=True)]
    assert all(part == first for part in parts)
    return first


def mixed(faces):
    """Labelled rows, a third of every batch others, which go around at their own pace."""
    others = faces["train"].select(range(29, 40)).remove_columns("emotion")
    return Mixture.of({"labelled": faces["train"].select(range(29)), "others": others}, {"labelled": 2, "others": 1})


def fold(faces):
    """The rows that the second of three folds trains on, whose number nothing divides."""
    splits, _ = cut_fold(faces, (2, 3), "emotion")
    return splits["train"]


SOURCES = {"one": lambda faces: faces["train"], "mixed": mixed, "a fold": fold}
CASES = [*(("one", name) for name in PRETEXTS), ("mixed", HALF), ("a fold", HALF)]


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize(("source", "pretexts"), CASES)
def test_processes_train_on_the_global_batches_of_one(faces, tmp_path, source, pretexts, processes):
    splits = {**faces, "train": SOURCES[source](faces)}
    trainer = make(splits, tmp_path, *PRETEXTS[pretexts], level="strong")
    (one,), several = batches_of(trainer, 1, 3), batches_of(trainer, processes, 3)
    for number, whole in enumerate(one):
        parts = [batches[number] for batches in several]
        assert {len(part["rows"]) for part in parts} == {16 // processes}
        assert rows_of(together(parts)) == rows_of(whole)
        for task in trainer.tasks:  # and the number of labels that a loss is divided by
            if task.name in whole["targets"]:
                counts = [task.counts(part["targets"][task.name]) for part in parts]
                wanted = task.counts(whole["targets"][task.name])
                assert {name: sum(each[name] for each in counts) for name in wanted} == wanted
