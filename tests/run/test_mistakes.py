"""Whatever people type, the outcome is a plan or one line that says what is wrong: never a traceback.

Command lines and recipe files are made of right ones by a change or two, drawn from a fixed seed.
`HF_HMTL_MISTAKES=5000` tries as many as that (make test-mistakes).
"""

import copy
import dataclasses
import functools
import os
import random

import pytest
import yaml
from runs import SMALL

from hf_hmtl import recipe as recipes
from hf_hmtl.commands.train import run as main
from hf_hmtl.data.drawn_faces import dataset
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.run import dry_run
from hf_hmtl.run.options import RunOptions
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.smallest_batch import check_smallest_batch

MISTAKES = int(os.environ.get("HF_HMTL_MISTAKES", "200"))
ROWS = ["quickstart", "drawn/supervised", "drawn/rotation", "drawn/inpainting-pixel", "drawn/barlow-twins",
        "custom/supervised", "fer2013/supervised", "affectnet/supervised-none"]  # fmt: skip
DATA = ["source.train=16", "source.validation=16", "source.test=16", "source.size=32"]
WORDS = ["", "x", "-1", "0", "1", "2", "3", "0.5", "2.5", "nan", "inf", "1e-3", "true", "false", "null", "no", "none",
         "[1]", "[a, b]", "{}", "{a: 1}", "[", "{", "'", "a=b", "emotion", "label", ".", "/", "nowhere/else", "a\tb",
         "ü", "0x10", "2024-01-01", "!!python/name:os.system", "&a", "*a", "|", "%"]  # fmt: skip
VALUES = [None, True, False, -1, 0, 1, 2, 3, 0.5, 2.5, float("nan"), float("inf"), "", "x", "1e-3", "emotion", [], [1],
          [0.5, 1.5], ["a", "b"], {}, {"a": 1}, {1: 2}, {"a": {"b": []}}, "null"]  # fmt: skip
WRONG_NAMES = ["train_dir", "train_data_dir", "epochs", "batch_size", "lr", "model", "data", "dataset", "gpu", "device",
               "workers", "wd", "checkpoint", "resume", "name", "config", "label", "val_dir", "out"]  # fmt: skip
# They would reach the network, take what the machine has, or make a long run of a dry one.
LEFT_ALONE = {"push_to_hub", "output_dir", "dry_run", "debug", "full_determinism", "torch_compile", "overwrite",
              "deepspeed", "fsdp", "tf32", "report_to", "dataloader_num_workers", "cpu_threads",
              "tune_allocator"}  # fmt: skip
OPTIONS = sorted(
    {each.name for kind in (RunOptions, HMTLTrainingArguments) for each in dataclasses.fields(kind) if each.init}
    - LEFT_ALONE
)


def paths(nested, prefix=()):
    """Every place of a mapping, as a tuple of keys."""
    for key, value in nested.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, key))


def mistyped(draw, word):
    """A word with a letter too few, too many or another."""
    place = draw.randrange(len(word) + 1)
    return draw.choice([word[:place] + word[place + 1 :], word[:place] + "q" + word[place:], word.upper(), word + "s"])


def mistaken_line(draw):
    """A command line with one or two changes."""
    row = draw.choice(ROWS)
    known = [".".join(path) for path in paths(recipes.load(row).to_dict()) if path[0] not in ("name", "training")]
    arguments, changes = [], []
    for _ in range(draw.choice([1, 1, 2])):
        kind = draw.choice(["set", "set", "option", "option", "mistyped", "misnamed", "row"])
        if kind == "set":
            place = draw.choice(known)
            if draw.random() < 0.2:
                place = draw.choice([mistyped(draw, place), f"{place}.more", place.rpartition(".")[2] or place])
            changes.append(f"{place}={draw.choice(WORDS)}")
        elif kind == "option":
            arguments += [
                f"--{draw.choice(OPTIONS)}",
                *[draw.choice(WORDS) for _ in range(draw.choice([0, 1, 1, 1, 2]))],
            ]
        elif kind == "mistyped":
            arguments += [f"--{mistyped(draw, draw.choice(OPTIONS))}", draw.choice(WORDS)]
        elif kind == "misnamed":
            arguments += [f"--{draw.choice(WRONG_NAMES)}", draw.choice(WORDS)]
        else:
            row = draw.choice(
                [mistyped(draw, row), row + "/x", row + ".yaml", "", "/", "x.yaml:y", row.partition("/")[0]]
            )
    return [row, *SMALL, *arguments, "--set", *(DATA if "drawn" in row or "quick" in row else []), *changes]


