"""The model card: made from the result alone, equal every time, and honest."""

import dataclasses
import importlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from hf_hmtl.data import sources
from hf_hmtl.results.card import HUB_LICENCES, escape, render, write_card
from hf_hmtl.results.result import read
from hf_hmtl.results.terms import KNOWN

EXAMPLE = Path(__file__).with_name("version_2.json")


@pytest.fixture
def result():
    """A finished run."""
    return read(EXAMPLE)


def table(card, heading):
    """Cells of the first table under a heading, header row first, ruler left out."""
    under = card.partition(f"{heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", under, re.MULTILINE).group().splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells[0], *cells[2:]]


def changed(result, group, **values):
    return dataclasses.replace(result, **{group: getattr(result, group) | values})


def test_it_is_byte_identical_and_survives_the_file(result, tmp_path):
    result.write(tmp_path / "result.json")
    write_card(result, tmp_path / "one.md")
    write_card(read(tmp_path / "result.json"), tmp_path / "two.md")
    assert (tmp_path / "one.md").read_bytes() == (tmp_path / "two.md").read_bytes()
    assert (tmp_path / "one.md").read_text(encoding="utf-8") == render(result)


def test_results_of_version_1_have_cards_too():
    card = render(read(EXAMPLE.with_name("version_1.json")))
    training = {row[0]: row[1] for row in table(card, "## Training")}
    assert training["Broken images"] == "17 (train)" and "Computed by" not in training
    assert {one.metric_type for one in ModelCard(card).data.eval_results} == {"accuracy", "f1"}


def test_other_measures_keep_their_names(result):
    errors = {"pose": [{"name": "mae", "greater_is_better": False, "unit": "degrees"}]}
    posed = changed(changed(result, "model", primary="pose"), "metrics", test_pose_mae=4.78)
    (found,) = ModelCard(render(dataclasses.replace(posed, measures=errors))).data.eval_results
    assert (found.metric_type, found.metric_name, found.metric_value) == ("mae", "MAE (degrees)", 4.78)
    assert found.task_type == "image-regression"


def test_the_header_says_what_the_hub_needs(result):
    data = ModelCard(render(result)).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "image-classification")
    assert {"hybrid-multi-task-learning", "self-supervised-learning"} <= set(data.tags)
    assert (data.license, data.license_name) == ("other", "see-licences-below")
    assert data.base_model is None
    assert data.model_name == "example/puzzle-3x3"


def test_the_model_index_holds_the_reported_scores_unrounded(result):
    found = {one.metric_type: one for one in ModelCard(render(result)).data.eval_results}
    assert found["accuracy"].metric_value == result.metrics["test_emotion_accuracy"]
    assert found["f1"].metric_value == result.metrics["test_emotion_macro_f1"]
    assert found["f1"].metric_args == {"average": "macro"}
    assert {one.dataset_split for one in found.values()} == {"test"}
    on_validation = changed(result, "protocol", reported_on="validation")
    found = {one.metric_type: one for one in ModelCard(render(on_validation)).data.eval_results}
    assert found["accuracy"].metric_value == result.metrics["eval_emotion_accuracy"]
    assert found["accuracy"].dataset_split == "validation"


def test_an_undefined_score_is_not_claimed(result):
    unknown = changed(result, "metrics", test_emotion_accuracy=math.nan, test_emotion_macro_f1=math.nan)
    assert not ModelCard(render(unknown)).data.eval_results
    assert "model_name" not in render(unknown)
    assert table(render(unknown), "## Results")[2][2] == "–"


