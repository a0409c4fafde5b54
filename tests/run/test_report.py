"""The table at the end of a run."""

import re
from pathlib import Path

from hf_hmtl.results.result import read
from hf_hmtl.run.report import summary_table

KEPT = Path(__file__).parents[2] / "model_cards" / "results" / "drawn-tasks"


def test_every_number_stands_under_the_name_of_its_measure():
    lines = summary_table(read(KEPT / "all-at-once" / "seed-1" / "result.json"), Path("run")).splitlines()
    (header,) = [line for line in lines if "CCC valence" in line]
    answers = lines[lines.index(header) + 1]
    assert answers.startswith("affect")
    names = list(re.finditer(r"\S+(?: \S+)*", header))  # two blanks and more are between two names
    assert [each.group() for each in names] == ["CCC", "CCC valence", "CCC arousal", "RMSE"]
    ends = [each.end() for each in re.finditer(r"-?\d+\.\d{4}", answers)]
    assert ends == [each.end() for each in names]
