"""result.json: round trip, strictness, whole files only, and nothing that names a machine."""

import dataclasses
import json
import math
import platform
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pytest
import torch

from hf_hmtl.files import replacing
from hf_hmtl.metrics.measure import Measure
from hf_hmtl.results.result import Result, environment, read
from hf_hmtl.results.versions import PRESENT

FIRST = Path(__file__).with_name("version_1.json")
EXAMPLE = Path(__file__).with_name("version_2.json")


@pytest.fixture
def result():
    """A finished run, from a file of the present version."""
    return read(EXAMPLE)


def reject(constant):
    raise AssertionError(f"{constant} is no JSON")


def strict(path):
    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=reject)


def test_a_file_of_the_present_version_comes_back_equal(result, tmp_path):
    result.write(tmp_path / "result.json")
    assert strict(tmp_path / "result.json") == strict(EXAMPLE)
    assert result.schema_version == PRESENT


def test_a_file_of_version_1_says_the_same_in_the_present_one(tmp_path):
    read(FIRST).write(tmp_path / "result.json")
    before, now = strict(FIRST), strict(tmp_path / "result.json")
    added = {
        "schema_version": PRESENT,
        "broken_images": {"train": 17},
        "scored": {"validation": {"emotion": 10}, "test": {"emotion": 10}},
        "measures": {
            "emotion": [
                {"name": "accuracy", "greater_is_better": True, "unit": "share"},
                {"name": "macro_f1", "greater_is_better": True, "unit": "share"},
            ]
        },
        "execution": None,
        "fold": None,
        "seconds_an_image": None,
        "started_from": None,
        "left_out_steps": [],
        **dict.fromkeys(("left_out", "groups", "sources", "calibration", "heads"), {}),
    }
    assert now == before | added


def test_every_version_has_an_example():
    assert {path.name for path in FIRST.parent.glob("*.json")} == {f"version_{n}.json" for n in range(1, PRESENT + 1)}


def test_what_later_work_adds_is_passed_over(tmp_path, result):
    def change(values):
        values.update(attack={"epsilon": 0.1})

    assert read(changed_file(tmp_path, change)) == result


def test_the_paper_is_quoted_in_the_unit_of_the_measure(result):
    degrees = {"pose": [vars(Measure("mae", greater_is_better=False, unit="degrees"))]}
    paper = result.paper | {"metric": "pose_mae", "value": 4.78}
    found = dataclasses.replace(result, measures=result.measures | degrees, paper=paper)
    assert found.paper["value"] == 4.78 and found.measures_of("pose")[0].unit == "degrees"
    assert found.measures_of("age") == []
    with pytest.raises(ValueError, match="in percent, write 0.6109"):
        dataclasses.replace(result, paper=result.paper | {"value": 61.09})


def test_further_figures_of_the_paper_are_kept_and_checked_like_the_first(result, tmp_path):
    assert set(result.paper) == {"table", "row", "metric", "value"}  # as every file had them before
    others = {"Table 6": {"row": "SL", "value": 0.5871}}
    further = {"also": {"emotion_macro_f1": 0.5}, "plus_minus": 0.0002, "in_table": others}
    found = dataclasses.replace(result, paper=result.paper | further)
    found.write(tmp_path / "result.json")
    assert read(tmp_path / "result.json").paper == result.paper | further
    with pytest.raises(ValueError, match="emotion_macro_f1 is 50.0.*in percent, write 0.5"):
        dataclasses.replace(result, paper=result.paper | {"also": {"emotion_macro_f1": 50.0}})


def test_every_field_is_written_and_read(result, tmp_path):
    result.write(tmp_path / "result.json")
    again = read(tmp_path / "result.json")
    again.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "result.json").read_bytes()
    assert set(strict(tmp_path / "result.json")) == {field.name for field in dataclasses.fields(Result)}


