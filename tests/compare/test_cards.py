"""The page of results: made of result.json files alone, and the committed one is what these give."""

import dataclasses
import json
from pathlib import Path

import pytest

from hf_hmtl.commands.cards import run as cards
from hf_hmtl.compare.cards import keep, page, slimmed
from hf_hmtl.results.result import read

ROOT = Path(__file__).parents[2]
EXAMPLE = read(ROOT / "tests" / "results" / "version_2.json")
COMPARISON = """\
about: Two rows.
recipe: drawn
baseline: supervised
seeds: 2
rows: {supervised: {}, puzzle-2x2: {}}
"""


def written(folder, seed, score, **changes):
    history = [
        {"step": 10, "epoch": 1.0, "loss": 3.0, "learning_rate": 0.1},
        {"step": 10, "epoch": 1.0, "eval_emotion_accuracy": score - 0.1, "eval_runtime": 2.0, "eval_other": 5.0},
        {"step": 20, "epoch": 2.0, "eval_emotion_accuracy": score, "eval_runtime": 2.0},
    ]
    result = dataclasses.replace(
        EXAMPLE,
        seeds={"training": seed},
        metrics=EXAMPLE.metrics | {"test_emotion_accuracy": score, "eval_emotion_accuracy": score},
        history=history,
        **changes,
    )
    result.write(folder / "result.json")
    return result


@pytest.fixture
def comparison(tmp_path):
    """A comparison of two rows and two seeds, of which one run is missing, and a run that stands alone."""
    folder = tmp_path / "outputs" / "mine"
    for row, seed, score in (("supervised", 1, 0.5), ("supervised", 2, 0.6), ("puzzle-2x2", 1, 0.75)):
        written(folder / row / f"seed-{seed}", seed, score)
    (folder / "comparison.yaml").write_text(COMPARISON)
    (folder / "notes.md").write_text("What this means.\n")
    written(tmp_path / "outputs" / "alone", 7, 0.9, name="drawn/a|b")
    return folder


def test_the_page_holds_every_table_its_facts_its_notes_and_the_single_runs(comparison):
    text = page([comparison, comparison.parent / "alone"])
    (supervised,) = [line for line in text.splitlines() if line.startswith("| supervised ")]
    assert " 0.550 ± 0.071 " in supervised and "| puzzle-2x2" in text
    (constant,) = [line for line in text.splitlines() if line.startswith("| constant answer")]
    assert f" {EXAMPLE.baselines['test_emotion_accuracy']:.3f} " in constant
    assert "3 finished runs of 4, " in text and EXAMPLE.hardware["cpu"] in text
    assert text.index("difference to supervised") < text.index("What this means.") < text.index("## Single runs")
    assert "| drawn/a\\|b | emotion | test accuracy | 0.900 |" in text and "| 7 | " in text


def test_what_is_kept_gives_the_same_page_and_has_no_log_of_losses(comparison, tmp_path):
    kept = keep(comparison, tmp_path / "model_cards")
    assert page([kept]) == page([comparison])
    history = json.loads((kept / "puzzle-2x2" / "seed-1" / "result.json").read_text())["history"]
    assert history == [
        {"step": 10, "epoch": 1.0, "eval_emotion_accuracy": 0.65, "eval_runtime": 2.0},
        {"step": 20, "epoch": 2.0, "eval_emotion_accuracy": 0.75, "eval_runtime": 2.0},
    ]
    again = read(kept / "puzzle-2x2" / "seed-1" / "result.json")
    assert slimmed(again) == again


def test_the_command_keeps_writes_and_names_the_page(comparison, tmp_path, capsys):
    output = tmp_path / "cards" / "README.md"
    cards([str(comparison), "--keep", str(tmp_path / "kept"), "--output", str(output)])
    assert capsys.readouterr().out == f"{output}\n" and output.read_text(encoding="utf-8") == page([comparison])
    cards([str(tmp_path / "kept" / "mine"), "--output", str(tmp_path / "again.md")])
    assert (tmp_path / "again.md").read_bytes() == output.read_bytes()


def test_variants_stand_in_one_table_and_a_picture_beside_the_page(tmp_path, capsys):
    folder = tmp_path / "shares"
    for share, score in (("2--", 0.3), ("10--", 0.4)):
        written(folder / share / "supervised" / "seed-1", 1, score, execution=EXAMPLE.execution | {"device": "cpu"})
    written(folder / "10--" / "puzzle-2x2" / "seed-1", 1, 0.5)  # on a GPU
    variants = "variants:\n  2 %: [train_fraction=0.02]\n  10 %: [train_fraction=0.1]\n"
    (folder / "comparison.yaml").write_text(COMPARISON.replace("rows:", f"{variants}rows:"))
    cards([str(folder), "--output", str(tmp_path / "README.md")])
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    table, picture = text.index("| variant |"), text.index("(figures/comparison-across.png)")
    assert text.index("3 finished runs of 8") < table < picture < text.index("### 2 %") < text.index("### 10 %")
    assert ["10 %", "puzzle-2x2", "1", "0.500"] in [line[:4] for line in cells] and (
        tmp_path / "figures" / "comparison-across.png"
    ).is_file()
    machine = f"{EXAMPLE.hardware['cpu']}, {EXAMPLE.hardware['cores']} cores"
    assert f" on {machine} and {machine}, {EXAMPLE.hardware['gpus'][0]};" in text


def test_a_folder_that_is_neither_and_one_of_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="neither the folder of a run .* none of the presets .*drawn-tasks"):
        page([tmp_path])
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        page([tmp_path / "absent"])
    (tmp_path / "compare-drawn").mkdir()
    with pytest.raises(ValueError, match="holds no finished run of drawn"):
        page([tmp_path / "compare-drawn"])
    with pytest.raises(ValueError, match="holds no result.json"):
        keep(tmp_path / "compare-drawn", tmp_path / "kept")


def test_the_committed_page_is_what_the_committed_results_give_byte_for_byte():
    folders = sorted(path for path in (ROOT / "model_cards" / "results").iterdir() if path.is_dir())
    assert (ROOT / "model_cards" / "README.md").read_bytes() == page(folders).encode()


def test_the_readme_tells_what_the_committed_results_of_the_labels_say():
    """Calibration with all labels and the recall of the rarest class, as means over the three seeds."""

    def mean(share, row, value):
        found = (ROOT / "model_cards" / "results" / "fer2013-labels" / f"{share}--" / row).glob("seed-*/result.json")
        values = [value(read(path)) for path in found]
        assert len(values) == 3
        return sum(values) / 3

    def error(row):
        return f"{mean(100, row, lambda result: result.calibration['emotion']['expected_error']):.2f}"

    def disgust(share, row):
        return mean(share, row, lambda result: result.metrics["test_emotion_recall_disgust"])

    rest, others = "localizable-rotation-with-the-rest", ("label-augmentation", "localizable-rotation")
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert (
        f"the calibration error falls from {error('supervised')} to {error(others[0])} with label augmentation, to "
        f"{error(others[1])} with localizable rotation and to {error(rest)} with images without labels beside"
    ) in text
    half, all_labels = (disgust(share, "supervised") for share in (50, 100))
    assert f"({half:.2f} at 50 %, {all_labels:.2f} with all)" in text
    assert f"much lower ({disgust(50, rest):.2f} and {disgust(100, rest):.2f})" in text
    for share in (5, 10, 20):
        assert all(disgust(share, row) < disgust(share, "supervised") for row in (*others, rest))
