"""The page: its numbers against numpy and scipy, its forms, and the committed ones."""

import csv
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from hf_hmtl.compare.reproduce import paper, plan
from hf_hmtl.compare.reproduce.blocks import Heading, Paragraph, Picture, Table, to_html, to_markdown
from hf_hmtl.compare.reproduce.drawing import draw_figures
from hf_hmtl.compare.reproduce.page import ATTACKED, page

from .conftest import log

ROOT = Path(__file__).parents[3]
CARDS = ROOT / "model_cards"
PLAIN, PUZZLE, HALF = [0.50, 0.54, 0.49], [0.55, 0.52, 0.57], [0.60, 0.61, 0.65]


def cells(blocks, title):
    """{row: {column: cell}} of the first table below a heading."""
    place = next(place for place, block in enumerate(blocks) if isinstance(block, Heading) and title in block.text)
    header, *rows = next(block.rows for block in blocks[place:] if isinstance(block, Table))
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


@pytest.fixture
def drawn():
    return plan.load("drawn").narrowed((), (), ())


def test_a_row_has_the_papers_figures_and_ours(drawn, folder):
    folder.add("supervised-none", PLAIN)
    folder.add("puzzle-3x3-none", PUZZLE, validation=[0.51, 0.53, 0.52])
    folder.add("puzzle-2x2-half-none", HALF)
    row = cells(page(drawn, folder), "Table 6")["puzzle-3x3-none"]
    low, high = stats.t.interval(0.95, 2, np.mean(PUZZLE), stats.sem(PUZZLE))
    difference = stats.ttest_rel(PUZZLE, PLAIN)
    interval, own = difference.confidence_interval(), stats.ttest_rel(HALF, PLAIN).confidence_interval()
    mean, gain = np.mean(np.subtract(PUZZLE, PLAIN)), np.mean(np.subtract(HALF, PLAIN))
    assert row == {
        "row": "puzzle-3x3-none",
        "of the paper": "SL + SSL 3x3 puzzling",
        "paper": "0.5811",
        "paper, to supervised-none": "+0.0108",  # 58.11 - 57.03 percent
        "ours": f"{np.mean(PUZZLE):.3f} ± {np.std(PUZZLE, ddof=1):.3f}",
        "seeds": "3",
        "interval": f"[{low:.3f}, {high:.3f}]",
        "best of 3": "0.520",  # of seed 2, the best on validation
        "ours, to supervised-none": f"{mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]",
        "chosen on validation": "puzzle-2x2-half-none",
        "its score": f"{np.mean(HALF):.3f} ± {np.std(HALF, ddof=1):.3f}",
        "its difference to supervised-none": f"{gain:+.3f} [{own.low:+.3f}, {own.high:+.3f}]",
        "what fills it": "",
    }
    baseline = cells(page(drawn, folder), "Table 6")["supervised-none"]
    assert baseline["ours, to supervised-none"] == baseline["paper, to supervised-none"] == "-"


def test_claims_are_judged_of_the_settings_that_validation_chose_too(drawn, folder):
    judged = [block.rows for block in page(drawn, folder) if isinstance(block, Table)][:2]
    own, chosen = ([row[0] for row in rows[1:]] for rows in judged)
    assert len(own) == 19 and [sentence.split()[1] for sentence in chosen] == ["gain", "emotion", "learning"]
    assert set(chosen) < set(own)
    folder.add("supervised-none", PLAIN)
    history = log([0.5] * 8, tiles=[0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 0.9, 0.9])
    folder.add("puzzle-3x3-none", PUZZLE, history=history)
    folder.add("puzzle-2x2-half-none", HALF, history=history)
    text = to_markdown(page(drawn, folder))
    assert "faster by, puzzle-3x3-none" in text and "faster by, puzzle-2x2-half-none" in text


def test_claims_are_those_of_the_parts_that_are_shown(drawn, folder):
    def sentences(*tables):
        blocks = page(plan.load("drawn").narrowed(tables, (), ()), folder)
        found = [block for block in blocks if isinstance(block, Heading) and block.text == "What the paper claims"]
        return [row[0] for row in blocks[blocks.index(found[0]) + 1].rows[1:]] if found else []

    assert sentences("12") == ["Of head pose, too, the heads bring the gain."]
    assert sentences("13") == ["Of gender, too, the heads bring the gain."]
    assert len(sentences("5")) == 17 and sentences("11") == []


def test_fewer_than_three_seeds_are_a_dash_and_the_command_that_fills_it(drawn, folder):
    folder.add("supervised-none", PLAIN[:2])
    folder.add("puzzle-2x2-none", PUZZLE)
    rows = cells(page(drawn, folder), "Table 6")
    two = rows["supervised-none"]
    assert (two["ours"], two["seeds"], two["interval"], two["best of 3"]) == ("-", "2", "-", "-")
    assert two["what fills it"] == "hf-hmtl reproduce --on drawn --rows supervised-none"
    assert rows["puzzle-2x2-none"]["ours, to supervised-none"] == "-" and rows["puzzle-2x2-none"]["ours"] != "-"
    assert rows["puzzle-3x3-none"]["seeds"] == "0"


