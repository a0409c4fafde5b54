import pytest
import yaml

from hf_hmtl import recipe as recipes
from hf_hmtl.recipe import Recipe, load, merged, override
from hf_hmtl.run.checking import check
from hf_hmtl.run.experiment import build_pretext

ROWS = [f"{file}/{row}" for file, rows in recipes.available().items() for row in rows]


@pytest.mark.parametrize("name", ROWS)
def test_every_row_loads_and_its_tasks_can_be_made(name):
    recipe = load(name)
    assert recipe.name == name
    check(recipe)


def test_rows_are_deltas_over_defaults(tmp_path):
    path = tmp_path / "mine.yaml"
    supervised, puzzle = {"emotion": {"loss": "focal"}}, {"puzzle": {"grid": 2}}
    rows = {"one": None, "two": {"image_size": 96, "auxiliary": {"puzzle": {"weight": 0.5}}}}
    rows["three"] = {"auxiliary": {"puzzle": None}}
    content = {"defaults": {"image_size": 64, "supervised": supervised, "auxiliary": puzzle}, "rows": rows}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    assert load(str(path)).auxiliary == {"puzzle": {"grid": 2}}
    two = load(f"{path}:two")
    assert two.image_size == 96 and two.auxiliary == {"puzzle": {"grid": 2, "weight": 0.5}}
    assert load(f"{path}:three").auxiliary == {} and two.name == "mine/two"


def test_a_file_like_another_has_its_rows_on_other_data(tmp_path):
    path = tmp_path / "mine.yaml"
    own = {
        "puzzle-2x2-weighted": {"auxiliary": {"puzzle": {"grid": 2, "weight": 0.5}}},
        "puzzle-3x3": {"image_size": 90},
    }
    content = {
        "like": "fairface",
        "leave_out": ["supervised"],
        "defaults": {"source": {"name": "drawn", "size": 60}, "image_size": 60, "training": {"learning_rate": 0.01}},
        "rows": own,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    theirs = load("fairface/puzzle-2x2")
    row = load(f"{path}:puzzle-2x2")
    assert row.source == {"name": "drawn", "size": 60}  # in the place of theirs, whose options would be unknown
    assert (row.auxiliary, row.paper, row.image_size) == (theirs.auxiliary, None, 60) and theirs.paper
    assert row.training == theirs.training | {"learning_rate": 0.01} and row.about == theirs.about
    assert load(f"{path}:puzzle-3x3").image_size == 90 and load("fairface/puzzle-3x3").image_size == 225
    weighted = load(f"{path}:puzzle-2x2-weighted")
    assert weighted.auxiliary["puzzle"] == {"grid": 2, "weight": 0.5} and weighted.image_size == 60
    with pytest.raises(ValueError, match="unknown row 'supervised'"):
        load(f"{path}:supervised")
    for changes, message in (
        ({"like": "fairfce"}, "unknown file that mine.yaml is like, 'fairfce'. Did you mean 'fairface'"),
        ({"leave_out": ["supervized"]}, "leaves out, 'supervized'. Did you mean 'supervised'"),
        ({"leave_out": 3}, "leave_out of .*mine.yaml is 3; write the rows that are left out as a list"),
        ({"rows": {"puzzle-2x2": 3}}, "row 'puzzle-2x2' of .*mine.yaml"),
    ):
        path.write_text(yaml.safe_dump(content | changes, sort_keys=False))
        with pytest.raises(ValueError, match=message):
            load(f"{path}:puzzle-2x2")
    path.write_text(yaml.safe_dump({"leave_out": ["a"], "rows": {"a": {}}}))
    with pytest.raises(ValueError, match="leave_out and is not `like` another file"):
        load(f"{path}:a")


def test_overrides_reach_any_key():
    recipe = load(
        "quickstart", override(["auxiliary.puzzle.weight=0.5", "augmentation.level=weak", "backbone=resnet18"])
    )
    assert recipe.auxiliary["puzzle"]["weight"] == 0.5 and recipe.augmentation == {"level": "weak"}
    assert recipe.backbone == "resnet18" and recipe.auxiliary["puzzle"]["grid"] == 3


PAPER = "affectnet/puzzle-3x3-weak"


@pytest.mark.parametrize(
    ("name", "changes", "changed"),
    [
        (PAPER, {"auxiliary": {"puzzle": {"weight": 0.5}}}, "auxiliary.puzzle.weight=0.5"),
        (PAPER, {"auxiliary": {"rotation": {"weight": 2}}}, "auxiliary.rotation.weight=2"),
        (PAPER, {"auxiliary": {"puzzle": None}}, "auxiliary.puzzle=null"),
        (PAPER, {"train_fraction": 0.5, "backbone": "resnet10t"}, "train_fraction=0.5, backbone=resnet10t"),
        ("drawn/puzzle-3x3", {"source": {"difficulty": 2}}, "source.difficulty=2"),
        ("custom/puzzle-3x3", {"pretrained": "a/folder"}, "pretrained=a/folder"),
    ],
)
def test_a_changed_row_says_so_and_loses_the_papers_figure(name, changes, changed):
    assert load(name).name == name and (load(PAPER).paper is not None)
    recipe = load(name, changes)
    assert recipe.name == f"{name} with {changed}"
    assert recipe.paper is None


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (PAPER, {}),
        (PAPER, {"on_broken_image": "raise", "report_batch_norm": True, "report_train": True}),
        (PAPER, {"auxiliary": {"puzzle": {"grid": 3}}, "train_fraction": 1.0}),  # as it is
        ("drawn/inpainting-perceptual", {"teacher": "outputs/elsewhere"}),
        ("drawn/finetune-puzzle-3x3", {"pretrained": "outputs/elsewhere"}),
        ("custom/puzzle-3x3", {"source": {"hub_id": "user/faces"}, "supervised": {"gender": {}}}),
    ],
)
def test_what_is_no_other_experiment_keeps_name_and_figure(name, changes):
    assert load(name, changes).name == name
    assert load(name, changes).paper == load(name).paper


