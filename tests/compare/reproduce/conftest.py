"""Finished runs as a reproduction leaves them, made up."""

import dataclasses
import functools
import json
from pathlib import Path

import pytest

from hf_hmtl.compare.rows import run_folder
from hf_hmtl.results import result as results
from hf_hmtl.run.command_line import parse

EXAMPLE = results.read(Path(__file__).parents[2] / "results" / "version_2.json")
CHANCE = 0.125


def log(accuracies, losses=None, tiles=None, training=None, every=10):
    """A log with an evaluation every so many steps, and beside it what the training says of itself."""
    entries = []
    for number, accuracy in enumerate(accuracies, 1):
        entry = {"step": every * number, "epoch": float(number), "eval_emotion_accuracy": accuracy}
        entry |= {"eval_emotion_loss": losses[number - 1]} if losses else {}
        of_training = {"step": every * number, "epoch": float(number), "loss_emotion": 0.0}
        of_training |= {"puzzle_tile_accuracy": tiles[number - 1]} if tiles else {}
        of_training |= {"loss_emotion": training[number - 1]} if training else {}
        entries += [of_training, entry]
    return entries


@functools.cache
def recipe_of(row, *options):
    """The recipe of a row as a result of it keeps it."""
    recipe, _, args = parse([f"drawn-paper/{row}", *options])
    return json.loads(json.dumps(results.without_folders(recipe.to_dict() | {"training": args.to_dict()})))


def result(row, seed, score, validation=None, history=None):
    """A result on the test split."""
    known = {"test_emotion_accuracy": score, "eval_emotion_accuracy": score if validation is None else validation}
    return dataclasses.replace(
        EXAMPLE,
        name=f"drawn-paper/{row}",
        recipe=recipe_of(row),
        execution=None,
        seeds={"training": seed},
        metrics=EXAMPLE.metrics | known,
        baselines=EXAMPLE.baselines | {"test_emotion_accuracy": CHANCE},
        history=log([score]) if history is None else history,
    )


@pytest.fixture
def folder(tmp_path):
    """Of a reproduction on drawn faces, with a function `add` that writes a finished run."""
    place = tmp_path / "reproduce-drawn"

    class Folder(type(place)):
        def add(self, row, scores, validation=None, **changes):
            for seed, score in enumerate(scores, 1):
                made = result(row, seed, score, None if validation is None else validation[seed - 1], **changes)
                made.write(run_folder(place / "drawn-paper", row, seed) / "result.json")

    return Folder(place)