def test_licence_and_base_model_of_the_header_follow_the_data_and_the_starting_weights(result):
    free = changed(result, "data", licence="CC-BY-4.0")
    assert ModelCard(render(free)).data.license == "cc-by-4.0"
    started = changed(changed(free, "recipe", pretrained=True), "model", base_model="timm/resnet10t.c3_in1k")
    data = ModelCard(render(started)).data
    assert (data.license, data.base_model) == ("other", "timm/resnet10t.c3_in1k")
    assert "timm/resnet10t.c3\\_in1k" not in render(started)  # an underscore inside a word needs no backslash
    assert "assume non-commercial" in render(started)
    assert "assume non-commercial" not in render(result)
    for pretrained, shown in ((True, "timm's own weights"), ("mine.safetensors", "mine.safetensors")):
        card = render(changed(result, "recipe", pretrained=pretrained))
        assert dict(table(card, "## Training"))["Started from"] == shown
    known = {"name": "drawn/pretrain-puzzle-3x3", "base_model": None, "sources": ["drawn"]}
    of_a_row = dataclasses.replace(changed(result, "recipe", pretrained="seed-1"), started_from=known)
    assert dict(table(render(of_a_row), "## Training"))["Started from"] == "drawn/pretrain-puzzle-3x3"


def test_the_table_of_results(result):
    assert table(render(result), "## Results") == [
        ["Measure", "Validation", "Test", "Majority class (test)", "Paper"],
        ["loss", "0.7500", "0.8750", "–", "–"],
        ["emotion accuracy", "0.7000", "0.6000", "0.7000", "0.6109"],
        ["emotion macro F1", "0.6123", "0.5123", "0.2745", "–"],
    ]
    without = dataclasses.replace(result, paper=None)
    assert table(render(without), "## Results")[0][-1] == "Majority class (test)"
    assert "The paper reports" not in render(without)
    assert "no like-for-like comparison" in render(result)


def test_every_figure_of_the_paper_stands_beside_its_measure(result):
    further = {"also": {"emotion_macro_f1": 0.1070}, "plus_minus": 0.0002, "in_table": {"Table 6": {"value": 0.5871}}}
    card = render(dataclasses.replace(result, paper=result.paper | further))
    printed = {row[0]: row[-1] for row in table(card, "## Results")}
    assert (printed["emotion accuracy"], printed["emotion macro F1"], printed["loss"]) == ("0.6109", "0.1070", "–")
    assert "emotion accuracy 0.6109 ± 0.0002 (" in card and "; 0.5871 in Table 6)" in card


def test_classes_and_confusion(result):
    assert table(render(result), "### Recall of each class: emotion") == [
        ["Class", "Training rows", "Validation", "Test"],
        ["happy", "12,000", "0.8000", "0.7143"],
        ["sad", "300", "0.6000", "0.3333"],
        ["contempt", "45", "–", "–"],
    ]
    assert table(render(result), "### Confusion on test: emotion") == [
        ["", "happy", "sad", "contempt"],
        ["**happy**", "5", "2", "0"],
        ["**sad**", "1", "1", "1"],
        ["**contempt**", "0", "0", "0"],
    ]


def test_many_classes_are_not_drawn_as_a_matrix(result):
    labels = [f"person{number}" for number in range(30)]
    many = {"test": {"emotion": {"labels": labels, "matrix": [[1] * 30] * 30}}}
    card = render(dataclasses.replace(result, confusion=many))
    assert "The matrix of 30 classes stands in `result.json`" in card
    assert "**person1**" not in card


def test_the_interval_is_wilsons(result):
    expected = binomtest(6, 10).proportion_ci(0.95, method="wilson")
    assert f"between {expected.low:.4f} and {expected.high:.4f} (95 %, Wilson)" in render(result)


