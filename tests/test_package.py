"""What is not code: the wheel, the citation, the README's promises that a machine can check."""

import ast
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import hf_hmtl
from hf_hmtl import recipe as recipes
from hf_hmtl import tasks
from hf_hmtl.commands import train
from hf_hmtl.data import sources
from hf_hmtl.draws import Draws
from hf_hmtl.results.result import read

ROOT = Path(__file__).parents[1]


def test_public_names_are_lazy_and_all_there():
    for name in hf_hmtl.__all__:
        assert getattr(hf_hmtl, name) is not None
    with pytest.raises(AttributeError, match="HMTLModle"):
        hf_hmtl.HMTLModle  # noqa: B018


def test_citation_and_setup_agree_on_the_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == hf_hmtl.__version__


def test_the_readme_names_only_recipes_scripts_and_files_that_exist():
    readme = (ROOT / "README.md").read_text()
    rows = {f"{file}/{row}" for file, names in recipes.available().items() for row in names}
    files = "|".join(sorted(recipes.available(), key=len, reverse=True))
    for mentioned in re.findall(rf"\b(?:{files})/[a-z0-9-]+", readme):
        assert mentioned in rows, mentioned
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", readme) + re.findall(r"\bscripts/\w+\.py", readme):
        assert (ROOT / path).exists(), path
    for file in recipes.available():
        assert f"`{file}`" in readme, f"README does not list the recipes of {file}"


def test_a_warning_about_a_line_of_ours_fails_a_test_and_one_about_others_does_not():
    for module in ("hf_hmtl", "hf_hmtl.data.video"):
        with pytest.raises(UserWarning, match="a warning"):
            warnings.warn_explicit("a warning", UserWarning, "file.py", 1, module=module)
    with pytest.warns(UserWarning, match="a warning"):
        warnings.warn_explicit("a warning", UserWarning, "file.py", 1, module="another")


def test_every_promise_of_the_same_bits_names_a_test_that_exists():
    page = (ROOT / "DETERMINISM.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| what")]
    assert len(lines) > 20
    for line in lines:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", line.rpartition("| ")[2] or line)
        assert named, line
        for file, test in named:
            tree = ast.parse((ROOT / "tests" / file).read_text())
            assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"


def test_the_readme_lists_every_source_that_reads_files_and_its_options():
    table = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|[^|]*\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    rows = {source: options for source, options in table if source in sources.available()}
    assert set(rows) == set(sources.available()) - {"drawn", "drawn_clips"}
    for source, options in rows.items():
        for option in re.findall(r"`(\w+)`(?= \(|,|$)", re.sub(r"\(.*?\)", "", options).strip()):
            assert sources.takes(source, option), f"{source} has no option {option}"


