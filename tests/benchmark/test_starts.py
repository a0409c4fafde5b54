"""The start of a command is measured from outside, and one that fails is a row that says why."""

import pytest

from hf_hmtl.benchmark import loaders, starts
from hf_hmtl.benchmark.gpus import rows as gpu_rows


def test_a_command_that_fails_is_a_row_with_its_last_line():
    row = starts._start("nothing", "<= 1", ["no-such-recipe"], rounds=1)
    assert row.ratio is None and row.met is None
    assert "before its first step, with status 1" in row.note and "unknown recipe 'no-such-recipe'" in row.note


def test_more_rows_than_fit_into_memory_are_not_tried(monkeypatch):
    monkeypatch.setattr(starts, "_parquet_start", {10_000: (5.0, 600.0), 200_000: (9.0, 1000.0)}.__getitem__)
    monkeypatch.setattr(starts, "_free_megabytes", lambda: 19_999.0)
    rows = list(starts._memory(10_000_000))
    assert len(rows) == 2 and all(
        row.ratio is None and "about 20,000 MB, and 19,999 MB are free" in row.note for row in rows
    )


def test_memory_is_the_difference_of_the_peaks(monkeypatch):
    peaks = {10_000: (5.0, 600.0), 200_000: (9.0, 601.0), 10_000_000: (50.0, 900.0)}
    monkeypatch.setattr(starts, "_parquet_start", peaks.__getitem__)
    memory, seconds = starts._memory(10_000_000)
    assert (memory.ours, memory.met, seconds.ours, seconds.met) == (300.0, True, 50.0, True)


def test_without_a_gpu_the_rows_say_so(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    rows = list(gpu_rows(1))
    assert len(rows) == 4 and all(row.met is None and row.note == "torch finds no GPU here" for row in rows)


@pytest.mark.slow
def test_starts_are_measured(monkeypatch):
    monkeypatch.delenv("HF_HMTL_DATA", raising=False)
    monkeypatch.setattr(starts, "FEW_ROWS", 500)
    monkeypatch.setattr(starts, "SOME_ROWS", 1_000)
    monkeypatch.setattr(starts, "_free_megabytes", lambda: float("inf"))
    rows = {row.row.rsplit(", ", 1)[-1]: row for row in starts.rows(1, files=400, many=5_000)}
    assert list(rows) == [
        "drawn faces",
        "FER2013",
        "400 files in class folders",
        "5,000 rows of parquet beside 500",
        "5,000 rows of parquet",
    ]
    assert rows.pop("FER2013").note.startswith("HF_HMTL_DATA names no folder")
    assert all(row.repeats == 1 and row.note == "" for row in rows.values())
    assert rows["drawn faces"].ours > 1 and rows["5,000 rows of parquet"].unit == "s"


@pytest.mark.slow
def test_loaders_are_measured():
    rows = list(loaders.rows(1, count=128))
    assert [row.row.rsplit("/ ", 1)[1] for row in rows] == ["timm.create_loader", "datasets with_transform"]
    assert all(row.ratio > 0 and row.unit == "images/s" for row in rows)
