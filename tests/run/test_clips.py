"""A run in time, from its command to its folder; what is refused; features that are computed once."""

import shutil

import datasets
import numpy as np
import pytest
import torch
from sklearn.metrics import mean_squared_error
from transformers import AutoModel, AutoModelForVideoClassification

from hf_hmtl.analysis import features
from hf_hmtl.commands.train import run as main
from hf_hmtl.data.clip_collators import EvaluationClipCollator
from hf_hmtl.data.clips import Windows
from hf_hmtl.model.modeling_hmtl import HMTLModel
from hf_hmtl.results.predictions import of_split, read_predictions
from hf_hmtl.results.result import read
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build
from hf_hmtl.run.rescoring import rescored
from hf_hmtl.serving.network import load

SMALL = [
    "--backbone", "test_resnet", "--image_size", "32", "--use_cpu", "--disable_tqdm", "true", "--logging_steps", "1",
    "--eval_steps", "2", "--save_steps", "2", "--max_steps", "4", "--save_total_limit", "5", "--learning_rate", "0.01",
    "--set", "source.train=8", "source.validation=8", "source.test=8", "source.frames=10", "source.size=32",
]  # fmt: skip
FROZEN = ["augmentation.level=none", "sequence.frozen=true", "pretrained=false"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run over windows of four frames, with both of its checkpoints."""
    folder = tmp_path_factory.mktemp("clips")
    main(["drawn-clips/gru-random", *SMALL, "sequence.window=4", "--output_dir", str(folder)])
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "hf_hmtl"


def test_a_run_in_time_tells_of_every_frame_once(folder):
    result, table = read(folder / "result.json"), read_predictions(folder)
    assert len(set(table["_id"].to_pylist())) == len(table) == 2 * 80
    test = of_split(table, "test").to_pydict()
    assert test["_frame"] == list(range(10)) * 8 and len(set(test["_clip"])) == 8
    for name in ("valence", "arousal"):
        labels, answers = (np.array(test[f"affect_{kind}_{name}"]) for kind in ("label", "answer"))
        assert result.metrics[f"test_affect_mse_{name}"] == pytest.approx(mean_squared_error(labels, answers), rel=1e-4)
    assert {"test_affect_ccc", "test_affect_ccc_of_clips", "eval_affect_mse_of_clips"} <= result.metrics.keys()
    for name, score in rescored(result, of_split(table, "test"), "affect").items():  # as the folds of a comparison are
        assert result.metrics[f"test_affect_{name}"] == pytest.approx(score, rel=1e-3, abs=1e-5)
    assert {"mse_valence", "ccc_of_clips"} <= rescored(result, table, "affect").keys()
    assert result.rows["test"]["rows"] == 80 and result.scored["test"] == {"affect": 80}
    card = (folder / "README.md").read_text()
    assert "a bidirectional GRU over the features" in card and "AutoModel.from_pretrained" in card
    assert "pipeline_tag" not in card and "type: video-regression" in card


def test_the_folder_holds_the_network_that_was_scored(folder):
    model = AutoModel.from_pretrained(folder).eval()
    built = build(*parse(["drawn-clips/gru-random", *SMALL, "sequence.window=4", "--output_dir", "unused"])[::2])
    windows = built.evaluated("test")
    with torch.no_grad():
        batch = built.evaluation_collator()([windows[0]])
        answer = model(batch["pixel_values"], attention_mask=batch["attention_mask"]).logits[0]
    test = of_split(read_predictions(folder), "test").to_pydict()
    for place, name in enumerate(("valence", "arousal")):
        np.testing.assert_allclose(answer[:, place], test[f"affect_answer_{name}"][:4], atol=1e-4)


def test_what_answers_about_images_says_why_it_does_not_about_clips(folder):
    with pytest.raises(ValueError, match="a network for faces in time, and images are answered"):
        load(folder)


def test_a_run_that_was_killed_goes_on_to_the_same_bits(folder, tmp_path):
    shutil.copytree(folder / "checkpoint-2", tmp_path / "checkpoint-2")
    shutil.copy(folder / "run.json", tmp_path)
    resumed = ["--output_dir", str(tmp_path), "--resume_from_checkpoint", "last"]
    main(["drawn-clips/gru-random", *SMALL, "sequence.window=4", *resumed])
    again, before = (AutoModel.from_pretrained(each).state_dict() for each in (tmp_path, folder))
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.items())
    assert read(tmp_path / "result.json").metrics == read(folder / "result.json").metrics


def test_frozen_features_are_computed_once_for_all_folds_and_seeds(cache, tmp_path, monkeypatch):
    def built(*changes, seed="1"):
        row, _, args = parse(["drawn-clips/lstm-supervised", *SMALL, *FROZEN, *changes, "--seed", seed,
                              "--output_dir", str(tmp_path / "out")])  # fmt: skip
        torch.manual_seed(5)
        experiment = build(row, args)
        torch.manual_seed(5)
        experiment.model.hmtl = HMTLModel(experiment.model.config.frame_config)  # the same backbone for every seed
        return experiment

    first = built("source.fold=[1,4]")
    found = first.features
    assert found["train"].shape == (len(first.splits["train"]), 96) and len(list(cache.iterdir())) == 1
    rows = first.splits["test"].select(range(10))  # of one clip
    clean = EvaluationClipCollator(first.supervised, 32)([Windows(rows, None)[0]])
    with torch.no_grad():
        of_model = first.model.eval().frame_features(clean["pixel_values"])[0].numpy()
    np.testing.assert_allclose(found["test"][:10], of_model, rtol=1e-3, atol=1e-4)
    monkeypatch.setattr(features, "pooled_features", lambda *arguments: pytest.fail("computed once more"))
    second = built("source.fold=[2,4]", seed="2")
    by_id = dict(zip(first.splits["train"]["_id"], found["train"], strict=True))
    for row, name in enumerate(second.splits["train"]["_id"]):
        if name in by_id:
            np.testing.assert_array_equal(second.features["train"][row], by_id[name])
    (kept,) = cache.iterdir()
    kept.write_bytes(b"damaged")
    with pytest.raises(pytest.fail.Exception, match="computed once more"):
        built().features  # noqa: B018


def test_a_frozen_backbone_stays_as_it_is_and_a_clip_has_one_answer(cache, tmp_path):
    main(["drawn-clips/emotion-supervised", *SMALL, "pretrained=false", "--output_dir", str(tmp_path / "run")])
    model = AutoModelForVideoClassification.from_pretrained(tmp_path / "run")
    row, _, args = parse(["drawn-clips/emotion-supervised", *SMALL, "pretrained=false", "--output_dir", "unused"])
    before = build(row, args).model.state_dict()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and not any(name.startswith("hmtl.") for name in changed)
    result, table = read(tmp_path / "run" / "result.json"), read_predictions(tmp_path / "run")
    assert len(table) == 16 and set(table["_frame"].to_pylist()) == {9}
    assert result.rows["train"] == {
        "rows": 8,
        "classes": {"emotion": dict.fromkeys(result.heads["emotion"]["labels"], 1)},
    }
    assert "pipeline_tag: video-classification" in (tmp_path / "run" / "README.md").read_text()


def test_dry_run_counts_windows_and_pictures_frames(capsys, tmp_path):
    main(["drawn-clips/gru-random", *SMALL, "sequence.window=4", "--output_dir", str(tmp_path), "--dry_run"])
    out = capsys.readouterr().out
    assert "train        80 rows, frames of 8 clips, 24 windows" in out and "4 of 8 windows" in out
    assert (tmp_path / "first_batch.png").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["auxiliary={puzzle: {grid: 2, view: own}}"], "puzzle looks at images of its own"),
        (
            ["auxiliary={puzzle: {}}", "sequence.frozen=true", "augmentation={level: none, flip: 0}"],
            "learns nothing from",
        ),
        (
            ["auxiliary={puzzle: {}}", "sequence.corruption=window"],
            "corruption is 'window', allowed are clip and frame",
        ),
        (["supervised.emotion={task: classification}"], "it has affect, emotion"),
        (["train_fraction=0.5"], "train_fraction would tear clips apart or do nothing. Leave it out"),
        (["balancing=down"], "balancing would tear"),
        (["report_batch_norm=true"], "report_batch_norm would tear"),
        (["sequence.windows=8"], "unknown option of `sequence`.* 'windows'.* Did you mean 'window'"),
        (["sequence.window=long"], "window is 'long', which is text"),
        (["sequence.window=0"], "sequence.window is 0, allowed are whole numbers from 1"),
        (["sequence.stride=40"], "stride 40 is more than the window of 16"),
        (["sequence.window=null", "sequence.stride=4"], "stride says nothing where clips are taken whole"),
        (
            ["sequence.window=null", "sequence.random_offset=true"],
            "random_offset says nothing where clips are taken whole",
        ),
        (["sequence.random_offset=2"], "random_offset is 2"),
        (["sequence.answers=clip"], "with `answers: clip` clips are taken whole"),
        (["sequence.recurrent=rnn"], "recurrent is 'rnn', allowed are 'gru' and 'lstm'"),
        (["sequence.frozen=true"], "no augmentation would ever be seen"),
        (["supervised.affect.bins=20"], "without bins and tanh"),
    ],
)
def test_what_is_not_learned_in_time_is_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        row, _, args = parse(["drawn-clips/gru-random", *SMALL, *changes, "--output_dir", str(tmp_path)])
        build(row, args).trainer()


def test_the_offset_of_windows_is_drawn_of_the_seed_of_the_data_and_never_where_scores_are_taken():
    changed = ["sequence.random_offset=true", "--seed", "5", "--data_seed", "7"]
    row, _, args = parse(["drawn-clips/gru-random", *SMALL, *changed])
    experiment = build(row, args)
    assert experiment.training_rows.offset_seed == 7
    assert experiment.evaluated("validation").offset_seed is None
