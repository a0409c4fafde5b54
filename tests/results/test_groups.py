"""Scores by group, against pandas and intervals of scipy."""

import math

import numpy as np
import pandas
import pyarrow as pa
import pytest
from scipy.stats import binomtest, ttest_1samp

from hf_hmtl.results.groups import FEW, MOST_NUMBERS, by_groups, gaps_of, group_table, groups_of, measure_of

TASKS = ["emotion", "pose", "aus"]


@pytest.fixture
def rows():
    """400 rows of three tasks, with holes in labels and answers, as predictions.parquet has them."""
    draw = np.random.default_rng(0)
    words = np.array(["happy", "sad", "fear"])
    data = {
        "race": draw.choice(["a", "b", "c"], 400, p=[0.6, 0.35, 0.05]),
        "age": draw.uniform(18, 80, 400),
        "emotion_label": words[draw.integers(0, 3, 400)],
        "emotion_answer": words[draw.integers(0, 3, 400)],
        "emotion_probability_happy": draw.random(400),
        "emotion_answer_of_seed_1": words[draw.integers(0, 3, 400)],
        "pose_label_yaw": draw.normal(0, 20, 400),
        "pose_label_roll": draw.normal(0, 20, 400),
        "pose_answer_yaw": draw.normal(0, 20, 400),
        "pose_answer_roll": draw.normal(0, 20, 400),
        "aus_label_au1": draw.random(400) > 0.5,
        "aus_label_au2": draw.random(400) > 0.5,
        "aus_answer_au1": draw.random(400) > 0.5,
        "aus_answer_au2": draw.random(400) > 0.5,
    }
    frame = pandas.DataFrame(data).astype({"aus_label_au1": object, "emotion_label": object, "race": object})
    frame.loc[::7, "emotion_label"] = None
    frame.loc[3::11, "emotion_answer"] = None
    frame.loc[::5, "pose_label_yaw"] = None
    frame.loc[::6, "aus_label_au1"] = None
    frame.loc[397:, "race"] = None
    return frame


