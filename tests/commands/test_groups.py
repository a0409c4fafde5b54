"""--report_groups of a training, and the same of a run that is finished."""

import pandas
import pytest
from runs import tiny

from hf_hmtl.commands import groups
from hf_hmtl.commands.train import run as main
from hf_hmtl.results.result import read

STEPS = ["--max_steps", "2", "--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    options = ["--report_groups", "gender,age_group", "yaw", "--output_dir", str(folder)]
    main(["quickstart", *options, *STEPS, *tiny("source.test=160")])
    return folder


def test_a_training_reports_by_group_in_result_and_card(finished):
    result, rows = read(finished / "result.json"), pandas.read_parquet(finished / "predictions.parquet")
    rows = rows[rows.split == "test"]
    assert list(result.groups["emotion"]) == ["gender", "age_group", "yaw"]
    for column in ("gender", "age_group"):
        right = (rows.emotion_label == rows.emotion_answer).groupby(rows[column])
        found = result.groups["emotion"][column]
        assert {name: group["accuracy"] for name, group in found.items()} == pytest.approx(right.mean().to_dict())
        assert {name: group["rows"] for name, group in found.items()} == right.size().to_dict()
    assert sum(group["rows"] for group in result.groups["emotion"]["yaw"].values()) == 160
    card = (finished / "README.md").read_text()
    assert "### By age_group: emotion" in card and "### Calibration: emotion" in card
    assert "report_groups" not in result.name, "it changes no result"


def test_a_finished_run_is_asked_for_other_groups_and_keeps_them_when_told(finished, capsys):
    before = (finished / "result.json").read_bytes()
    groups.run([str(finished), "_source"])
    assert "emotion by _source" in capsys.readouterr().out and (finished / "result.json").read_bytes() == before
    groups.run([str(finished), "emotion", "--write"])
    result = read(finished / "result.json")
    assert list(result.groups["emotion"]) == ["gender", "age_group", "yaw", "emotion"]
    assert "### By emotion: emotion" in (finished / "README.md").read_text()


def test_what_cannot_be_grouped_by_is_refused(finished, tmp_path):
    for column in ("_id", "_file", "_group"):
        with pytest.raises(ValueError, match=f"'{column}' names files or persons"):
            groups.run([str(finished), column, "--write"])
    with pytest.raises(ValueError, match="no column 'race'. .*--report_groups"):
        groups.run([str(finished), "race"])
    with pytest.raises(FileNotFoundError):
        groups.run([str(tmp_path), "race"])
    with pytest.raises(ValueError, match="reports 'race', which the source 'drawn' does not have"):
        main(["quickstart", "--report_groups", "race", *STEPS, *tiny(), "--output_dir", str(tmp_path / "run")])
    with pytest.raises(ValueError, match="'_group' names files or persons"):
        main(["quickstart", "--report_groups", "_group", *STEPS, *tiny(), "--output_dir", str(tmp_path / "run")])
    assert not list((tmp_path / "run").glob("*.json")), "told before anything is trained"
