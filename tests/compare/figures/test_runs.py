"""Which runs may stand in one figure, what they are called, and what is said of the others."""

import pytest

from hf_hmtl.commands import figure
from hf_hmtl.compare.figures import FigureOptions, write_figure
from hf_hmtl.compare.figures.runs import finished_runs, fitting
from hf_hmtl.results import result as results

OF_SCORES, OF_CURVES, OF_PICTURES = "10", "14", "16"


@pytest.fixture
def fold(rewritten, trained):
    """A function that makes the run of one fold of three, or with None the result over all."""
    known = results.read(trained / "result.json")

    def make(number, score=0.5, row="supervised"):
        name = known.name.replace("supervised", row)
        changes = {"metrics": known.metrics | {"test_emotion_accuracy": score}, "fold": {"number": number, "of": 3}}
        if number is None:
            rows = {"test": known.rows["test"]}
            return rewritten(f"{row}/pooled", name=name, history=[], rows=rows, **changes)
        source = known.recipe["source"] | {"fold": [number, 3]}
        recipe = known.recipe | {"source": source}
        return rewritten(f"{row}/fold-{number}", name=f"{name}, source.fold=[{number}, 3]", recipe=recipe, **changes)

    return make


def draw(name, folders, tmp_path):
    return write_figure(name, folders, FigureOptions(), tmp_path / "drawn")[0]


def test_labels_leave_out_what_all_runs_share(rewritten):
    folders = [rewritten("one"), rewritten("other", row="puzzle-3x3")]
    assert [run.label for run in finished_runs(folders)] == ["supervised", "puzzle-3x3"]
    weak = rewritten("weak", name="drawn/supervised with source.train=64, source.fold=[1, 3], augmentation.level=weak")
    shared = "source.validation=40, source.test=16"
    own = ["supervised", "puzzle-3x3"]
    assert [run.label for run in finished_runs([*folders, weak])] == [
        *(f"{row} with {shared}" for row in own),
        "supervised with source.fold=[1, 3], augmentation.level=weak",
    ]
    further = rewritten("further", name="fer2013/supervised with train_fraction=0.2")
    assert [run.label for run in finished_runs([folders[0], further])] == [
        f"drawn/supervised with source.train=64, {shared}", "fer2013/supervised with train_fraction=0.2",
    ]  # fmt: skip
    assert len(finished_runs([folders[0].parent])) == 4


def test_the_result_over_all_folds_stands_for_them(fold, tmp_path):
    folders = [fold(1, 0.1).parent, fold(1, 0.2, "puzzle-3x3").parent]
    for number in (2, 3):
        fold(number), fold(number, row="puzzle-3x3")
    fold(None, 0.7), fold(None, 0.6, "puzzle-3x3")
    found = draw(OF_SCORES, folders, tmp_path).numbers
    assert [(row["method"], row["mean"]) for row in found] == [("puzzle-3x3", 0.6), ("supervised", 0.7)]
    with pytest.raises(ValueError, match="these 2 runs has what figure 16 shows: .*give the runs of one, such as"):
        draw(OF_PICTURES, folders, tmp_path)
    with pytest.raises(ValueError, match="these 2 runs has what figure 14 shows: .*its log holds no"):
        draw(OF_CURVES, folders, tmp_path)


@pytest.mark.parametrize("figure", [OF_SCORES, OF_CURVES, OF_PICTURES])
def test_folds_are_neither_settings_nor_seeds(figure, fold, tmp_path):
    folders = [fold(1), fold(2)]
    with pytest.raises(ValueError, match="fold-1 and .*fold-2 are folds of one cross-validation.*pooled"):
        draw(figure, folders, tmp_path)
    assert not (tmp_path / "drawn").exists()


def test_one_fold_of_each_row_is_drawn(fold, tmp_path):
    found = draw(OF_SCORES, [fold(2, 0.5), fold(2, 0.6, "puzzle-3x3")], tmp_path).numbers
    assert [(row["method"], row["mean"]) for row in found] == [("supervised", 0.5), ("puzzle-3x3", 0.6)]


