"""found = used + left out, on random trees and tables.

Files are counted by os.walk and rows by csv, never by our readers. `HF_HMTL_TREES=20000` tries as many as that
(make test-trees).
"""

import csv
import os
import shutil
import unicodedata
from collections import Counter

import pytest
from data_trees import encoded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_hmtl.data.ledger import OF_ANY_SOURCE
from hf_hmtl.data.sources import custom

TREES = int(os.environ.get("HF_HMTL_TREES", "300"))
EVERYTHING = [reason.name for reason in OF_ANY_SOURCE]
OF_ROWS = {"missing_file", "no_image", "no_label", "unlabelled_split"}
IMAGE = encoded(1)
REFUSALS = (ValueError, FileNotFoundError)

classes = st.sampled_from(["happy", "sad", "fröhlich", "A class", "17", "x.y", "neutral", "S01"])
suffixes = st.sampled_from(
    [".jpg", ".JPG", ".png", ".jfif", "", ".webp", ".txt", ".heic", ".mp4", ".md", ".csv", ".odd"]
)
folders = st.sampled_from([[], [], [], ["S01"], ["S02", "deep"], [".hidden"], ["__MACOSX"], ["batch"]])
tops = st.sampled_from([["train"], ["train"], ["Training"], ["val"], ["test"], ["train_extra"], ["other"], []])
names = st.tuples(tops, st.lists(classes, max_size=1), folders, st.integers(0, 9), suffixes)


def write(root, path, content=IMAGE):
    place = os.path.join(root, path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(content)


def files_below(root):
    return [os.path.relpath(os.path.join(top, name), root) for top, _, names in os.walk(root) for name in names]


def left_out(source):
    counts = Counter()
    for entry in source.ledger.entries.values():
        counts["rows" if entry.reason.name in OF_ROWS else "files"] += entry.count
    return counts


def used_files(source):
    return {name for data in source.splits.values() for name in data["_file"][:]}


@pytest.fixture
def fresh(tmp_path):
    """A new folder whenever it is asked for."""

    def make():
        shutil.rmtree(tmp_path / "faces", ignore_errors=True)
        (tmp_path / "faces").mkdir()
        return tmp_path / "faces"

    return make


def tried(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def test_every_file_of_a_tree_is_used_or_named(fresh):
    outcomes = Counter()

    @tried(TREES // 2)
    @given(st.lists(names, min_size=4, max_size=40), st.booleans(), st.sampled_from(["", "zip/", "a/b/"]))
    def check(written, in_splits, wrapper):
        root = fresh()
        for top, label, below, number, suffix in written:
            parts = [*(top if in_splits else []), *label, *below, f"{number}{suffix}"]
            write(root, wrapper + "/".join(parts), IMAGE if suffix not in (".txt", ".md", ".csv") else b"one line\n")
        for label in {"happy", "sad", *(name for _, names, *_ in written for name in names)}:  # can be trained on
            for number in range(100, 103):
                for split in ("train", "val", "test") if in_splits else ("",):
                    write(root, f"{wrapper}{split}/{label}/{number}.png".replace("//", "/"))
        found = files_below(root)
        try:
            source = custom.load(root, allow_left_out=EVERYTHING)
        except REFUSALS as error:
            outcomes[str(error).replace(str(root), "")[:60]] += 1
            return
        outcomes["loaded"] += 1
        rows = [name for data in source.splits.values() for name in data["_file"][:]]
        assert len(rows) == len(set(rows))
        assert set(rows) <= {path.replace(os.sep, "/") for path in found}
        # An unlabelled test split is rows of files, each of one.
        assert len(found) == len(rows) + left_out(source)["files"] + left_out(source)["rows"]
        for data in source.splits.values():
            labels = data.features["emotion"].names
            for name, number in zip(data["_file"][:], data["emotion"][:], strict=True):
                assert labels[number] in [unicodedata.normalize("NFC", part) for part in name.split("/")[:-1]]

    check()
    assert outcomes["loaded"] > 0.5 * (TREES // 2), outcomes


cells = st.sampled_from(["plain", "plain", "plain", "backslash", "bare", "missing", "blank", "leading slash"])
texts = st.sampled_from(["happy", "sad", "sad", "fröhlich", ""])
rows_of_tables = st.lists(st.tuples(cells, texts), min_size=8, max_size=30)


def as_written(way, path):
    return {
        "plain": path,
        "backslash": path.replace("/", "\\"),
        "bare": path.rsplit("/", 1)[-1],
        "missing": f"gone/{path}",
        "blank": "",
        "leading slash": f"/{path}",
    }[way]


def test_every_row_of_a_table_is_used_or_named(fresh):
    outcomes = Counter()

    @tried(TREES - TREES // 2)
    @given(
        rows_of_tables,
        st.sampled_from([",", ";", "\t", "|"]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        st.sampled_from(["labels.csv", "data/labels.CSV", "labels.tsv"]),
        st.integers(0, 3),
        st.booleans(),
    )
    def check(written, delimiter, encoding, table, strays, divided):
        root = fresh()
        for number in range(len(written)):
            write(root, f"images/{number}.png")
        for number in range(strays):
            write(root, f"images/stray_{number}.jpg")
        os.makedirs(os.path.dirname(root / table), exist_ok=True)
        with open(root / table, "w", encoding=encoding, newline="") as file:
            lines = csv.writer(file, delimiter=delimiter)
            lines.writerow(["file_name", "label", *["split"] * divided])
            for number, (way, label) in enumerate(written):
                split = [("train", "train", "val", "test")[number % 4]] * divided
                lines.writerow([as_written(way, f"images/{number}.png"), label, *split])
        with open(root / table, encoding=encoding, newline="") as file:
            count = len(list(csv.reader(file, delimiter=delimiter))) - 1
        try:
            source = custom.load(root, allow_left_out=EVERYTHING)
        except REFUSALS as error:
            outcomes[str(error).replace(str(root), "")[:60]] += 1
            return
        outcomes["loaded"] += 1
        used = sum(map(len, source.splits.values()))
        assert count == used + left_out(source)["rows"]
        images = [path for path in files_below(root) if path.startswith("images")]
        shown = used_files(source)
        named_in_a_test_split_without_labels = source.ledger.to_dict().get("test", {}).get("unlabelled_split")
        if not named_in_a_test_split_without_labels:
            assert len(images) == len(shown) + left_out(source)["files"]
        truth = {f"images/{number}.png": label or None for number, (_, label) in enumerate(written)}
        for data in source.splits.values():
            names = data.features["emotion"].names
            for name, label in zip(data["_file"][:], data["emotion"][:], strict=True):
                assert truth[name] == (names[label] if label >= 0 else None)

    check()
    assert outcomes["loaded"] > 0.4 * (TREES - TREES // 2), outcomes