def table_of(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


def test_accuracy_of_each_group_is_that_of_its_labelled_and_answered_rows(rows):
    found = by_groups(table_of(rows), ["race"], TASKS)["emotion"]["race"]
    known = rows.dropna(subset=["emotion_label", "emotion_answer"])
    assert measure_of(found) == "accuracy" and list(found) == ["a", "b", "c", "not known"]
    for name, group in found.items():
        mine = known[known.race.isna()] if name == "not known" else known[known.race == name]
        hits = (mine.emotion_label == mine.emotion_answer).sum()
        interval = binomtest(int(hits), len(mine)).proportion_ci(method="wilson")
        assert group["rows"] == len(mine) and group[measure_of(found)] == pytest.approx(hits / len(mine))
        assert (group["low"], group["high"]) == pytest.approx((interval.low, interval.high))
        assert group["few"] == (len(mine) < FEW)
    assert found["c"]["few"] and found["not known"]["few"]


def test_errors_are_means_over_the_known_columns_of_each_row(rows):
    found = by_groups(table_of(rows), ["race"], TASKS)["pose"]["race"]
    error = pandas.DataFrame(
        {name: (rows[f"pose_label_{name}"] - rows[f"pose_answer_{name}"]).abs() for name in ("yaw", "roll")}
    )
    for name in ("a", "b"):
        mine = error.mean(axis=1)[rows.race == name]
        interval = ttest_1samp(mine, 0).confidence_interval()
        group = found[name]
        assert group[measure_of(found)] == pytest.approx(mine.mean())
        assert (group["low"], group["high"]) == pytest.approx((interval.low, interval.high))
    assert measure_of(found) == "mae"


def test_attributes_count_the_share_of_known_ones_that_are_right(rows):
    found = by_groups(table_of(rows), ["race"], TASKS)["aus"]["race"]["a"]
    right = pandas.DataFrame(
        {
            name: (rows[f"aus_label_{name}"] == rows[f"aus_answer_{name}"]).where(rows[f"aus_label_{name}"].notna())
            for name in ("au1", "au2")
        }
    )
    assert found["accuracy"] == pytest.approx(right.astype(float).mean(axis=1)[rows.race == "a"].mean())


@pytest.mark.parametrize(("task", "worst"), [("emotion", min), ("pose", max)])
def test_the_worst_group_and_the_gap_leave_out_groups_of_few_rows(rows, task, worst):
    found = by_groups(table_of(rows), ["race"], TASKS)[task]["race"]
    scores = {name: group[measure_of(found)] for name, group in found.items() if name in ("a", "b")}
    gap = gaps_of({task: {"race": found}})[task]["race"]
    assert gap["worst"] == worst(scores, key=scores.get)
    assert gap["gap"] == pytest.approx(abs(scores["a"] - scores["b"]))
    alone = by_groups(table_of(rows[rows.race == "a"]), ["race"], TASKS)[task]["race"]
    assert gaps_of({task: {"race": alone}})[task]["race"] == {"worst": None, "gap": None}


def test_a_group_whose_score_is_undefined_is_not_compared():
    values = {name: {"accuracy": score, "few": False} for name, score in (("a", 0.9), ("b", None), ("c", 0.6))}
    assert gaps_of({"emotion": {"race": values}})["emotion"]["race"] == {"worst": "c", "gap": pytest.approx(0.3)}


def test_every_column_stands_by_itself_and_a_tasks_own_label_is_one(rows):
    found = by_groups(table_of(rows), ["race", "age", "emotion"], TASKS)
    assert {task: list(columns) for task, columns in found.items()} == dict.fromkeys(TASKS, ["race", "age", "emotion"])
    assert list(found["pose"]["emotion"]) == ["fear", "happy", "sad", "not known"]


def test_many_numbers_are_cut_at_their_quartiles_and_few_stay(rows):
    names = np.array(groups_of(table_of(rows), "age"))
    quarter = pandas.qcut(rows.age, 4, labels=False)
    assert pandas.Series(names).groupby(quarter).nunique().tolist() == [1, 1, 1, 1] and len(set(names)) == 4
    for name in set(names):
        low, high = (float(part) for part in name.split(" to "))
        assert low == pytest.approx(rows.age[names == name].min(), abs=0.01)
        assert high == pytest.approx(rows.age[names == name].max(), abs=0.01)
    years = pa.table({"age": [5, 40, None, 5]})
    assert groups_of(years, "age") == ["5", "40", "not known", "5"]
    found = by_groups(pa.table({"age": list(range(MOST_NUMBERS)) * 2, "x_label": ["a"] * 24, "x_answer": ["a"] * 24}),
                      ["age"], ["x"])  # fmt: skip
    assert list(found["x"]["age"]) == [str(age) for age in range(MOST_NUMBERS)], "by size and not as text"


def test_a_column_that_is_not_there_and_one_that_names_every_row_raise(rows):
    with pytest.raises(
        ValueError, match=r"has no column 'rase'. Did you mean 'race'\? It has: race, age, emotion_label"
    ):
        groups_of(table_of(rows), "rase")
    with pytest.raises(ValueError, match="'name' has 400 different values, so it tells rows apart and not groups"):
        groups_of(pa.table({"name": [f"row {number}" for number in range(400)]}), "name")


def test_one_row_and_no_row_have_no_interval_and_no_score():
    rows = pa.table({"g": ["a", "b"], "x_label": [1.0, None], "x_answer": [0.5, 0.5]})
    found = by_groups(rows, ["g"], ["x"])["x"]["g"]
    assert found["a"]["mae"] == 0.5 and math.isnan(found["a"]["high"])
    assert found["b"]["rows"] == 0 and math.isnan(found["b"]["mae"])


def test_the_table_as_text_names_worst_gap_and_few(rows):
    text = group_table(by_groups(table_of(rows), ["race"], TASKS))
    assert "emotion by race" in text and "(few)" in text and "worst: " in text and "largest gap" in text