def test_the_command_fills_every_empty_cell_of_its_row(drawn, folder):
    """The difference lacks the baseline, and what validation chooses from lacks a setting."""

    def typed(row):
        command = cells(page(drawn, folder), "Table 6")[row]["what fills it"]
        return command.removeprefix("hf-hmtl reproduce --on drawn --rows ").split()

    assert typed("puzzle-2x2-none") == ["puzzle-2x2-none", "supervised-none"]
    assert typed("puzzle-3x3-none") == ["puzzle-3x3-none", "supervised-none", "puzzle-2x2-half-none"]
    folder.add("puzzle-3x3-none", PUZZLE)
    assert typed("puzzle-3x3-none") == ["supervised-none", "puzzle-2x2-half-none"]
    folder.add("supervised-none", PLAIN)
    assert typed("puzzle-3x3-none") == ["puzzle-2x2-half-none"] and typed("supervised-none") == []
    folder.add("puzzle-2x2-half-none", HALF)
    row = cells(page(drawn, folder), "Table 6")["puzzle-3x3-none"]
    assert row["what fills it"] == "" and "-" not in row.values()


def test_seeds_that_other_commands_trained_are_shown_and_counted_apart(drawn, folder):
    folder.add("supervised-none", [*PLAIN, 0.7])
    folder.add("puzzle-2x2-none", PUZZLE[:2])
    (folder / "drawn-paper" / "supervised-none" / "seed-5").mkdir()  # begun
    shown = drawn.with_all_seeds_of(folder)
    text = to_markdown(page(shown, folder))
    assert "5 of 228 runs, and 1 of further seeds, are finished, " in text
    row = cells(page(shown, folder), "Table 6")["supervised-none"]
    assert (row["seeds"], row["ours"]) == ("4", f"{np.mean([*PLAIN, 0.7]):.3f} ± {np.std([*PLAIN, 0.7], ddof=1):.3f}")
    assert "6 of 228 runs are finished" not in text and "5 of 228 runs are finished, " in to_markdown(
        page(drawn, folder)
    )


def test_levels_are_compared_with_the_papers_on_its_own_data_alone(drawn, tmp_path):
    affectnet = plan.load("affectnet").narrowed((), (), ())
    assert "ours - paper" in cells(page(affectnet, tmp_path), "Table 1")["supervised-none"]
    assert "ours - paper" not in cells(page(drawn, tmp_path), "Table 1")["supervised-none"]


def test_every_table_that_the_data_allow_is_there_and_the_reason_of_the_others(drawn, tmp_path):
    text = to_markdown(page(drawn, tmp_path))
    titles = re.findall(r"^### (?:Table|Appendix) (\w+):", text, re.MULTILINE)
    assert titles == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "B"]
    fer2013 = to_markdown(page(plan.load("fer2013").narrowed((), (), ()), tmp_path))
    assert "table 8 needs videos" in fer2013 and "### Table 8" not in fer2013
    why = "needs labels of head pose"
    assert f"table 12 {why}; figure 15 {why}; figure E {why}; " in fer2013
    assert not re.search(r"[Ff]igure (15|E|9 |1)", to_markdown(page(plan.load("fairface"), tmp_path)))
    assert "; supervised-weak-seven-classes needs faces of contempt to leave out." in fer2013
    contempt = "| not tested at this size | supervised-weak-seven-classes needs faces of contempt to leave out"
    assert contempt in re.sub(" +", " ", fer2013)
    for name in drawn.tables():
        for row in paper.rows_of_table(name):
            assert f"| {row} " in text
    assert "Not drawn yet: figures 9, 10, 11" in text


def test_figures_that_were_drawn_are_linked_and_in_the_html(drawn, folder):
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "figure-14.csv").write_text("a\n1\n")
    (folder / "figures" / "figure-14.png").write_bytes(b"pixels")
    blocks = page(drawn, folder)
    assert "](figures/figure-14.png)" in to_markdown(blocks) and "(figures/figure-16.png)" not in to_markdown(blocks)
    text = to_html(blocks, "Title")
    assert (
        '<img alt="Figure 14, loss and accuracy with and without heads" src="data:image/png;base64,cGl4ZWxz">' in text
    )