def test_merging_changes_neither_side():
    base = {"a": {"b": 1}}
    merged(base, {"a": {"c": 2}})["a"]["b"] = 9
    assert base == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("quickstrat", {}, "Did you mean 'quickstart'"),
        ("quickstart/puzzel-3x3", {}, "Did you mean 'puzzle-3x3'"),
        ("missing.yaml", {}, "does not exist"),
        ("quickstart", {"imagesize": 64}, "Did you mean 'image_size'"),
        ("quickstart", {"crop": {"trian": 1}}, "Did you mean 'train'"),
        ("quickstart", {"crop": {"train": 1.2}}, "0 < fraction <= 1"),
        ("quickstart", {"train_fraction": 0.0}, "train_fraction"),
        ("quickstart", {"image_size": 8}, "image_size"),
        ("quickstart", {"supervised": {"emotion": None}, "auxiliary": {"puzzle": None}}, "no task"),
    ],
)
def test_mistakes_name_the_nearest(name, changes, message):
    with pytest.raises(ValueError, match=message):
        load(name, changes)


def test_an_assignment_without_equals_raises():
    with pytest.raises(ValueError, match="write --set"):
        override(["auxiliary.puzzle.weight"])
    for value, problem in (
        ("[a, b", "expected ',' or ']'"),
        ("a\t: b:", "cannot start any token|not allowed here"),
        ("*x", "undefined alias"),
    ):
        with pytest.raises(
            ValueError, match=rf"--set .*the value is YAML, line 1: .*({problem}).*Quote what is to stay text"
        ):
            override([f"source.data_dir={value}"])


def test_unknown_task_options_name_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'grid'"):
        build_pretext("puzzle", {"gird": 3}, "mine")
    with pytest.raises(ValueError, match="supervised task"):
        build_pretext("emotion", {"task": "classification"}, "mine")


def test_recipes_are_plain_data():
    assert yaml.safe_load(yaml.safe_dump(load("quickstart").to_dict())) == load("quickstart").to_dict()
    assert isinstance(load("quickstart"), Recipe)
