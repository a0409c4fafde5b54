"""What a reproduction trains, and in which order."""

from pathlib import Path

import pytest

from hf_hmtl import recipe
from hf_hmtl.compare.reproduce import paper, plan
from hf_hmtl.compare.rows import Run

OUT = Path("out")


def rows_of(reproduction):
    return {part.recipe: list(part.rows) for part in reproduction.parts}


def test_the_rows_of_tables_and_figures_are_those_of_the_paper():
    assert paper.rows_of_table("1") == tuple(
        f"supervised-{level}{weights}" for weights in ("", "-imagenet") for level in ("none", "weak", "strong")
    )
    assert set(paper.rows_of_table("6")) == {
        "supervised-none", "puzzle-2x2-none", "puzzle-3x3-none", "inpainting-perceptual-none",
        "puzzle-2x2-none-without-heads", "puzzle-3x3-none-without-heads", "inpainting-none-without-heads",
    }  # fmt: skip
    # Rows of the paper's own methods in each table; Table 5 has four more, of others.
    counts = {name: len(paper.rows_of_table(name)) for name in paper.TABLES}
    assert counts == {"1": 6, "2": 5, "3": 6, "4": 3, "5": 22, "6": 7, "7": 12, "8": 6, "9": 2, "10": 2,
                      "11": 2, "12": 3, "13": 7, "B": 4}  # fmt: skip
    for name, table in paper.TABLES.items():
        assert table.baseline in paper.rows_of_table(name)
    for name, (file, _, _) in paper.FIGURES.items():
        assert set(paper.rows_of_figure(name)) <= set(recipe.available()[file]), name


def test_everything_is_in_dependency_order_and_trained_once():
    for name in plan.available():
        if name in ("aff-wild", "afew-va", "ckplus", "jaffe"):
            continue  # these begin with another reproduction
        reproduction = plan.load(name).narrowed((), (), ())
        runs = plan.runs_of([(reproduction, OUT / name)], OUT)
        places = [run.folder for run in runs]
        assert len(set(places)) == len(places)
        for place, run in enumerate(runs):
            for origin in run.origins.values():
                assert places.index(origin.folder) < place and origin.seed == run.seed
        asked = {row for part in reproduction.parts for row in part.rows}
        assert {run.row.label for run in runs} >= asked
    drawn = plan.load("drawn").narrowed((), (), ())
    wanted = {row for file in paper.FILES for row in paper.figures_printed(file)}
    assert {row for rows in rows_of(drawn).values() for row in rows} >= wanted


def test_parts_of_the_paper_are_parts_of_the_plan():
    drawn = plan.load("drawn")
    assert rows_of(drawn.narrowed(["12"], (), ())) == {"drawn-paper-pose": list(paper.rows_of_table("12"))}
    chosen = drawn.narrowed(["6"], (), ())
    assert rows_of(chosen) == {"drawn-paper": [*paper.rows_of_table("6"), "puzzle-2x2-half-none"]}
    figure = drawn.narrowed((), ["16"], ())
    assert set(rows_of(figure)["drawn-paper"]) == set(paper.rows_of_figure("16")) and figure.drawn == ("16",)
    row = drawn.narrowed((), (), ["puzzle-3x3-weak"])
    assert rows_of(row) == {"drawn-paper": ["puzzle-3x3-weak"]} and row.drawn == ()
    both = {"drawn-paper-pose": ["puzzle-3x3"], "drawn-paper-gender": ["puzzle-3x3"]}
    assert rows_of(drawn.narrowed((), (), ["puzzle-3x3"])) == both
    for part in drawn.parts:
        if part.recipe in both:
            typed = drawn.typed(part, "puzzle-3x3")
            assert rows_of(drawn.narrowed((), (), [typed])) == {part.recipe: ["puzzle-3x3"]}
    assert drawn.typed(drawn.parts[0], "puzzle-3x3-none") == "puzzle-3x3-none"
    runs = plan.runs_of([(drawn.narrowed((), (), ["finetune-puzzle"]), OUT)], OUT)
    assert [run.row.label for run in runs] == ["pretrain-puzzle", "finetune-puzzle"] * 3
    assert [run.seed for run in runs] == [1, 1, 2, 2, 3, 3]


def test_rows_of_figure_16_keep_the_weights_of_the_lowest_loss():
    drawn = plan.load("drawn").narrowed((), ["16"], ["puzzle-3x3-weak"])
    kept = {run.row.label for run in plan.runs_of([(drawn, OUT)], OUT) if "--keep_lowest_loss" in run.arguments([])}
    assert kept == set(paper.rows_of_figure("16"))