def test_training_data_and_recipe_are_told(result):
    card = render(result)
    training = dict(table(card, "## Training"))
    assert training["Backbone"] == "test_resnet (timm) at 48 px"
    assert training["Started from"] == "random weights"
    assert training["Hardware"] == "Example 9000, 2 cores, Linux x86_64, Example GPU"
    assert training["Parameters"] == "4,800,000 in this model; 4,900,100 while training, 100,100 of them auxiliary"
    assert training["Seeds"] == "training 3, data 4"
    assert training["Weights kept"] == "those with the best eval_emotion_accuracy on validation: step 700, epoch 7.0"
    assert training["Broken images"] == "17 (train), 1 (validation), 0 (test)"
    assert training["Computed by"] == "2 processes on cuda, bfloat16, 64 rows a step"
    assert "transformers 5.23.0" in training["Versions"] and "Speed" not in training
    timed = dict(table(render(dataclasses.replace(result, seconds_an_image=0.01234)), "## Training"))
    assert timed["Speed"] == "12.3 ms for one image in float32, on the hardware above (cuda)"
    recipe = dict(table(card, "<summary>The whole recipe</summary>\n"))
    assert recipe["auxiliary.puzzle.weight"] == "0.111"
    assert recipe["training.adam_epsilon"] == "1e-14"
    assert recipe["pretrained"] == "no"
    assert recipe["supervised.emotion.class_weights"] == "–"
    assert not {"name", "about"} & set(recipe)
    assert table(card, "## Data")[1] == ["drawn", "train", "12,345"]
    for sentence in [*result.protocol["notes"], *result.data["notes"], result.data["licence"], result.data["citation"]]:
        assert sentence in card
    last = changed(result, "protocol", selection=None)
    assert dict(table(render(last), "## Training"))["Weights kept"] == "those of the last step; nothing was selected"


def test_the_words_that_must_stand_there(result):
    card = render(result)
    body = card.split("---\n", 2)[2].lstrip()
    first_sentence = re.search(r"^[A-Z].*?[.:] ", body, re.MULTILINE).group()
    assert "Hybrid" in first_sentence
    for words in (
        "The auxiliary heads are gone",
        "not related to `huggingface/hmtl`",
        "trust_remote_code=True",
        "perceived expression",
        "Article 5(1)(f) of the EU AI Act",
        "Out of scope",
        "Apache-2.0",
        "The licence of the code does not replace them",
        "arXiv:2105.06421",
        "@article{",
    ):
        assert words in card, words
    assert not re.search(
        r"\b(None|nan|inf|null|True|False)\b", card.replace("None needed", "").replace("code=True", "")
    )


def test_supervised_and_self_supervised_runs_say_what_they_are(result):
    alone = render(changed(result, "model", auxiliary=[]))
    assert "without auxiliary heads" in alone
    assert "The auxiliary heads are gone" not in alone
    assert "self-supervised-learning" not in ModelCard(alone).data.tags
    backbone = dataclasses.replace(
        changed(result, "model", supervised=[], primary=None), metrics={}, baselines={}, confusion={}, paper=None
    )
    card = render(backbone)
    assert "It saw no label" in card
    assert "This run has no supervised scores" in card
    assert 'pipeline("image-classification"' not in card
    assert ModelCard(card).data.pipeline_tag == "image-feature-extraction"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<script>", "&lt;script&gt;"),
        ("a & b", "a &amp; b"),
        ("line\nbreak\t", "line break"),
        ("*bold* `code` [link](x) #1 ~~", r"\*bold\* \`code\` \[link\](x) \#1 \~\~"),
        ("back\\slash", "back\\\\slash"),
        ("eval_emotion_accuracy", "eval_emotion_accuracy"),
        ("_emphasis_", r"\_emphasis\_"),
        ("{{ 7 * 7 }}", r"{{ 7 \* 7 }}"),
    ],
)
def test_escape(given, shown):
    assert escape(given) == shown


def test_odd_names_break_nothing(result):
    odd = "ha|ppy <b>{{ 7*7 }}\n# x"
    shown = escape(odd)
    for path in ("confusion", "rows", "metrics"):
        text = getattr(result, path)
        setattr(result, path, rename(text, "happy", odd))
    result = dataclasses.replace(result, name="a: 'b' | \"c\" # d\n---", data=result.data | {"source": odd})
    result.data["citation"] = "before\n```\n# not a heading\n````\nafter"
    card = render(result)
    assert table(card, "### Recall of each class: emotion")[1] == [shown, "12,000", "0.8000", "0.7143"]
    assert table(card, "## Data")[1][0] == shown
    assert ModelCard(card).data.model_name == result.name
    assert ModelCard(card).data.eval_results[0].dataset_name == odd
    assert "<b>" not in card.split("---\n", 2)[2]
    assert card.endswith("`````text\nbefore\n```\n# not a heading\n````\nafter\n`````\n")


