import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_hmtl import commands
from hf_hmtl.commands import train
from hf_hmtl.run.command_line import parser_for
from hf_hmtl.run.options import FIRST_SCREEN, OF_TRAINING, first_screen

ROOT = Path(__file__).parents[2]

HEAVY = "('torch', 'transformers', 'datasets', 'timm', 'numpy', 'cv2')"
LIGHT = f"""
import sys
sys.argv = ["hf-hmtl", *sys.argv[1:]]
from hf_hmtl.commands import main
try:
    main()
finally:
    assert not set({HEAVY}) & set(sys.modules), set({HEAVY}) & set(sys.modules)
"""


def python(*arguments, **environment):
    environment = {**os.environ, "COLUMNS": "120", **environment}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


def test_the_command_alone_lists_every_command_with_a_line():
    shown = python("-m", "hf_hmtl")
    assert shown.returncode == 0
    for name in commands.available():
        (line,) = [line for line in shown.stdout.splitlines() if line.strip().startswith(f"{name} ")]
        assert len(line) < 120 and line.endswith(".")
    assert {"train", "compare", "diagnose", "show-augmentations", "show-inpainting"} <= set(commands.available())


@pytest.mark.parametrize("arguments", [[], ["--help"], *([name, "--help"] for name in commands.available())])
def test_lists_and_help_come_without_torch(arguments):
    shown = python("-c", LIGHT, *arguments)
    assert shown.returncode == 0, shown.stderr
    assert "usage: hf-hmtl" in shown.stdout


def test_the_module_itself_is_light_too():
    shown = python("-X", "importtime", "-m", "hf_hmtl", "train", "--help")
    imported = {line.split("|")[-1].strip() for line in shown.stderr.splitlines()}
    assert "hf_hmtl.run.options" in imported and "--backbone" in shown.stdout
    assert not imported & {"torch", "transformers", "numpy"}


def test_scripts_are_the_commands():
    scripts = {path.stem.replace("_", "-"): path.read_text() for path in (ROOT / "scripts").glob("*.py")}
    assert set(scripts) == set(commands.available())
    for name, text in scripts.items():
        assert text == f"""from hf_hmtl.commands import main\n\nif __name__ == "__main__":\n    main("{name}")\n"""
    shown = python(str(ROOT / "scripts" / "show_augmentations.py"), "--help").stdout
    assert shown == python("-m", "hf_hmtl", "show-augmentations", "--help").stdout != ""


def test_a_mistake_is_one_line_and_exit_status_2():
    done = python("-m", "hf_hmtl", "trian", HF_HMTL_TRACEBACK="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "error: unknown command 'trian'. Did you mean 'train'? Commands: advise, bench, card, cards, compare, "
    )
    assert len(done.stderr.splitlines()) == 1
    done = python("-m", "hf_hmtl", "train", "quikstart", HF_HMTL_TRACEBACK="")
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: unknown recipe 'quikstart'.")
    assert "Traceback" in python("-m", "hf_hmtl", "trian", HF_HMTL_TRACEBACK="1").stderr


@pytest.mark.slow
def test_behind_the_launcher_the_mistake_is_the_last_line():
    launcher = ["-m", "accelerate.commands.launch", "--quiet", "--num_processes", "1", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    for command in (["-m", "hf_hmtl", "train"], [str(ROOT / "scripts" / "train.py")]):
        done = python(*launcher, *command, "quikstart", HF_HMTL_TRACEBACK="")
        assert done.returncode != 0
        assert done.stderr.splitlines()[-1].startswith("error: unknown recipe 'quikstart'."), done.stderr


def test_the_first_screen_is_short_and_names_options_that_exist(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    shown = first_screen()
    assert len(shown.splitlines()) <= 50
    groups = [line.rstrip(":") for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert groups == ["what", "data", "network", "tasks", "training", "output"]
    known = {name for action in parser_for("quickstart")._actions for name in action.option_strings}
    named = [name for names in FIRST_SCREEN.values() for name in names]
    assert {f"--{name}" for name in named} <= known and set(OF_TRAINING) <= set(named)
    assert all(f"--{name}" in shown for name in named)


def test_help_all_shows_every_option_with_the_defaults_of_the_recipe(capsys):
    train.run(["drawn/supervised", "--help", "all"])
    shown = capsys.readouterr().out
    assert "\ndrawn: supervised, " in shown
    shown = " ".join(shown.split())
    for action in parser_for("drawn/supervised")._actions:
        assert action.option_strings[0] in shown
    assert "(default: 1000)" in shown  # max_steps of that recipe, and of no other
