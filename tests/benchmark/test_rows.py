"""A row says what was measured, against what, and whether that is enough."""

import json

import pytest

from hf_hmtl.benchmark.rows import compared, missing_row, reaches, table, value_row, write

SECONDS = {"ours": [2.0, 4.0, 2.0], "limit": [1.0, 3.0, 1.0], "slow": [8.0, 8.0, 8.0]}


def test_images_a_second_against_a_limit():
    row = compared("a / b", SECONDS, "limit", ">= 0.5", limit=True, images=8, lost=["slow"])
    assert (row.ours, row.limit, row.peer, row.unit) == (4.0, 8.0, None, "images/s")
    assert row.ratio == 0.5 and row.met is True and row.repeats == 3 and row.spread == pytest.approx(0.5)
    assert row.lost == {"slow": 1.0}


def test_milliseconds_against_a_peer():
    row = compared("a / b", SECONDS, "limit", "<= 1.9", limit=False)
    assert (row.ours, row.peer, row.limit, row.unit) == (2000.0, 1000.0, None, "ms")
    assert row.ratio == 2.0 and row.met is False


@pytest.mark.parametrize(
    ("ratio", "goal", "met"),
    [(0.75, ">= 0.75", True), (0.74, ">= 0.75", False), (1.3, "<= 1.3", True), (1.31, "<= 1.3", False), (1, "", None)],
)
def test_a_goal_is_reached_or_not(ratio, goal, met):
    assert reaches(ratio, goal) is met


def test_a_number_of_its_own():
    row = value_row("start", "s", [7.0, 9.0, 8.0], "<= 8")
    assert row.ours == row.ratio == 8.0 and row.met is True and row.spread == 0.25


def test_the_file_and_the_table_say_the_same(tmp_path):
    rows = [
        compared("fast", SECONDS, "limit", ">= 0.6", limit=True, images=8, lost=["slow"]),
        missing_row("card", ">= 0.95", "torch finds no GPU here"),
    ]
    write(rows, tmp_path / "deep" / "benchmark.json")
    written = json.loads((tmp_path / "deep" / "benchmark.json").read_text())
    assert [row["row"] for row in written] == ["fast", "card"]
    wanted = {"row", "ours", "peer", "limit", "ratio", "goal", "met", "repeats", "spread", "lost"}
    assert all(wanted <= row.keys() for row in written) and written[1]["met"] is None
    lines = table(rows).splitlines()
    assert lines[2] == "| fast | 4 images/s | 8 | 0.5 | >= 0.6 | **no** |"
    assert lines[3] == "| card | | | | >= 0.95 | not measured |"
    assert lines[-2:] == ["- fast: slow 1 images/s", "- card: torch finds no GPU here"]
