"""Caches that nobody can write cost time, and no run."""

import os
import subprocess
import sys

import pytest
from PIL import Image
from runs import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.faults]
NOWHERE = os.path.join(os.devnull, "cache")  # whose folder is a file: the superuser cannot write there either
SHORT = ["--max_steps", "2", "--save_strategy", "no", "--eval_strategy", "no", "--load_best_model_at_end", "false"]


@pytest.fixture
def pictures(tmp_path):
    """A folder of two classes."""
    for number in range(48):
        folder = tmp_path / "faces" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 48), (5 * number, 90, 120)).save(folder / f"{number}.png")
    return tmp_path / "faces"


@pytest.mark.parametrize("recipe", ["custom/supervised", "drawn-clips/gru-random"])
def test_a_run_needs_no_cache(pictures, tmp_path, recipe):
    """Tables of official files and features of frozen networks are kept there, where that is possible."""
    options = ["--data_dir", str(pictures)]
    if recipe.startswith("drawn-clips"):
        options = ["--set", "source.train=8", "source.validation=8", "source.test=8", "source.size=48"]
        options += ["sequence.frozen=true", "sequence.window=4", "augmentation.level=none", "augmentation.flip=0"]
    command = [sys.executable, "-m", "hf_hmtl", "train", recipe, *SMALL, *SHORT, *options]
    environment = os.environ | dict.fromkeys(("HF_HOME", "HF_DATASETS_CACHE"), NOWHERE)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [*command, "--output_dir", str(tmp_path / "run")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run" / "result.json").is_file()
