"""A run of two steps that figures are drawn of, and others that differ from it where a figure looks."""

import dataclasses
import shutil

import pytest

from hf_hmtl.commands.train import run as train
from hf_hmtl.results import result as results

OPTIONS = ["--max_steps", "2", "--eval_steps", "1", "--save_steps", "1", "--save_total_limit", "3", "--use_cpu",
           "--keep_lowest_loss", "--disable_tqdm", "true",
           "--set", "source.train=64", "source.validation=40", "source.test=16"]  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a supervised run on drawn faces, with the checkpoints of both steps."""
    folder = tmp_path_factory.mktemp("figures") / "run"
    train(["drawn/supervised", "--seed", "1", "--output_dir", str(folder), *OPTIONS])
    return folder


@pytest.fixture
def rewritten(trained, tmp_path):
    """Copy the run, with another row, seed or anything else of its result."""

    def copy(folder, **changes):
        target = tmp_path / folder
        shutil.copytree(trained, target)
        result = results.read(target / "result.json")
        if row := changes.pop("row", None):
            changes["name"] = result.name.replace("supervised", row)
        seed = changes.pop("seed", None)
        seeds = {"training": seed, "data": seed} if seed is not None else result.seeds
        dataclasses.replace(result, **{"seeds": seeds, **changes}).write(target / "result.json")
        return target

    return copy