def test_of_a_figure_it_is_told_which_rows_it_lacks_and_whether_runs_came_after_it(drawn, folder):
    for row in ("supervised-none", "puzzle-2x2-none"):
        folder.add(row, PLAIN, history=log([0.2, 0.4, 0.5], [2.0, 1.5, 1.2]))
    only = plan.load("drawn").narrowed((), ["13"], ())
    assert draw_figures(only, folder, None) == []
    lacking = (
        "Without puzzle-3x3-none, puzzle-4x4-none, puzzle-4x4-none-weighted: no run of theirs is finished. What trains "
        "them: `hf-hmtl reproduce --on drawn --figures 13`"
    )
    assert lacking in to_markdown(page(drawn, folder))
    folder.add("puzzle-4x4-none", PLAIN[:1])
    again = "Drawn of other runs than those of the tables. What draws it anew: "
    text = to_markdown(page(drawn, folder))
    assert f"{again}`hf-hmtl reproduce --on drawn --figures 13 --report`" in text and lacking not in text
    (folder / "figures" / "figure-13.png").unlink()  # as in a copy of what was kept
    text = to_markdown(page(drawn, folder))
    assert again not in text and "figure-13.png" not in text and "Not drawn yet: figures 9, 10, 11, 12, 13" in text


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"method,seed,attack,radius,accuracy\na,1,fgsm,0.1,0.5\na,2,fg", b"\xff\xfe\n"]
)
def test_numbers_of_an_attack_that_are_cut_off_give_no_page(drawn, folder, content):
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "figure-16.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"figure-16\.csv"):
        page(drawn, folder)


def test_a_page_within_a_budget_says_so(drawn, folder):
    quick = dataclasses.replace(
        drawn.narrowed((), (), drawn.quick), budget=1200.0, seeds=(1,), steps={"supervised-none": 1050}
    )
    words = "Within a budget: every row has the same time, in which so many optimiser steps fit: supervised-none 1,050."
    assert words in to_markdown(page(quick, folder)) and "Within a budget" not in to_markdown(page(drawn, folder))
    folder.add("supervised-none", PLAIN[:1])
    command = cells(page(quick, folder), "Table 6")["supervised-none"]["what fills it"]
    assert command == "hf-hmtl reproduce --on drawn --budget 20m"  # of the usual seeds, as one is a dash


def test_a_table_that_is_wider_than_the_window_scrolls_alone(drawn, folder):
    text = to_html(page(drawn, folder), "Title")
    assert text.count("<table>") == text.count('<div class="table">\n<table>') > len(drawn.tables())
    assert "div.table { overflow-x: auto; }" in text


def test_faces_of_people_stand_on_no_published_page(folder):
    (folder / "figures").mkdir(parents=True)
    for name in ("11", "16"):
        (folder / "figures" / f"figure-{name}.csv").write_text(f"{','.join(ATTACKED)}\n")
        (folder / "figures" / f"figure-{name}.png").write_bytes(b"pixels")
    fer2013, drawn = (plan.load(name).narrowed((), (), ()) for name in ("fer2013", "drawn"))
    shown = [to_markdown(page(each, folder, published=folder)) for each in (fer2013, drawn)]
    assert "(figures/fer2013-figure-16.png)" in shown[0] and "figure-11" not in shown[0]
    told = "Figure 11 shows faces of people, and is on the page in the folder of the runs alone."
    assert told in shown[0] and told not in shown[1] and told not in to_markdown(page(fer2013, folder))
    assert "(figures/drawn-figure-11.png)" in shown[1]
    assert "(figures/figure-11.png)" in to_markdown(page(fer2013, folder))


def test_a_published_page_links_no_picture_that_is_neither_drawn_nor_beside_it(drawn, folder, tmp_path):
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "figure-14.csv").write_text("a\n1\n")
    beside = tmp_path / "cards"
    assert "figure-14.png" not in to_markdown(page(drawn, folder, published=beside))
    (beside / "figures").mkdir(parents=True)
    (beside / "figures" / "drawn-figure-14.png").write_bytes(b"pixels")
    assert "](figures/drawn-figure-14.png)" in to_markdown(page(drawn, folder, published=beside))


def test_both_forms_show_text_as_it_is():
    rows = [["name", "score", "command"], ["a|b <i>", "0.5", "hf-hmtl x_y"]]
    blocks = [Heading("One & two", 1), Paragraph("3 < 4", "x_y"), Table(rows, ("name", "command"), "command")]
    assert to_markdown(blocks) == (
        "# One &amp; two\n\n3 &lt; 4 `x_y`\n\n"
        "| name           | score |       command |\n| -------------- | ----: | ------------: |\n"
        "| a\\|b &lt;i&gt; |   0.5 | `hf-hmtl x_y` |\n"
    )
    text = to_html([*blocks, Picture("lost", "lost.png", Path("lost.png"))], "T")
    assert "<h1>One &amp; two</h1>" in text and "lost" not in text
    assert "<p>3 &lt; 4 <code>x_y</code></p>" in text
    assert "<tr><td>a|b &lt;i&gt;</td>" in text and "<td><code>hf-hmtl x_y</code></td>" in text


@pytest.mark.parametrize("name", ["drawn", "fer2013"])
def test_the_committed_page_is_the_one_that_the_committed_results_give(name):
    whole, folder = plan.load(name).narrowed((), (), ()), CARDS / "paper" / name
    text = to_markdown(page(whole, folder, published=CARDS))
    assert (CARDS / f"{name}.md").read_text(encoding="utf-8") == text
    for picture in re.findall(r"\]\((figures/.*?)\)", text):
        assert (CARDS / picture).is_file(), picture
    for path in (folder / "figures").glob("*.csv"):
        with open(path, encoding="utf-8", newline="") as file:
            assert list(csv.DictReader(file)), path
