"""The groups of the benchmark are what the command names, and what was measured stays when it is stopped."""

import importlib
import json

import pytest

from hf_hmtl.benchmark import groups, images
from hf_hmtl.benchmark.rows import value_row
from hf_hmtl.commands import bench


@pytest.mark.parametrize("name", groups.GROUPS)
def test_every_group_has_rows(name):
    assert callable(importlib.import_module(f"hf_hmtl.benchmark.{name}").rows)


def test_another_name_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(ValueError, match="no group of rows is called 'image'; there are images, loaders"):
        groups.measure(["image"], 1, tmp_path / "benchmark.json")
    with pytest.raises(ValueError, match="--rounds is 0, allowed is 1 or more"):
        bench.run(["--rounds", "0"])


def test_what_was_measured_stays_when_it_is_stopped(monkeypatch, tmp_path):
    def stopped(rounds):
        yield value_row("first", "s", [1.0] * rounds, "<= 1")
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "rows", stopped)
    with pytest.raises(KeyboardInterrupt):
        groups.measure(["images"], 2, tmp_path / "benchmark.json")
    (row,) = json.loads((tmp_path / "benchmark.json").read_text())
    assert row["row"] == "first" and row["repeats"] == 2


def test_the_command_prints_the_table(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(images, "rows", lambda rounds: [value_row("only", "s", [2.0], "<= 1")])
    bench.run(["images", "--output", str(tmp_path / "benchmark.json")])
    assert "| only | 2 s |  | 2 | <= 1 | **no** |" in capsys.readouterr().out
