"""The paper's tables beside ours: its figures as it prints them, and ours against numpy over the result files."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from hf_hmtl import recipe
from hf_hmtl.compare.reproduce import measures, paper, plan
from hf_hmtl.compare.reproduce.blocks import Heading, Paragraph, Table
from hf_hmtl.compare.reproduce.page import page
from hf_hmtl.compare.reproduce.tables import _best_of, as_printed, printed_difference
from hf_hmtl.compare.rows import Row, Run
from hf_hmtl.compare.runs import is_finished
from hf_hmtl.metrics.regression.measures import angle_scores
from hf_hmtl.results import result as results
from hf_hmtl.run.command_line import parse
from hf_hmtl.tasks.head_pose import ANGLES

ROOT = Path(__file__).parents[3]
DRAWN = ROOT / "model_cards" / "paper" / "drawn"
EXAMPLE = results.read(ROOT / "tests" / "results" / "version_2.json")


@pytest.fixture(scope="module")
def blocks():
    """Of the committed results on drawn faces."""
    return page(plan.load("drawn").narrowed((), (), ()), DRAWN)


def below(blocks, title):
    """The paragraphs and the tables, as {row: {column: cell}}, between a heading and the next one."""
    place = next(place for place, block in enumerate(blocks) if isinstance(block, Heading) and title in block.text)
    texts, found = [], []
    for block in blocks[place + 1 :]:
        if isinstance(block, Heading):
            break
        if isinstance(block, Paragraph):
            texts.append(block.text)
        elif isinstance(block, Table):
            header, *rows = block.rows
            found.append({row[0]: dict(zip(header, row, strict=True)) for row in rows})
    return texts, found


def ours(file, row, metric, kind="seed-*"):
    """Mean ± deviation over the result files of a row, by numpy."""
    files = sorted((DRAWN / file / row).glob(f"{kind}/result.json"))
    values = [json.loads(path.read_text(encoding="utf-8"))["metrics"][f"test_{metric}"] for path in files]
    assert len(values) == 3
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def test_further_measures_stand_below_a_table_the_papers_beside_ours(blocks):
    _, (_, further) = below(blocks, "Table 8:")
    assert list(further) == list(paper.rows_of_table("8"))
    row = further["supervised-224"]
    wanted = {"row": "supervised-224"}
    for name, metric, printed in (
        ("CCC of valence", "affect_ccc_valence", "0.281"),
        ("MSE of valence", "affect_mse_valence", "0.11"),
        ("CCC of arousal", "affect_ccc_arousal", "0.292"),
        ("MSE of arousal", "affect_mse_arousal", "0.102"),
        ("mean MSE", "affect_mse", "0.106"),
    ):
        wanted |= {f"{name}, paper": printed, f"{name}, ours": ours("drawn-paper-aff-wild", "supervised-224", metric)}
    assert row == wanted


def test_of_folds_the_pooled_answers_are_scored(blocks):
    _, (_, further) = below(blocks, "Table 9:")
    assert further["lstm-puzzle-3x3"] == {
        "row": "lstm-puzzle-3x3",
        "RMSE of arousal, paper": "0.243",
        "RMSE of arousal, ours": ours("drawn-paper-afew-va", "lstm-puzzle-3x3", "affect_rmse_arousal", "seed-*/pooled"),
    }


def test_rows_without_further_figures_are_left_out_and_few_seeds_are_a_dash(tmp_path):
    _, (main, further) = below(page(plan.load("drawn").narrowed((), (), ()), tmp_path), "Table 7:")
    assert len(main) == 12
    assert {row: cells["macro F1, paper"] for row, cells in further.items()} == {
        "nonlinear-inpainting": "0.3372",
        "nonlinear-puzzle": "0.3227",
        "nonlinear-random": "0.04",
        "linear-barlow-twins": "0.4116",
    }
    assert {cells["macro F1, ours"] for cells in further.values()} == {"-"}


def test_every_measure_that_the_paper_prints_is_below_its_table(blocks):
    columns = {}
    for name in paper.TABLES:
        _, found = below(blocks, f"Table {name}:" if name != "B" else "Appendix B")
        names = [column.removesuffix(", paper") for table in found[1:] for column in next(iter(table.values()))]
        columns[name] = [column for column in names[1:] if not column.endswith(", ours")]
    of_affect = "CCC of valence, {0} of valence, CCC of arousal, {0} of arousal, mean {0}"
    assert columns == dict.fromkeys(paper.TABLES, []) | {
        "2": ["macro F1"],
        "4": of_affect.format("RMSE").split(", "),
        "7": ["macro F1"],
        "8": of_affect.format("MSE").split(", "),
        "9": ["RMSE of arousal"],
        "12": ["MAE of yaw", "MAE of pitch", "MAE of roll"],
    }


def test_table_6_shows_its_own_figure_and_name_of_a_row_of_table_5(blocks):
    five, six = (below(blocks, f"Table {name}:")[1][0]["inpainting-perceptual-none"] for name in "56")
    assert (five["of the paper"], five["paper"]) == ("SL + SSL in-painting-pl (B0), no + cutout", "0.5876")
    assert (six["of the paper"], six["paper"]) == ("SL + SSL in-painting", "0.5871")
    assert six["paper, to supervised-none"] == "+0.0168"  # 58.71 - 57.03 percent
    assert five["paper, to supervised-weak"] == "-0.0133"  # as Table 5 prints it: -1.33


def test_the_papers_figures_are_not_rounded(blocks):
    _, (smoothing,) = below(blocks, "Appendix B")
    assert (smoothing["smoothing-0.2"]["paper"], smoothing["smoothing-0.3"]["paper"]) == ("0.5165", "0.5162")
    _, (gender,) = below(blocks, "Table 13")
    assert gender["puzzle-3x3"]["paper"] == "0.9241 ± 0.0001"
    assert (as_printed(4.78), as_printed(0.9, 0.00001), as_printed(None)) == ("4.78", "0.9 ± 0.00001", "-")
    assert (printed_difference(0.593, 0.5703), printed_difference(4.78, 5.258)) == ("+0.0227", "-0.478")
    assert printed_difference(0.3, 0.1) == "+0.2" and printed_difference(0.5, 0.5) == "+0.0"


def test_differences_of_table_5_are_those_that_it_prints(blocks):
    printed = {  # percent, to SL (B0) with weak augmentation
        "supervised-none": -3.06, "supervised-strong": 0.25, "finetune-puzzle": -2.53, "finetune-rotation": -5.83,
        "finetune-puzzle-rotation": -1.23, "supervised-none-imagenet": -0.79, "supervised-weak-imagenet": -0.52,
        "supervised-strong-imagenet": 0.08, "supervised-weak-imagenet-b2": 0.26, "puzzle-rotation-none": -4.88,
        "inpainting-pixel-none": -3.31, "inpainting-perceptual-none": -1.33, "inpainting-perceptual-weak": 1.63,
        "puzzle-3x3-none": -1.98, "puzzle-3x3-weak": 1.00, "puzzle-3x3-weak-b2": 1.23,
    }  # fmt: skip
    _, (table, *_) = below(blocks, "Table 5:")
    for row, difference in printed.items():
        assert table[row]["paper, to supervised-weak"] == f"{difference / 100:+.4f}", row


def test_a_table_says_what_it_measures_in_which_unit_and_which_way_is_better(blocks):
    first = {name: below(blocks, f"Table {name}:")[0][0] for name in ("1", "4", "9", "12", "13")}
    assert first == {
        "1": "Accuracy of emotion, a share from 0 to 1, higher is better.",
        "4": "Concordance correlation coefficient (CCC), mean of valence and arousal, from -1 to 1, higher is better.",
        "9": "Root mean square error (RMSE) of valence, for labels from -1 to 1, lower is better.",
        "12": "Mean absolute error (MAE), mean of yaw, pitch and roll, in degrees, lower is better.",
        "13": "Accuracy of gender, a share from 0 to 1, higher is better.",
    }
    assert below(blocks, "Table 8:")[0][1] == (
        "Table 8 also prints: concordance correlation coefficient (CCC), from -1 to 1, higher is better; mean square "
        "error (MSE), for labels from -1 to 1, lower is better."
    )
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    assert "Table 12: head pose" in headings and not any("_" in text or "mae" in text for text in headings)


def test_odd_figures_and_rows_that_are_left_out_are_told(blocks):
    assert "its mean MSE of 0.118 asks for 0.088" in below(blocks, "Table 8:")[0][-1]
    assert "0.43 for SL (B0)" in below(blocks, "Table 4:")[0][-1]
    assert "does not say what stands behind its ±" in below(blocks, "Table 13:")[0][-1]
    text = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert len(re.findall("Rows of other publications .* are left out", text)) == 1


def test_ways_and_measures_are_those_of_our_results():
    """Every measure of the paper has words, is in the results that we have of its task, of one unit and way."""
    printed = {each for file in paper.FILES for of_row in paper.figures_printed(file).values() for each in
               (of_row["metric"], *of_row.get("also", {}))}  # fmt: skip
    assert len(printed) == 16
    known = {f"pose_{name}" for name in angle_scores(np.zeros((1, 3)), np.zeros((1, 3)), ANGLES)}
    kinds = dict.fromkeys(known, (False, "degrees"))
    for path in DRAWN.glob("*/*/seed-1/**/result.json"):
        run = results.read(path)
        known |= {key.split("_", 1)[1] for key in run.metrics}
        kinds |= {
            f"{task}_{each.name}": (each.greater_is_better, each.unit)
            for task in run.measures
            for each in run.measures_of(task)
        }
    for measure in printed:
        assert measures.title(measure) and measures.sentence(measure)
        assert measure.replace("gender", "emotion") in known, measure  # of gender no run is there; it is a class, too
        if measure in kinds:
            score = measures.score_of(measure)
            assert (score.greater_is_better, score.unit) == kinds[measure], measure


@pytest.mark.parametrize("row", ["nonlinear-random", "supervised-none"])
def test_a_result_with_the_papers_one_figure_is_still_that_of_its_row(row, tmp_path):
    loaded, _, args = parse([f"affectnet/{row}"])
    kept = json.loads(json.dumps(results.without_folders(loaded.to_dict() | {"training": args.to_dict()})))
    kept["paper"] = {key: kept["paper"][key] for key in ("table", "row", "metric", "value")}
    made = dataclasses.replace(
        EXAMPLE, name=loaded.name, recipe=kept, paper=kept["paper"], execution=None, seeds={"training": 1}
    )
    made.write(tmp_path / "result.json")
    assert recipe.load(f"affectnet/{row}").paper != kept["paper"]
    assert is_finished(Run(Row(row, f"affectnet/{row}", (1,)), 1, tmp_path), [])


def test_of_errors_the_smallest_is_best_also_of_one_column():
    """Of three seeds the second has the smallest error on validation, and 0.30 on the split that is reported."""
    names, runs = ("affect_rmse", "affect_rmse_valence"), {}
    for seed, (error, reported) in enumerate([(0.4, 0.2), (0.1, 0.3), (0.3, 0.25)], 1):
        metrics = {f"eval_{name}": error for name in names} | {f"test_{name}": reported for name in names}
        measures = {"affect": [{"name": "rmse", "greater_is_better": False}]}
        runs[seed] = dataclasses.replace(EXAMPLE, metrics=metrics, measures=measures)
    assert _best_of(runs, "affect_rmse_valence") == _best_of(runs, "affect_rmse") == 0.3
