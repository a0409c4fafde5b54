"""A fold of a cross-validation is a change of the recipe like any other."""

import pytest
from data_trees import write_classes
from runs import TINY, tiny

from hf_hmtl.commands.train import run as main
from hf_hmtl.recipe import load as load_recipe
from hf_hmtl.results.predictions import of_split, read_predictions
from hf_hmtl.results.result import read
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.rescoring import rescored
from hf_hmtl.run.rows import load_rows


def rows_of(name, *options, data_dir=None):
    recipe, _, _ = parse([name, *options])
    return load_rows(recipe, data_dir)


def people(rows):
    return {split: set(data["_group"]) for split, data in rows.splits.items()}


def test_a_run_tests_its_fold_and_says_so(tmp_path):
    main(["quickstart", *tiny("source.fold=[2,4]"), "--num_train_epochs", "0", "--output_dir", str(tmp_path)])
    result = read(tmp_path / "result.json")
    assert result.fold == {"number": 2, "of": 4} and "source.fold=[2, 4]" in result.name and result.paper is None
    assert sum(split["rows"] for split in result.rows.values()) == 256 and result.rows["test"]["rows"] == 64
    assert any(note.startswith("fold 2 of 4, cut by group") for note in result.data["notes"])
    table = read_predictions(tmp_path)
    assert table["split"].to_pylist().count("test") == 64
    assert load_recipe(f"{tmp_path}/recipe.yaml").source["fold"] == [2, 4]
    again = rescored(result, of_split(table, "test"), "emotion")
    assert {f"test_emotion_{name}" for name in again} <= result.metrics.keys()
    for name, score in again.items():
        assert result.metrics[f"test_emotion_{name}"] == pytest.approx(score, nan_ok=True)
    with pytest.raises(ValueError, match="learned no 'mood'; it learned emotion"):
        rescored(result, table, "mood")


def test_a_share_of_the_rows_is_one_of_what_the_fold_leaves():
    whole = rows_of("quickstart", *TINY, "source.fold=[1,4]")
    part = rows_of("quickstart", *TINY, "source.fold=[1,4]", "train_fraction=0.5")
    assert len(part.splits["train"]) == pytest.approx(len(whole.splits["train"]) / 2, abs=1)
    assert part.splits["test"]["_id"][:] == whole.splits["test"]["_id"][:]


def test_a_further_source_of_the_same_rows_shows_nothing_of_the_fold():
    same = "{name: drawn, labels: none, train: 192, validation: 32, test: 32, size: 48}"
    mixed = rows_of("quickstart", *TINY, "source.fold=[1,4]", f"mixed_with=[{same}]")
    alone = rows_of("quickstart", *TINY, "source.fold=[1,4]")
    assert people(mixed)["test"] == people(alone)["test"]
    assert people(mixed)["train"].isdisjoint(people(mixed)["test"] | people(mixed)["validation"])


def test_ones_own_faces_are_dealt_out_by_class_where_nobody_knows_who_they_are(tmp_path):
    write_classes(tmp_path, count=10)
    rows = rows_of("custom/supervised", "--set", "source.fold=[5,5]", data_dir=tmp_path)
    assert {split: sorted(data["label"]).count(0) for split, data in rows.splits.items()}["test"] == 2
    assert len(rows.splits["test"]) == 4
    with pytest.raises(ValueError, match="20 rows do not go into 21 folds; allowed are 2 to 20"):
        rows_of("custom/supervised", "--set", "source.fold=[1,21]", data_dir=tmp_path)
    with pytest.raises(ValueError, match="was read without labels and has no split to test on"):
        rows_of("custom/pretrain-puzzle-3x3", "--set", "source.fold=[1,2]", data_dir=tmp_path)


def test_a_fold_that_is_none_is_refused_before_anything_is_read():
    with pytest.raises(ValueError, match=r"fold is \[5, 4\], allowed is \[k, n\]"):
        rows_of("fer2013/supervised", "--set", "source.fold=[5,4]")