def test_undefined_numbers_are_null_in_the_file_and_nan_in_memory(result, tmp_path):
    assert math.isnan(result.metrics["test_emotion_recall_contempt"])
    assert math.isnan(result.history[0]["grad_norm"])
    history = [{"step": 1, "loss": math.inf}, {"step": 2, "loss": np.float32("nan")}]
    dataclasses.replace(result, history=history, baselines={"test_x": -math.inf}).write(tmp_path / "result.json")
    written = strict(tmp_path / "result.json")
    assert [entry["loss"] for entry in written["history"]] == [None, None]
    assert written["baselines"] == {"test_x": None}


def test_arrays_and_tensors_become_plain_numbers(result, tmp_path):
    changed = dataclasses.replace(
        result,
        metrics={"test_emotion_accuracy": np.float64(0.5), "test_loss": torch.tensor(2.0)},
        confusion={"test": {"emotion": {"labels": ("a", "b"), "matrix": np.eye(2, dtype=np.int64)}}},
        steps=np.int64(7),
    )
    assert type(changed.metrics["test_emotion_accuracy"]) is float
    assert changed.confusion["test"]["emotion"] == {"labels": ["a", "b"], "matrix": [[1, 0], [0, 1]]}
    changed.write(tmp_path / "result.json")
    assert strict(tmp_path / "result.json")["steps"] == 7
    with pytest.raises(TypeError, match="seeds.training holds a object"):
        dataclasses.replace(result, seeds={"training": object()})


@pytest.mark.parametrize(
    "folder", ["/home/somebody/faces", PurePosixPath("/home/somebody/faces"), PureWindowsPath("C:/somebody/faces")]
)
def test_absolute_paths_of_the_recipe_keep_only_their_last_part(result, folder, tmp_path):
    recipe = {"data_dir": folder, "nested": {"files": [folder, "relative/name"]}, "backbone": "resnet10t"}
    dataclasses.replace(result, recipe=recipe).write(tmp_path / "result.json")
    expected = {"data_dir": "faces", "nested": {"files": ["faces", "relative/name"]}, "backbone": "resnet10t"}
    assert strict(tmp_path / "result.json")["recipe"] == expected
    assert "somebody" not in (tmp_path / "result.json").read_text()