def mistaken_recipe(draw, path):
    """A recipe file with one or two changes, or one that is no YAML."""
    row = draw.choice(ROWS[:5])
    content = {"rows": {"mine": recipes.load(row).to_dict()}}
    del content["rows"]["mine"]["name"]
    content["rows"]["mine"]["source"] |= {"train": 16, "validation": 16, "test": 16, "size": 32}
    for _ in range(draw.choice([1, 1, 2])):
        *above, last = draw.choice(list(paths(content)))
        nested = content
        for key in above:
            nested = nested[key] if isinstance(nested, dict) and key in nested else {}
        if not isinstance(nested, dict):
            continue
        kind = draw.choice(["value", "value", "remove", "rename", "add"])
        if kind == "value":
            nested[last] = copy.deepcopy(draw.choice(VALUES))
        elif kind == "add":
            nested[draw.choice(["more", 1, None, True, "weight", "task", "column", "name"])] = draw.choice(VALUES)
        else:
            value = nested.pop(last, None)
            if kind == "rename":
                nested[mistyped(draw, str(last))] = value
    text = yaml.safe_dump(content, sort_keys=False)
    if draw.random() < 0.1:
        place = draw.randrange(len(text))
        text = text[:place] + draw.choice(["\t", ":", "- ", "{", "'", "\n", "\x00", "&", "*x"]) + text[place:]
    path.write_text(text, encoding="utf-8")
    return [f"{path}{draw.choice(['', ':mine', ':yours'])}", *SMALL]


def prepared(experiment):
    """In place of the steps that are timed: all that comes before the first one."""
    trainer = experiment.trainer()
    check_smallest_batch(trainer)
    trainer.create_optimizer_and_scheduler(10)
    return 0.0


def few_faces(**options):
    """As `synthetic_faces`, but no more than 16 of a split: what a mistake leaves out is thousands."""
    several = {name: min(options.get(name, 16), 16) for name in ("train", "validation", "test")}
    return synthetic_faces(**options | several)


def outcome(arguments, folder):
    """What a dry run of these arguments ends with: "" or what is told in one line."""
    try:
        main([*arguments, "--dry_run", "--output_dir", str(folder)])
    except (ValueError, OSError) as error:  # of which the commands make one line
        assert str(error).strip()
        return str(error)
    except SystemExit as end:  # argparse has said it
        assert end.code == 2
        return "usage"
    return ""


@pytest.mark.parametrize("kind", ["command lines", "recipe files"])
def test_every_mistake_is_told_in_one_line(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.setattr(dry_run, "seconds_a_step", prepared)
    monkeypatch.setattr(dry_run, "draw_batch", lambda *arguments: None)
    monkeypatch.setattr(dataset, "synthetic_faces", functools.wraps(synthetic_faces)(few_faces))
    monkeypatch.setenv("HF_HMTL_DATA", str(tmp_path / "nowhere"))
    draw, told = random.Random(kind), 0
    for number in range(MISTAKES // 2):
        of_lines = kind == "command lines"
        arguments = mistaken_line(draw) if of_lines else mistaken_recipe(draw, tmp_path / "mine.yaml")
        try:
            said = outcome(arguments, tmp_path / "run")
        except Exception as error:
            text = (tmp_path / "mine.yaml").read_text() if kind == "recipe files" else ""
            raise AssertionError(f"number {number}: {arguments}\n{text}") from error
        told += bool(said)
    assert told > 0.3 * (MISTAKES // 2)