def test_what_the_data_do_not_allow_is_refused_with_the_reason():
    drawn = plan.load("drawn")
    with pytest.raises(ValueError, match="table 8 on fer2013: it needs videos. Allowed: 1, 2, 3"):
        plan.load("fer2013").narrowed(["8"], (), ())
    with pytest.raises(ValueError, match="supervised-weak-seven-classes on fer2013: it needs faces of contempt"):
        plan.load("fer2013").narrowed((), (), ["supervised-weak-seven-classes"])
    for tables, figures, rows, message in (
        (["14"], [], [], "table 14 is not of the paper"),
        ([], ["8"], [], "figure 8 is not of the paper or has no rows here. Allowed: 9, 10"),
        ([], [], ["puzle-3x3-none"], "unknown row of the reproduction on drawn 'puzle-3x3-none'. Did you mean"),
    ):
        with pytest.raises(ValueError, match=message):
            drawn.narrowed(tables, figures, rows)
    with pytest.raises(ValueError, match="figure 15 is not on fer2013; it is on 300w-lp, drawn. Allowed"):
        plan.load("fer2013").narrowed((), ["15"], ())
    with pytest.raises(ValueError, match="table 12 is not on affectnet; it is on 300w-lp, drawn. Allowed: 1, 2"):
        plan.load("affectnet").narrowed(["12"], (), ())
    with pytest.raises(ValueError, match="data set to reproduce on, 'drwn'. Did you mean 'drawn'"):
        plan.load("drwn")


def test_a_reproduction_begins_with_the_models_of_another_one(tmp_path):
    jaffe = plan.load("jaffe").narrowed(["11"], (), ())
    folder = plan.folder_of("jaffe", tmp_path)
    with pytest.raises(ValueError, match="Type first: hf-hmtl reproduce --on affectnet --rows supervised-weak"):
        plan.runs_of([(jaffe, folder)], tmp_path)
    affectnet = plan.load("affectnet").narrowed((), (), ["supervised-weak", "puzzle-3x3-weak"])
    runs = plan.runs_of([(affectnet, plan.folder_of("affectnet", tmp_path)), (jaffe, folder)], tmp_path)
    assert len(runs) == 2 * 3 + 2 * 3 * 10
    probe = runs[-1]
    assert isinstance(probe, Run) and probe.row.fold == (10, 10)
    origin = probe.origins["pretrained"]
    assert origin in runs and (origin.row.label, origin.seed) == ("puzzle-3x3-weak", 3)
    assert str(origin.folder) in probe.arguments([])


def test_rows_in_time_begin_with_backbones_of_the_same_reproduction():
    """Each seed with the backbone of that seed, which is trained first and once, whatever else was asked for."""
    runs = plan.runs_of([(plan.load("drawn").narrowed(["8", "9"], (), ()), OUT)], Path("elsewhere"))
    assert len(runs) == 6 * 3 + 2 * 3 * 10 + 2 * 3
    places = [run.folder for run in runs]
    for place, run in enumerate(runs):
        for origin in run.origins.values():
            assert places.index(origin.folder) < place and origin.seed == run.seed
            assert origin.folder == OUT / "drawn-paper" / origin.row.label / f"seed-{run.seed}"
            assert origin.row.label == ("puzzle-3x3-weak" if "puzzle" in run.row.label else "supervised-weak")
    assert sum(bool(run.origins) for run in runs) == 4 * 3 + 2 * 3 * 10
    assert {run.row.fold for run in runs if "afew-va" in run.row.recipe} == {(number, 10) for number in range(1, 11)}


def test_the_steps_of_a_budget_are_kept_with_it(tmp_path):
    assert plan.kept_steps(tmp_path, 60.0) is None
    plan.write_steps(tmp_path, 60.0, {"supervised-none": 70})
    assert plan.kept_steps(tmp_path, 60.0) == {"supervised-none": 70}
    with pytest.raises(ValueError, match="begun with a budget of 1 minutes"):
        plan.kept_steps(tmp_path, 120.0)
    with pytest.raises(ValueError, match="Type --budget 1m to go on with it, or give another --output_dir"):
        plan.require_no_budget(tmp_path)
    for damaged in ("[]", '{"budget": 60.0}', '{"budget": "60", "steps": {}}'):
        (tmp_path / plan.STEPS).write_text(damaged)
        with pytest.raises(ValueError, match=f"{plan.STEPS} does not hold a budget and the steps that fit into it"):
            plan.require_no_budget(tmp_path)
