"""`hf-hmtl card`: the card of one run, or of one run among others with other seeds."""

import dataclasses
from pathlib import Path

import pytest

from hf_hmtl.commands.card import run as card
from hf_hmtl.results.card import render
from hf_hmtl.results.result import read

EXAMPLE = read(Path(__file__).parents[1] / "results" / "version_2.json")


def written(folder, seed):
    dataclasses.replace(EXAMPLE, seeds={"training": seed}).write(folder / "result.json")
    return str(folder)


def test_the_card_of_a_run_is_made_again_and_of_several_with_their_mean(tmp_path):
    one, two = written(tmp_path / "one", 1), written(tmp_path / "two", 2)
    (tmp_path / "one" / "recipe.yaml").touch()
    card([one])
    first = read(tmp_path / "one" / "result.json")
    shown = (tmp_path / "one" / "README.md").read_text(encoding="utf-8")
    assert shown == render(first, files=["recipe.yaml"]) and "### Over" not in shown
    card([one, two, "--repo_id", "user/faces"])
    shown = (tmp_path / "one" / "README.md").read_text(encoding="utf-8")
    assert "### Over 2 runs of this recipe" in shown and 'model="user/faces"' in shown
    with pytest.raises(ValueError, match="a seed each"):
        card([one, one])
