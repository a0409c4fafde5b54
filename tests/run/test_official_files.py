"""From official files of head pose and gender to a finished run: crops, selection and what is reported."""

import numpy as np
import pytest
from pyarrow.parquet import read_table
from releases import LP_FACES, aflw_mat, lp_mat, write_fairface, write_ferplus
from runs import SMALL, TINY

from hf_hmtl.commands.train import run as main
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.results.result import read
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build

pytestmark = pytest.mark.filterwarnings("ignore:.* rows differ from the published counts")
STEPS = ["--max_steps", "2", "--eval_strategy", "steps", "--eval_steps", "1", "--save_strategy", "steps"]
STEPS += ["--save_steps", "1", "--per_device_train_batch_size", "4", "--pretrained", "false"]


@pytest.fixture
def pose_folder(tmp_path):
    """300W-LP and AFLW2000-3D of drawn faces, in the middle of black pictures."""
    faces = synthetic_faces(train=8, validation=0, test=8, size=48)
    names = [f"300W_LP/{name}" for name in LP_FACES]
    for name, row in zip(names, faces["train"], strict=True):
        _write(tmp_path / "data" / name, row, lp_mat)
    for number, row in enumerate(faces["test"]):
        _write(tmp_path / "data" / f"AFLW2000/image{number:05d}", row, aflw_mat)
    return tmp_path / "data"


def _write(stem, row, mat_of_face):
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".jpg").write_bytes(row["image"]["bytes"])
    points = ((10, 12), (38, 40))
    stem.with_suffix(".mat").write_bytes(mat_of_face(row["pitch"], row["yaw"], row["roll"], points))


def test_table_12_from_official_files_to_a_result(pose_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    arguments = ["--data_dir", str(pose_folder), *SMALL, *STEPS, "--output_dir", str(tmp_path / "run")]
    main(["300w-lp/puzzle-3x3", *arguments])
    result = read(tmp_path / "run" / "result.json")
    assert result.protocol["reported_on"] == "validation" and "optimistic" in " ".join(result.protocol["notes"])
    assert {f"eval_pose_mae{angle}" for angle in ("", "_yaw", "_pitch", "_roll")} <= result.metrics.keys()
    assert result.model["auxiliary"] == ["puzzle"]
    assert "faces are cut out by HopeNet's rule around all landmarks" in " ".join(result.data["notes"])
    answers = read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    truth = np.array([answers[f"pose_label_{angle}"] for angle in ("yaw", "pitch", "roll")], dtype=float)
    answered = np.array([answers[f"pose_answer_{angle}"] for angle in ("yaw", "pitch", "roll")])
    assert np.abs(answered - truth).mean() == pytest.approx(result.metrics["eval_pose_mae"], rel=1e-4)


def test_aflw2000_alone_is_not_trained_on(pose_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    recipe, _, args = parse(["300w-lp/supervised", *SMALL, "--output_dir", str(tmp_path), "--pretrained", "false"])
    recipe = recipe.__class__(**{**recipe.to_dict(), "source": {"name": "aflw2000"}})
    with pytest.raises(ValueError, match="aflw2000 has no rows to train on. .* the300w_lp trains on 300W-LP"):
        build(recipe, args, pose_folder / "AFLW2000")


def test_table_13_from_official_files_to_a_result(tmp_path):
    arguments = ["--data_dir", str(write_fairface(tmp_path / "data", sides=[64])), *SMALL, *STEPS]
    main(["fairface/puzzle-2x2", *arguments, "--output_dir", str(tmp_path / "run")])
    result = read(tmp_path / "run" / "result.json")
    assert result.protocol["reported_on"] == "validation" and "eval_gender_accuracy" in result.metrics
    answers = read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    assert answers["race"] == ["Southeast Asian", "East Asian"] and answers["age"] == ["3-9", "20-29"]
    card = (tmp_path / "run" / "README.md").read_text()
    assert "HuggingFaceM4/FairFace" in card and "cc-by-4.0" in card and "extra_gated" not in card


def test_votes_from_official_files_to_a_result(tmp_path):
    arguments = ["--data_dir", str(write_ferplus(tmp_path / "data")), *SMALL, *STEPS]
    main(["ferplus/probability", *arguments, "--output_dir", str(tmp_path / "run")])
    result = read(tmp_path / "run" / "result.json")
    assert result.protocol["reported_on"] == "test" and result.metrics["test_emotion_count"] == 2
    answers = read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    assert answers["emotion_label"] == ["anger", "surprise", "contempt", "fear"]
    assert result.left_out["train"]["no_face"]["count"] == 1
    right = np.mean(
        [
            label == answer
            for label, answer in zip(answers["emotion_label"][2:], answers["emotion_answer"][2:], strict=True)
        ]
    )
    assert result.metrics["test_emotion_accuracy"] == right


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["supervised.emotion.task=votes"], "learns 'emotion_shares', which the source 'drawn' does not have"),
        (["supervised.emotion.task=votes", "supervised.emotion.shares=age"], "learns 'age', which the source 'drawn'"),
    ],
)
def test_votes_without_a_column_of_shares_are_refused_before_the_first_step(changes, message, tmp_path):
    recipe, _, args = parse(["drawn/supervised", *TINY, *changes, "--output_dir", str(tmp_path)])
    with pytest.raises(ValueError, match=message):
        build(recipe, args)