def test_seeds_of_one_mean_were_trained_alike(rewritten, trained, tmp_path):
    recipe = results.read(trained / "result.json").recipe
    longer = rewritten("longer", seed=2, recipe=recipe | {"training": recipe["training"] | {"max_steps": 90}})
    with pytest.raises(ValueError, match="both supervised, of max_steps 2 and 90; a mean over seeds needs the same"):
        draw(OF_SCORES, [trained, longer], tmp_path)
    seldom = recipe["training"] | {"logging_steps": 7}  # changes nothing that is learned
    draw(OF_CURVES, [trained, rewritten("seldom", seed=2, recipe=recipe | {"training": seldom})], tmp_path)


def test_seeds_without_a_step_in_common_have_no_curve(rewritten, trained, tmp_path):
    history = [entry | {"step": 10 + entry["step"]} for entry in results.read(trained / "result.json").history]
    with pytest.raises(ValueError, match="supervised, seeds 1 and 2: no two were evaluated at one step"):
        draw(OF_CURVES, [trained, rewritten("later", seed=2, history=history)], tmp_path)


@pytest.mark.parametrize("figure", ["9", "10", "11", "12", "13", "14", "16"])
def test_runs_of_other_tasks_data_or_faces_stand_in_no_figure_together(figure, rewritten, trained, tmp_path):
    known = results.read(trained / "result.json")
    level = known.recipe | {"augmentation": {"level": "weak"}}  # another setting, of figure 9

    def refused(folder, why, **changes):
        other = rewritten(folder, **{"row": "other", "recipe": level, **changes})
        with pytest.raises(ValueError, match=f"figure {figure} shows {why}"):
            draw(figure, [trained, other], tmp_path)
        assert not (tmp_path / "drawn").exists()

    smaller = known.rows | {split: known.rows[split] | {"rows": 8} for split in ("validation", "test")}
    refused("data", "one data set, and these runs are of drawn and fer2013", data=known.data | {"source": "fer2013"})
    refused("faces", "scores of the same faces", rows=smaller)
    gender = {"rows": 40, "classes": {"gender": {"female": 20, "male": 20}}}
    renamed = {key.replace("emotion", "gender"): value for key, value in known.metrics.items()}
    history = [
        {key.replace("emotion", "gender"): value for key, value in entry.items()} for entry in known.history
    ]  # fmt: skip
    refused(
        "task", "one task, and these runs learned emotion and gender", model=known.model | {"supervised": ["gender"]},
        rows=dict.fromkeys(known.rows, gender), metrics=renamed, history=history,
    )  # fmt: skip


def test_what_is_said_of_many_runs_is_a_sentence_a_reason(rewritten):
    folders = [rewritten(f"{row}-{seed}", row=f"row-{row}", seed=seed) for row in range(6) for seed in (1, 2)]
    runs = finished_runs(folders)
    reasons = {run.folder: "it is odd" for run in runs if run.label != "row-5"}
    reasons[runs[-1].folder] = "it is late"
    kept, notes = fitting(runs, lambda run: reasons.get(run.folder), "figure 0")
    assert [(run.label, run.seed) for run in kept] == [("row-5", 1)]
    assert notes == [
        "left out row-0; row-1; row-2; row-3 and 1 more: it is odd", "left out row-5, seed 2: it is late",
    ]  # fmt: skip


def test_runs_of_some_labels_can_be_left_out_of_a_whole_comparison(rewritten, tmp_path):
    one = rewritten("runs/one")
    fewer = results.read(one / "result.json").rows | {"test": {"rows": 7, "classes": {"emotion": {"happy": 7}}}}
    rewritten("runs/other", row="puzzle-3x3", rows=fewer)
    rewritten("runs/third", row="rotation")
    given = ["10", str(one.parent), "--output_dir", str(tmp_path)]
    with pytest.raises(ValueError, match="other ones in test: .*Leave one of them out: --without (sup|puzzle|rot)"):
        figure.run(given)
    figure.run([*given, "--without", "puzzle-3x3"])
    table = (tmp_path / "figure-10.csv").read_text()
    assert "supervised" in table and "rotation" in table and "puzzle-3x3" not in table
    with pytest.raises(ValueError, match="unknown label of these runs 'puzle-3x3'. Did you mean 'puzzle-3x3'"):
        figure.run([*given, "--without", "puzle-3x3"])