def test_a_crash_while_writing_leaves_the_old_file_and_nothing_else(result, tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    result.write(path)
    before = path.read_bytes()

    def half(content, file, **options):
        file.write("{half")
        file.flush()
        assert path.read_bytes() == before  # nobody sees the half
        raise OSError("disk full")

    monkeypatch.setattr(json, "dump", half)
    with pytest.raises(OSError, match="disk full"):
        dataclasses.replace(result, steps=1).write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_makes_folders_and_keeps_usual_permissions(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    (tmp_path / "usual.txt").write_text("x")
    with replacing(path) as temporary:
        temporary.write_text("done")
    assert path.read_text() == "done"
    assert path.stat().st_mode == (tmp_path / "usual.txt").stat().st_mode


def changed_file(tmp_path, change):
    values = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    change(values)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda values: values.update(schema_version=PRESENT + 1),
            f"schema version {PRESENT + 1}; this hf_hmtl reads versions 1 to {PRESENT}",
        ),
        (lambda values: values.pop("schema_version"), "no schema_version"),
        (lambda values: values.update(schema_version="1"), "no schema_version"),
        (lambda values: values.pop("steps"), "the file lacks steps"),
        (lambda values: values["execution"].pop("device"), "execution lacks device"),
        (lambda values: values.update(broken_images={"dev": 1}), "broken_images names the split 'dev'"),
        (lambda values: values.update(scored={"dev": {}}), "scored names the split 'dev'"),
        (lambda values: values["data"].pop("licence"), "data lacks licence"),
        (lambda values: values["seeds"].pop("training"), "seeds lacks training"),
        (lambda values: values.update(started_from={"name": "earlier", "base_model": None}), "lacks sources"),
        (lambda values: values["groups"]["emotion"]["gender"].update(male={"mae": 1}), "'gender'.'female' lacks mae"),
        (lambda values: values["recipe"]["source"].update(name=["a"]), r"recipe.source.name is \['a'\]"),
        (lambda values: values.update(left_out={"train": {"lost": {"names": []}}}), "lost. lacks count"),
        (lambda values: values.update(heads={"emotion": {"labels": ["a"]}}), "heads.'emotion' lacks kind"),
        (lambda values: values.update(heads={"age": {"kind": "regression", "range": [1]}}), r"range is \[1\]"),
        (lambda values: values["calibration"]["emotion"].update(reliability=[{"rows": 2}]), "lacks accuracy"),
        (lambda values: values["data"].update(license="x"), "data has the unknown license"),
        (lambda values: values["protocol"]["selection"].pop("step"), "protocol.selection lacks step"),
        (lambda values: values.update(seconds=[3]), "seconds is .3., which is of another type"),
        (lambda values: values["metrics"].update(accuracy=0.5), "metrics has the key 'accuracy'.*eval_"),
        (lambda values: values["baselines"].update(accuracy=0.5), "baselines has the key"),
        (lambda values: values["rows"].update(valid={"rows": 1, "classes": {}}), "rows names the split 'valid'"),
        (lambda values: values["confusion"].update(eval={}), "confusion names the split 'eval'"),
        (lambda values: values["protocol"].update(reported_on="dev"), "protocol.reported_on names the split 'dev'"),
        (lambda values: values.update(recipe=[]), "recipe is .., which is no mapping"),
        (lambda values: values["rows"].update(test={}), "rows.'test' lacks classes, rows"),
        (
            lambda values: values["metrics"].update(eval_emotion_accuracy="high"),
            "metrics is .*, which is of another type",
        ),
        (lambda values: values["confusion"]["test"]["emotion"]["matrix"].pop(), "a row and a column for each"),
        (lambda values: values["paper"].update(value=61.09), "in percent, write 0.6109"),
        (lambda values: values["paper"].update(metric="eval_emotion_accuracy"), "leave out its split: 'emotion_acc"),
        (lambda values: values["paper"].update(also={"emotion_macro_f1": "x"}), "paper.also is .*of another type"),
        (
            lambda values: values["paper"].update(in_table={"Table 6": {"value": "x"}}),
            "value is 'x', which is of another",
        ),
        (lambda values: values["paper"].update(others={}), "paper has the unknown others"),
    ],
)
def test_files_off_the_schema_are_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        read(changed_file(tmp_path, change))
    assert "result.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{half", "[1, 2]", "null"])
def test_files_that_are_no_result_are_refused(text, tmp_path):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"result\.json"):
        read(path)


def test_a_file_of_version_1_with_an_endless_count_is_refused(tmp_path):
    values = json.loads(FIRST.read_text(encoding="utf-8"))
    values["metrics"]["test_emotion_count"] = math.inf
    path = tmp_path / "result.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="does not follow schema version 1"):
        read(path)


def test_optional_groups_may_be_none(tmp_path):
    def change(values):
        values.update(paper=None, finished=None, execution=None)
        values["protocol"]["selection"] = None

    found = read(changed_file(tmp_path, change))
    assert (found.paper, found.finished, found.protocol["selection"]) == (None, None, None)


def test_environment_describes_this_machine_without_naming_it(result):
    found = environment()
    assert found["packages"]["torch"] == torch.__version__.split("+")[0]
    assert found["packages"]["python"] == platform.python_version()
    assert found["hardware"]["cpu"]
    assert found["hardware"]["cores"] >= 1
    # Nothing else is collected, so no name of a host or user can be in it.
    assert set(found["packages"]) == {"python", "hf_hmtl", "torch", "transformers", "timm", "datasets", "accelerate"}
    assert set(found["hardware"]) == {"system", "cpu", "cores", "gpus"}
    assert str(Path.home()) not in json.dumps(found)
    dataclasses.replace(result, **found)  # it fits the schema