def own_pretext(folder):
    """The README's pretext task as a file of the user's own."""
    (block,) = re.findall(r"```python\n(from dataclasses.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    path = folder / "upside_down.py"
    path.write_text(block)
    return path


def test_the_readmes_own_pretext_task_corrupts_and_scores(tmp_path):
    task = tasks.get(str(own_pretext(tmp_path)))()
    pixels = torch.randint(0, 256, (40, 3, 6, 6), dtype=torch.uint8)
    corrupted, target = task.corrupt(pixels, Draws(0, [0] * 40, range(40)))
    assert 0 < target.sum() < 40 and task.head()["shape"] == [2]
    for image, original, turned in zip(corrupted, pixels, target, strict=True):
        assert torch.equal(image, original.flip(1) if turned else original)
    assert task.losses(torch.randn(40, 2), target).shape == (40,)


def test_the_readmes_own_pretext_task_trains_and_vanishes_with_no_change_elsewhere(tmp_path):
    folder = tmp_path / "run"
    task = ["auxiliary.puzzle=null", f"auxiliary.upside_down.task={own_pretext(tmp_path)}"]
    data = ["source.train=256", "source.validation=32", "source.test=32", "source.size=32"]
    options = ["--backbone", "test_efficientnet", "--image_size", "32", "--use_cpu", "--disable_tqdm", "true"]
    options += ["--max_steps", "60", "--logging_steps", "20", "--eval_strategy", "no", "--save_strategy", "steps"]
    options += ["--save_steps", "60", "--load_best_model_at_end", "false", "--per_device_train_batch_size", "32"]
    program = [sys.executable, str(ROOT / "scripts" / "train.py"), "quickstart", "--output_dir", str(folder), *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*program, "--set", *data, *task], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [entry["loss_upside_down"] for entry in read(folder / "result.json").history if "loss" in entry]
    assert losses[-1] < 0.5 * np.log(2)  # half of what guessing costs
    whole = load_file(folder / "checkpoint-60" / "model.safetensors")
    assert any(name.startswith("auxiliary.upside_down") for name in whole)
    assert not any("upside_down" in name for name in load_file(folder / "model.safetensors"))


def test_an_edited_task_file_is_not_resumed(tmp_path):
    path, folder = own_pretext(tmp_path).rename(tmp_path / "edited_task.py"), tmp_path / "run"
    options = ["--backbone", "test_efficientnet", "--image_size", "32", "--use_cpu", "--disable_tqdm", "true"]
    options += ["--max_steps", "2", "--eval_strategy", "no", "--save_strategy", "steps", "--save_steps", "1"]
    options += ["--load_best_model_at_end", "false", "--output_dir", str(folder), "--set", "source.train=64"]
    options += ["source.validation=16", "source.test=16", "source.size=32", "auxiliary.puzzle=null"]
    options += [f"auxiliary.upside_down.task={path}"]
    train.run(["quickstart", *options])
    train.run(["quickstart", *options, "--resume_from_checkpoint", str(folder / "checkpoint-1")])
    path.write_text(path.read_text() + "\n# another opinion\n")
    with pytest.raises(ValueError, match="task_file.upside_down: '[0-9a-f]{64}' then, '[0-9a-f]{64}' now"):
        train.run(["quickstart", *options, "--resume_from_checkpoint", str(folder / "checkpoint-1")])


def test_mistakes_in_a_task_file_are_named(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        tasks.get(str(tmp_path / "missing.py"))
    (tmp_path / "unnamed_task.py").write_text("X = 1\n")
    with pytest.raises(ValueError, match="defines no TASK"):
        tasks.get(str(tmp_path / "unnamed_task.py"))
    (tmp_path / "json.py").write_text("TASK = int\n")
    with pytest.raises(ValueError, match="name of another module.*my_json.py"):
        tasks.get(str(tmp_path / "json.py"))


@pytest.mark.slow
def test_a_wheel_trains_outside_the_checkout(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    command = [sys.executable, "-m", "hf_hmtl", "train", "quickstart", "--backbone", "test_efficientnet", "--use_cpu"]
    command += ["--image_size", "48", "--max_steps", "2", "--eval_strategy", "steps", "--eval_steps", "2"]
    command += ["--save_strategy", "steps", "--save_steps", "2", "--output_dir", "run", "--set", "source.train=64"]
    command += ["source.validation=16", "source.test=16", "source.size=48"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    where = "import hf_hmtl; print(hf_hmtl.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=elsewhere, env=environment, capture_output=True, text=True
    )
    assert str(site) in found.stdout  # the wheel's files, not the checkout's
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (elsewhere / "run" / "result.json").exists() and "accuracy" in done.stdout


def test_what_type_checkers_see_is_what_there_is():
    imported = re.findall(r"^    from ([\w.]+) import (.+)$", Path(hf_hmtl.__file__).read_text(), re.MULTILINE)
    seen = {name: module for module, names in imported for name in names.split(", ")}
    assert seen == hf_hmtl._PUBLIC and set(hf_hmtl.__all__) == {*seen, "__version__"}
    assert (Path(hf_hmtl.__file__).parent / "py.typed").is_file()
