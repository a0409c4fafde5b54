"""recipe.yaml makes the same run again, and names no place on the machine that wrote it."""

import yaml
from runs import tiny
from safetensors.torch import load_file
from trainers import assert_same

from hf_hmtl import recipe as recipes
from hf_hmtl.commands.train import run as train
from hf_hmtl.results.result import read
from hf_hmtl.run.recipe_file import without_places

SHORT = ["--max_steps", "3", "--eval_strategy", "steps", "--eval_steps", "1", "--save_strategy", "steps",
         "--save_steps", "1", "--weight_decay", "0.2", "--learning_rate", "0.01"]  # fmt: skip
EXTRA = ["auxiliary.puzzle.grid=2", "supervised.emotion.label_smoothing=0.1"]


def test_the_same_weights_and_scores_come_out_of_the_file_alone(tmp_path):
    one, two = tmp_path / "secret" / "one", tmp_path / "two"
    train(["quickstart", *tiny(*EXTRA), *SHORT, "--seed", "5", "--output_dir", str(one)])
    alone = ["--use_cpu", "--disable_tqdm", "true", "--output_dir", str(two)]
    train([str(one / "recipe.yaml"), *alone])
    assert_same(load_file(one / "model.safetensors"), load_file(two / "model.safetensors"))
    first, second = read(one / "result.json"), read(two / "result.json")
    assert first.metrics == second.metrics and first.protocol["selection"] == second.protocol["selection"]
    text = (one / "recipe.yaml").read_text()
    assert str(tmp_path) not in text and "secret" not in text
    assert yaml.safe_load(text)["rows"]["puzzle-3x3"]["auxiliary"]["puzzle"]["grid"] == 2


def test_a_run_that_began_with_a_folder_keeps_its_last_part_only(tmp_path):
    place = tmp_path / "secret" / "weights"
    place.mkdir(parents=True)
    changed = recipes.load("quickstart", {"pretrained": str(place), "auxiliary": {"puzzle": {"task": f"{place}.py"}}})
    assert "secret" not in changed.name and "pretrained=weights" in changed.name
    written = without_places(changed)
    assert written["pretrained"] == "weights" and written["auxiliary"]["puzzle"]["task"] == "weights.py"
    of_the_hub = recipes.load("quickstart", {"pretrained": "user/model"})
    assert without_places(of_the_hub)["pretrained"] == "user/model" and "pretrained=user/model" in of_the_hub.name