def rename(value, old, new):
    if isinstance(value, dict):
        return {key.replace(old, new): rename(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [rename(inner, old, new) for inner in value]
    return new if value == old else value


def test_every_head_stands_in_the_model_index_with_its_own_type_and_unit(result):
    two = changed(result, "model", supervised=["emotion", "pose"])
    two = changed(changed(two, "metrics", test_pose_mae=4.78), "measures", pose=[{"name": "mae", "unit": "degrees"}])
    found = ModelCard(render(two)).data.eval_results
    assert [(one.task_type, one.metric_name) for one in found] == [
        ("image-classification", "Accuracy"),
        ("image-classification", "Macro F1"),
        ("image-regression", "MAE (degrees)"),
    ]


def test_the_title_is_short_and_the_changes_stand_below(result):
    card = render(dataclasses.replace(result, name="example/puzzle-3x3 with image_size=48, backbone=resnet10t"))
    assert "\n# example/puzzle-3x3\n" in card
    assert "Changed in this run: image_size=48, backbone=resnet10t; so it learned emotion, puzzle." in card
    assert "Changed in this run" not in render(result)


def test_the_snippet_names_the_repository_and_what_to_install(result):
    card = render(result, "user/faces")
    assert 'model="user/faces", trust_remote_code=True' in card and "pip install torch" in card


def test_it_links_only_what_lies_beside_it(result):
    assert "[recipe.yaml](recipe.yaml)" in render(result) and "](curves.png)" in render(result)
    assert not re.search(r"\]\((recipe.yaml|curves.png)\)", render(result, files=[]))


def test_the_majority_class_has_a_balanced_accuracy_too(result):
    """By scikit-learn: always one of the two classes that are there."""
    with_balanced = changed(result, "metrics", test_emotion_balanced_accuracy=0.5)
    rows = {row[0]: row for row in table(render(with_balanced), "## Results")}
    matrix = result.confusion["test"]["emotion"]["matrix"]
    truth = [index for index, row in enumerate(matrix) for _ in range(sum(row))]
    expected = balanced_accuracy_score(truth, [0] * len(truth))
    assert rows["emotion balanced accuracy"][3] == f"{expected:.4f}"


def test_several_runs_give_mean_and_deviation(result):
    """By numpy."""
    values = [0.6, 0.7, 0.65]
    runs = [
        dataclasses.replace(changed(result, "metrics", test_emotion_accuracy=value), seeds={"training": seed})
        for seed, value in enumerate(values)
    ]
    card = render(runs[0], others=runs[1:])
    rows = {row[0]: row[1:] for row in table(card, "### Over 3 runs of this recipe")}
    assert rows["emotion accuracy"] == [f"{np.mean(values):.4f}", f"{np.std(values, ddof=1):.4f}"]
    assert "The seeds 0, 1, 2; this model is that of seed 0." in card
    with pytest.raises(ValueError, match="a seed each"):
        render(runs[0], others=[runs[0]])
    with pytest.raises(ValueError, match="another recipe: other"):
        render(runs[0], others=[dataclasses.replace(runs[1], name="other")])


@pytest.mark.parametrize("name", sources.available())
def test_every_source_has_terms_that_link_where_it_says(name):
    source = importlib.import_module(f"hf_hmtl.data.sources.{name}")
    assert KNOWN[name].link == source.HOMEPAGE
    free = KNOWN[name].research_only is False
    assert free == (source.LICENCE in HUB_LICENCES) and (not free or KNOWN[name].licence == source.LICENCE)


def test_the_header_knows_the_terms_the_data_set_and_the_metrics(result):
    data = ModelCard(render(result)).data.to_dict()
    assert data["metrics"] == ["accuracy", "f1"] and "datasets" not in data and "extra_gated_prompt" not in data
    source = {"name": "custom", "hub_id": "user/faces"}
    assert ModelCard(render(changed(result, "recipe", source=source))).data.datasets == ["user/faces"]
    fairface = changed(result, "recipe", source={"name": "fairface"})
    assert ModelCard(render(fairface)).data.datasets == ["HuggingFaceM4/FairFace"]
    research = changed(result, "recipe", source={"name": "affectnet"})
    data = ModelCard(render(research)).data.to_dict()
    assert data["license"] == "other" and data["license_link"].startswith("https://") and data["extra_gated_fields"]


def test_terms_of_earlier_weights_are_told_and_keep_the_licence(result):
    sources = {"name": "first", "base_model": None, "sources": ["affectnet"]}
    card = render(dataclasses.replace(result, started_from=sources))
    assert "learned from AffectNet, whose terms allow research only" in card
    assert ModelCard(card).data.license == "other" and "Earlier training" not in render(result)


def grouped(result, measure="accuracy", few=(False, False, True)):
    scores = zip(("a|b", "c", "d"), (0.81, 0.7, 0.2), (400, 400, 9), few, strict=True)
    race = {
        name: {measure: score, "rows": rows, "low": 0.1, "high": 0.95, "few": is_few}
        for name, score, rows, is_few in scores
    }
    return dataclasses.replace(result, groups={"emotion": {"race": race}})


def test_scores_by_group_name_the_worst_the_gap_and_groups_of_few(result):
    without = dataclasses.replace(result, groups={})
    assert "this card has no table by group of people" in render(without) and "### By " not in render(without)
    card = render(grouped(result))
    assert table(card, "### By race: emotion") == [
        ["race", "Rows", "Accuracy", "95 % interval"],
        ["a\\|b", "400", "0.8100", "0.1000 to 0.9500"],
        ["c", "400", "0.7000", "0.1000 to 0.9500"],
        ["d", "9 (few)", "0.2000", "0.1000 to 0.9500"],
    ]
    assert "The lowest is that of c; the largest gap between two groups is 0.1100." in card
    assert "fewer than 30 rows" in card and "the tables by group above tell no more than their rows do" in card
    angles = {"emotion": [{"name": "mae", "greater_is_better": False, "unit": "degrees"}]}
    errors = render(dataclasses.replace(grouped(result, "mae"), measures=angles, paper=None))
    assert "| race | Rows | MAE (degrees) |" in errors and "The highest is that of a\\|b" in errors
    assert "Fewer than two groups have rows enough" in render(grouped(result, few=(False, True, True)))


def test_groups_of_earlier_files_which_have_no_rows_are_shown_as_they_are(result):
    assert table(render(result), "### By gender: emotion")[1:] == [["female", "–", "0.7000", "– to –"]]


def test_calibration_stands_on_the_card_with_its_filled_bins(result):
    bins = [
        {"low": 0.0, "high": 0.1, "rows": 0, "confidence": None, "accuracy": None},
        {"low": 0.9, "high": 1.0, "rows": 1200, "confidence": 0.96, "accuracy": 0.91},
    ]
    scores = {"expected_error": 0.05, "brier": 0.16, "confidence": 0.96, "count": 1200.0}
    card = render(dataclasses.replace(result, calibration={"emotion": {**scores, "reliability": bins}}))
    assert table(card, "### Calibration: emotion")[1:] == [["0.9 to 1.0", "1,200", "0.9600", "0.9100"]]
    assert "Expected calibration error 0.0500 (15 bins of equal width), Brier score 0.1600" in card
    assert "### Calibration" not in render(result)


def test_of_several_heads_of_one_type_each_measure_says_of_which_it_is(result):
    several = changed(result, "model", supervised=["emotion", "gender"])
    several = dataclasses.replace(several, measures=result.measures | {"gender": result.measures["emotion"]})
    several = changed(several, "metrics", test_gender_accuracy=0.9, test_gender_macro_f1=0.89)
    named = {(one.metric_name, one.metric_value) for one in ModelCard(render(several)).data.eval_results}
    assert ("Accuracy of emotion", result.metrics["test_emotion_accuracy"]) in named
    assert ("Accuracy of gender", 0.9) in named and len(named) == 4


def test_what_each_head_answers_is_told_with_unit_and_range_the_primary_one_first(result):
    assert "| Head |" not in render(result), "earlier files do not say"
    heads = {
        "emotion": {"kind": "linear", "labels": ["happy", "sad"]},
        "pose": {"kind": "regression", "names": ["yaw", "pitch"], "unit": "degrees", "range": [-99.0, 99.0]},
        "age": {"kind": "regression", "names": ["age"]},
        "aus": {"kind": "multilabel", "labels": ["au1", "au12"]},
    }
    card = render(dataclasses.replace(result, heads=heads))
    assert dict(table(card, "read it first."))["emotion (primary)"] == "one of happy, sad"
    posed = render(dataclasses.replace(changed(result, "model", primary="pose"), heads=heads))
    rows = table(posed, "read it first.")
    assert rows[1] == ["pose (primary)", "numbers from -99 to 99 degrees: yaw, pitch"]
    assert dict(rows)["age"] == "number: age" and dict(rows)["aus"] == "yes or no, each by itself: au1, au12"
    assert "is the number itself, no probability" in posed and "no probability" not in card


def test_a_pretext_that_was_added_stands_in_the_sentence_about_the_row(result):
    """Also one of weight 0, which has no head and corrupts the images all the same."""
    added = result.recipe | {"about": "Emotions alone.", "auxiliary": {"puzzle": {}, "rotation": {"weight": 0}}}
    changed_row = dataclasses.replace(result, name="mine/supervised with auxiliary.puzzle.grid=2", recipe=added)
    assert (
        "This row of the recipes: Emotions alone. Changed in this run: auxiliary.puzzle.grid=2; so it learned emotion, "
        "puzzle, on images that rotation had corrupted, without a head for it." in render(changed_row)
    )
    plain = dataclasses.replace(result, recipe=result.recipe | {"about": "Emotions alone."})
    assert "This row of the recipes: Emotions alone.\n" in render(plain) and "so it learned" not in render(plain)


def test_what_a_file_may_leave_out_is_left_out_of_the_card(result):
    recipe = {key: value for key, value in result.recipe.items() if key != "about"}
    bins = [{"low": 0.9, "high": 1.0, "rows": 20, "confidence": 0.95, "accuracy": 0.5}]
    heads = {"emotion": {"kind": "linear", "labels": None}, "age": {"kind": "regression", "names": None}}
    uncounted, counted = {"emotion": {"reliability": bins}}, {"emotion": {"reliability": bins, "count": 20}}
    few = dataclasses.replace(result, recipe=recipe, heads=heads, calibration=uncounted)
    assert "This row of the recipes" not in render(few) and "calibration error" not in render(few)
    assert "Expected calibration error – (" in render(dataclasses.replace(few, calibration=counted))


@pytest.mark.parametrize(
    "source, option",
    [
        ({"name": "drawn"}, ""),
        ({"name": "drawn_clips"}, ""),
        ({"name": "custom"}, " --data_dir FOLDER"),
        ({"name": "fer2013"}, " --data_dir FOLDER"),
        ({"name": "custom", "hub_id": "user/faces"}, ""),
    ],
)
def test_what_makes_the_run_again_names_the_folder_that_no_recipe_holds(result, source, option):
    result.recipe["source"] = source
    assert f"`hf-hmtl train recipe.yaml{option}` makes the run again" in render(result)
