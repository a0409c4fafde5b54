"""A run end to end: what it writes, how that is loaded, how it is killed and resumed."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from runs import SMALL, TINY, tiny
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

from hf_hmtl.commands.train import run as main
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.recipe import load as load_recipe
from hf_hmtl.results.result import read

STEPS = ["--num_train_epochs", "4", "--save_strategy", "steps", "--save_steps", "4", "--eval_strategy", "no",
         "--load_best_model_at_end", "false", "--save_total_limit", "9"]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "quickstart"
    options = ["--num_train_epochs", "2", "--report_batch_norm", "--skip_memory_metrics", "false"]
    main(["quickstart", *TINY, *options, "--output_dir", str(folder)])
    return folder


def test_the_folder_is_complete_and_has_no_pickle(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"model.safetensors", "config.json", "preprocessor_config.json", "result.json", "README.md"} <= names
    assert {"curves.png", "predictions.parquet", "checkpoint-12", "modeling_hmtl.py"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl", ".writing"))]
    assert Image.open(finished / "curves.png").size[0] > 300


def test_the_result_follows_the_schema_and_says_what_was_measured(finished):
    result = read(finished / "result.json")
    assert result.steps == 12 and result.model["auxiliary"] == ["puzzle"]
    assert result.name.startswith("quickstart/puzzle-3x3 with image_size=48, backbone=test_efficientnet")
    assert result.protocol["selection"]["metric"] == "eval_emotion_accuracy"
    best = max(entry["eval_emotion_accuracy"] for entry in result.history if "eval_emotion_accuracy" in entry)
    assert result.metrics["eval_emotion_accuracy"] == best
    assert result.baselines["test_emotion_accuracy"] == 1 / 8
    labels = result.confusion["test"]["emotion"]["labels"]
    assert result.rows["train"] == {"rows": 192, "classes": {"emotion": dict.fromkeys(labels, 24)}}
    matrix = np.array(result.confusion["test"]["emotion"]["matrix"])
    assert matrix.trace() / matrix.sum() == pytest.approx(result.metrics["test_emotion_accuracy"])
    assert 0 <= result.metrics["eval_corrupted_emotion_accuracy"] <= 1
    assert 0 <= result.metrics["eval_reestimated_emotion_accuracy"] <= 1
    kept = AutoModelForImageClassification.from_pretrained(finished)
    assert result.parameters["supervised"] == sum(parameter.numel() for parameter in kept.parameters())
    assert 0 < result.seconds_an_image < 60 and "| Speed |" in (finished / "README.md").read_text(encoding="utf-8")
    assert not [name for name in result.metrics if "_mem_" in name]  # which were measured, and are no scores


def test_every_score_can_be_recomputed_from_the_predictions(finished):
    """With pandas and scikit-learn alone."""
    result, rows = read(finished / "result.json"), pandas.read_parquet(finished / "predictions.parquet")
    labels = result.confusion["test"]["emotion"]["labels"]
    assert list(rows.columns) == [
        "_id", "_file", "_source", "_group", "split", "emotion_label", "emotion_answer",
        *(f"emotion_probability_{label}" for label in labels),
    ]  # fmt: skip
    assert rows.groupby("split").size().to_dict() == {"validation": 32, "test": 32}
    assert not rows["_id"].duplicated().any() and rows["_group"].nunique() == 16  # four faces of one person
    probabilities = rows.filter(like="probability_").to_numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert [labels[number] for number in probabilities.argmax(1)] == list(rows["emotion_answer"])
    for split, prefix in (("validation", "eval"), ("test", "test")):
        truth, answers = (rows[rows["split"] == split][f"emotion_{part}"] for part in ("label", "answer"))
        assert accuracy_score(truth, answers) == pytest.approx(result.metrics[f"{prefix}_emotion_accuracy"])
        f1 = f1_score(truth, answers, average="macro")
        assert f1 == pytest.approx(result.metrics[f"{prefix}_emotion_macro_f1"])
        balanced = balanced_accuracy_score(truth, answers)
        assert balanced == pytest.approx(result.metrics[f"{prefix}_emotion_balanced_accuracy"])
        matrix = confusion_matrix(truth, answers, labels=labels)
        assert matrix.tolist() == result.confusion[split]["emotion"]["matrix"]
        assert result.scored[split] == {"emotion": 32}


def test_the_predictions_are_those_of_the_saved_model(finished):
    rows = pandas.read_parquet(finished / "predictions.parquet").query("split == 'test'")
    faces = synthetic_faces(train=192, validation=32, test=32, size=48)["test"]
    assert list(rows["_id"]) == faces["_id"][:]
    processor = AutoImageProcessor.from_pretrained(finished)
    model = AutoModelForImageClassification.from_pretrained(finished)
    pixels = processor([image["bytes"] for image in faces["image"]])["pixel_values"]
    with torch.no_grad():
        expected = model(pixels).logits.softmax(-1)
    np.testing.assert_allclose(rows.filter(like="probability_"), expected, atol=1e-5)


def test_the_result_says_how_it_was_computed(finished):
    result = read(finished / "result.json")
    expected = {"processes": 1, "device": "cpu", "precision": "float32", "global_batch": 32}
    assert result.execution == expected
    assert result.broken_images == {"train": 0, "validation": 0, "test": 0}
    assert [measure.name for measure in result.measures_of("emotion")] == ["accuracy", "macro_f1"]
    assert result.data["fingerprint"].startswith("2:")


def test_the_final_model_is_slim_and_bit_identical_to_the_checkpoint(finished):
    result = read(finished / "result.json")
    slim = AutoModelForImageClassification.from_pretrained(finished)
    best = f"checkpoint-{result.protocol['selection']['step']}"
    full = AutoModelForImageClassification.from_pretrained(finished / best)
    assert not any(name.startswith("auxiliary") for name in slim.state_dict())
    assert any(name.startswith("auxiliary.puzzle") for name in full.state_dict())
    pixels = torch.randint(0, 256, (5, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(slim(pixels).logits, full(pixels).logits)
    assert slim.config.id2label[1] == "happy"


def test_a_pipeline_over_the_files_reproduces_the_reported_accuracy(tmp_path):
    """Gray, EXIF-rotated, palette and 2000 px files among them: prediction for prediction."""
    data = photos(tmp_path / "faces")
    folder = tmp_path / "run"
    steps = ["--max_steps", "4", "--eval_strategy", "steps", "--eval_steps", "2", "--save_strategy", "steps"]
    steps += ["--save_steps", "2", "--learning_rate", "0.01", "--output_dir", str(folder)]
    main(["custom/puzzle-2x2", "--data_dir", str(data), *SMALL, *steps])
    result = read(folder / "result.json")
    classifier = pipeline("image-classification", model=str(folder))
    files = sorted((data / "test").rglob("*.*"))
    answers = [answer[0]["label"] for answer in classifier([str(path) for path in files], batch_size=4)]
    truth = [path.parent.name for path in files]
    labels = result.confusion["test"]["label"]["labels"]
    matrix = np.zeros((len(labels), len(labels)), dtype=int)
    for true, answer in zip(truth, answers, strict=True):
        matrix[labels.index(true), labels.index(answer)] += 1
    assert matrix.tolist() == result.confusion["test"]["label"]["matrix"]
    assert result.metrics["test_label_accuracy"] == pytest.approx(matrix.trace() / len(files))


def photos(root):
    """Class folders with train, validation and test, of every kind of file."""
    faces = synthetic_faces(train=64, validation=16, test=48, size=64, seed=3)
    for split, dataset in faces.items():
        for number, row in enumerate(dataset):
            if row["emotion"] > 2:
                continue
            image = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
            folder = root / split / dataset.features["emotion"].names[row["emotion"]]
            folder.mkdir(parents=True, exist_ok=True)
            kind = number % 5
            if kind == 0:
                image.save(folder / f"{number}.jpg", quality=95)
            elif kind == 1:
                image.convert("L").save(folder / f"{number}.png")
            elif kind == 2:
                exif = Image.Exif()
                exif[0x0112] = 6
                image.save(folder / f"{number}.jpg", exif=exif)
            elif kind == 3:
                image.quantize(64).save(folder / f"{number}.png")
            else:
                image.resize((2000, 1500)).save(folder / f"{number}.jpg", quality=80)
    return root


def test_pretraining_on_loose_images_then_fine_tuning_on_labelled_ones(tmp_path, capsys):
    data = photos(tmp_path / "faces")
    steps = [*SMALL, "--max_steps", "2", "--save_strategy", "no", "--eval_strategy", "no"]
    steps += ["--load_best_model_at_end", "false"]
    pretrained = tmp_path / "pretrained"
    main(["custom/pretrain-puzzle-3x3", "--data_dir", str(data), *steps, "--output_dir", str(pretrained)])
    result = read(pretrained / "result.json")
    assert result.rows["train"]["rows"] == len(list((data / "train").rglob("*.*")))  # test images stay unseen
    assert result.model["supervised"] == []
    assert "It saw no label" in (pretrained / "README.md").read_text()
    printed = capsys.readouterr().out
    assert f"no label was learned; probe it or fine-tune it with --pretrained {pretrained}" in printed
    assert "macro F1" not in printed
    main(["custom/supervised", "--data_dir", str(data), "--pretrained", str(pretrained), *steps, "--output_dir",
          str(tmp_path / "run")])  # fmt: skip
    assert read(tmp_path / "run" / "result.json").model["supervised"] == ["label"]


def test_auto_classes_agree_with_the_processor(finished):
    processor = AutoImageProcessor.from_pretrained(finished)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 70, 3), dtype=np.uint8))
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    assert pixels.dtype == torch.uint8 and pixels.shape == (1, 3, 48, 48)


def test_an_occupied_folder_is_left_alone_unless_told(finished):
    before = (finished / "result.json").read_bytes()
    with pytest.raises(FileExistsError, match="--resume_from_checkpoint last.*--overwrite"):
        main(["quickstart", *TINY, "--output_dir", str(finished)])
    assert (finished / "result.json").read_bytes() == before


def test_broken_images_have_a_label_and_no_answer_and_are_counted_by_split(tmp_path, capsys):
    data = photos(tmp_path / "faces")
    for split, count in (("train", 3), ("validation", 1), ("test", 2)):
        for path in sorted((data / split).rglob("*.jpg"))[:count]:
            path.write_bytes(b"")
    folder = tmp_path / "run"
    steps = ["--num_train_epochs", "1", "--save_strategy", "no", "--eval_strategy", "no", "--report_train"]
    steps += ["--load_best_model_at_end", "false", "--output_dir", str(folder)]
    main(["custom/supervised", "--data_dir", str(data), *SMALL, *steps])
    result, rows = read(folder / "result.json"), pandas.read_parquet(folder / "predictions.parquet")
    assert result.broken_images == {"train": 3, "validation": 1, "test": 2}
    broken = rows[rows["label_answer"].isna()]
    assert broken.groupby("split").size().to_dict() == {"validation": 1, "test": 2}
    assert broken["label_label"].notna().all()
    assert broken.filter(like="probability_").isna().all(axis=None)
    assert list(broken["_id"]) == list(broken["_file"]) and all((data / name).is_file() for name in broken["_file"])
    assert result.scored["test"]["label"] == len(rows[rows["split"] == "test"]) - 2
    assert "3 train images are broken" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_without_a_picture_that_can_be_read_stops_the_run_before_it_trains(tmp_path, split):
    data = photos(tmp_path / "faces")
    paths = sorted((data / split).rglob("*.*"))
    for path in paths:
        path.write_bytes(path.read_bytes()[:200])
    wanted = ["custom/supervised", "--data_dir", str(data), *SMALL, "--output_dir", str(tmp_path / "run")]
    for further in (["--dry_run"], []):
        with pytest.raises(ValueError, match=rf"none of the {len(paths)} labelled {split} pictures can be decoded"):
            main([*wanted, *further])
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*.json"))


def test_columns_to_report_stand_beside_the_answers(tmp_path):
    arguments = ["--max_steps", "1", "--eval_strategy", "no", "--save_strategy", "no", "--output_dir", str(tmp_path)]
    arguments += ["--load_best_model_at_end", "false", "--report_columns", "age_group", "yaw"]
    main(["quickstart", *TINY, *arguments])
    rows = pandas.read_parquet(tmp_path / "predictions.parquet")
    faces = synthetic_faces(train=192, validation=32, test=32, size=48)
    assert rows.query("split == 'validation'")["yaw"].tolist() == faces["validation"]["yaw"][:]
    names = faces["test"].features["age_group"].names
    assert set(rows["age_group"]) <= set(names)
    assert "report_columns" not in read(tmp_path / "result.json").name  # it changes no result
    with pytest.raises(ValueError, match="reports 'yawn', which the source 'drawn' does not have. It has: emotion, "):
        main(["quickstart", *TINY, "--report_columns", "yawn", "--output_dir", str(tmp_path / "other")])


def test_the_first_line_says_where_and_how_it_computes(finished, tmp_path, capsys, monkeypatch):
    arguments = ["quickstart", *TINY, "--dry_run", "--output_dir", str(tmp_path)]
    main([*arguments, "--gradient_accumulation_steps", "2"])
    assert capsys.readouterr().out.splitlines()[0] == "1 process, cpu, float32, batch 64"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")  # as a configuration of accelerate sets it
    main(arguments)
    assert capsys.readouterr().out.splitlines()[0] == "1 process, cpu, bfloat16, batch 32"
    with pytest.raises(ValueError, match="training.precision: 'float32' then, 'bfloat16' now"):
        main(["quickstart", *TINY, "--num_train_epochs", "2", "--output_dir", str(finished), "--report_batch_norm",
              "--resume_from_checkpoint", "last"])  # fmt: skip


def test_a_run_of_the_previous_release_is_not_resumed(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    record = json.loads((finished / "run.json").read_text())
    del record["version"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="begun by an earlier hf_hmtl.*train into another --output_dir"):
        main(["quickstart", *TINY, "--num_train_epochs", "2", "--output_dir", str(tmp_path / "run"),
              "--report_batch_norm", "--resume_from_checkpoint", "last"])  # fmt: skip


def test_resuming_with_other_options_names_the_difference(finished):
    with pytest.raises(ValueError, match=r"training.learning_rate: 0.002 then, 0.01 now"):
        main(["quickstart", *TINY, "--num_train_epochs", "2", "--output_dir", str(finished), "--report_batch_norm",
              "--learning_rate", "0.01", "--resume_from_checkpoint", "last"])  # fmt: skip
    with pytest.raises(ValueError, match="recipe.auxiliary.puzzle.grid: 3 then, 2 now"):
        main(["quickstart", *tiny("auxiliary.puzzle.grid=2"), "--num_train_epochs", "2", "--output_dir", str(finished),
              "--report_batch_norm", "--resume_from_checkpoint", "last"])  # fmt: skip


def affectnet_tree(root):
    """The CSV release in miniature: 32 training and 16 validation images, all eight emotions."""
    faces = synthetic_faces(train=32, validation=16, test=0, size=64)
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir(parents=True)
    for split, name in (("train", "training"), ("validation", "validation")):
        lines = [header] if name == "training" else []
        folder = root / "Manually_Annotated_Images" / name
        folder.mkdir(parents=True)
        for number, row in enumerate(faces[split]):
            (folder / f"{number}.jpg").write_bytes(row["image"]["bytes"])
            lines.append(f"{name}/{number}.jpg,1,1,62,62,1;2,{row['emotion']},{row['valence']},{row['arousal']}")
        (lists / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("row", ["supervised-none", "supervised-strong", "puzzle-3x3-none", "puzzle-3x3-weak"])
def test_affectnet_rows_run_from_the_official_files_to_a_result(tmp_path, row):
    arguments = ["--data_dir", str(affectnet_tree(tmp_path / "AffectNet")), *SMALL, "--max_steps", "1"]
    arguments += ["--eval_strategy", "steps", "--eval_steps", "1", "--save_strategy", "steps", "--save_steps", "1"]
    main([f"affectnet/{row}", *arguments, "--output_dir", str(tmp_path / "run")])
    result = read(tmp_path / "run" / "result.json")
    assert result.protocol["reported_on"] == "validation" and "optimistic" in " ".join(result.protocol["notes"])
    assert result.recipe["training"]["optim"] == "adabelief"
    assert result.name.startswith(f"affectnet/{row} with ") and result.paper is None  # a changed row is not the paper's
    assert load_recipe(f"affectnet/{row}").paper["metric"] == "emotion_accuracy"
    assert result.model["auxiliary"] == (["puzzle"] if "puzzle" in row else [])


def test_labels_in_another_order_are_named_when_a_run_is_resumed(tmp_path):
    for names, folder in ((("angry", "happy"), "one"), (("happy", "sad"), "two")):
        for split in ("train", "validation", "test"):
            for name in names:
                target = tmp_path / folder / split / name
                target.mkdir(parents=True)
                for number in range(8):
                    pixels = np.random.default_rng(number).integers(0, 255, (48, 48, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(target / f"{split}{name}{number}.png")
    arguments = [*SMALL, "--max_steps", "2", "--save_strategy", "steps", "--save_steps", "1", "--eval_strategy", "no"]
    arguments += ["--load_best_model_at_end", "false", "--output_dir", str(tmp_path / "run")]
    main(["custom/supervised", "--data_dir", str(tmp_path / "one"), *arguments])
    with pytest.raises(ValueError, match=r"labels.label: \['angry', 'happy'\] then, \['happy', 'sad'\] now"):
        main(["custom/supervised", "--data_dir", str(tmp_path / "two"), *arguments, "--resume_from_checkpoint", "last"])


def test_tensorboard_is_written_when_asked_for(tmp_path):
    arguments = ["--max_steps", "2", "--eval_strategy", "no", "--save_strategy", "no", "--report_to", "tensorboard"]
    arguments += ["--load_best_model_at_end", "false", "--output_dir", str(tmp_path)]
    main(["quickstart", *TINY, *arguments])
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def launch(arguments, folder, *before):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, *before, "-m", "hf_hmtl", "train", "quickstart", *arguments]
    command += ["--output_dir", str(folder)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed[-3000:]
    return printed


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_killed_in_mid_epoch_and_resumed_gives_the_same_bits(tmp_path, workers):
    arguments = [*tiny("augmentation.level=strong"), *STEPS, "--dataloader_num_workers", workers]
    finish(launch(arguments, tmp_path / "whole"))
    process = launch(arguments, tmp_path / "killed")
    wanted = tmp_path / "killed" / "checkpoint-16" / "trainer_state.json"  # 6 steps an epoch: in epoch 2, after 4 of 6
    deadline = time.monotonic() + 300
    while not wanted.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "result.json").exists()
    finish(launch([*arguments, "--resume_from_checkpoint", "last"], tmp_path / "killed"))
    whole, resumed = (
        load_file(tmp_path / name / "checkpoint-24" / "model.safetensors") for name in ("whole", "killed")
    )
    assert whole.keys() == resumed.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


TWO = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
SHORT = ["--max_steps", "3", "--eval_strategy", "no", "--save_strategy", "no", "--logging_steps", "1", "--use_cpu"]
SHORT += ["--load_best_model_at_end", "false", "--disable_tqdm", "true"]
MANY = ["auxiliary.puzzle.view=own", "auxiliary.rotation.dropout=0", "auxiliary.rotation.calibrate=true"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "moving"),
    [
        ([], []),
        (["loss_weighting=uncertainty", *MANY], ["emotion", "puzzle", "rotation"]),
        (["loss_weighting=dynamic", "source.train=16"], ["emotion", "puzzle"]),  # an epoch a step
    ],
    ids=["static", "learned weights", "dynamic weights"],
)
def test_two_processes_train_as_one(tmp_path, changes, moving):
    """A model without batch norm and with dropout 0; the last global batch is incomplete."""
    arguments = ["--backbone", "test_vit", "--image_size", "160", *SHORT, "--optim", "sgd", "--set", "source.train=56"]
    arguments += ["source.validation=16", "source.test=16", "source.size=48", "supervised.emotion.dropout=0"]
    arguments += ["auxiliary.puzzle.dropout=0", "auxiliary.puzzle.grid=2", *changes]
    finish(launch(["--per_device_train_batch_size", "16", *arguments], tmp_path / "one"))
    two = launch(["--per_device_train_batch_size", "8", *arguments], tmp_path / "two", *TWO)
    printed = finish(two)
    record = json.loads((tmp_path / "two" / "run.json").read_text())
    assert record["training.global_batch_size"] == 16, printed  # both processes were there
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    for key in ["loss", *(f"weight_{task}" for task in moving)]:
        first, second = (
            [entry[key] for entry in read(tmp_path / name / "result.json").history if key in entry]
            for name in ("one", "two")
        )
        assert len(first) == 3
        np.testing.assert_allclose(second, first, rtol=1e-4, err_msg=key)


@pytest.mark.slow
def test_every_pretext_works_under_two_processes(tmp_path):
    data = ["--backbone", "test_resnet", "--image_size", "48", *SHORT, "--set", "source.train=64", "source.size=48"]
    data += ["source.validation=16", "source.test=16"]
    finish(launch([*data, "auxiliary.puzzle=null"], tmp_path / "teacher"))
    tasks = ["auxiliary.rotation.tiles=2", "auxiliary.barlow_twins.weight=0.01", "auxiliary.inpainting.calibrate=true"]
    tasks += ["auxiliary.inpainting.loss=perceptual", "loss_weighting=uncertainty"]
    arguments = ["--teacher", str(tmp_path / "teacher"), "--per_device_train_batch_size", "8", *data, *tasks]
    printed = finish(launch(arguments, tmp_path / "two", *TWO))
    record = json.loads((tmp_path / "two" / "run.json").read_text())
    assert record["training.global_batch_size"] == 16, printed
    entries = [entry for entry in read(tmp_path / "two" / "result.json").history if "loss" in entry]
    for name in ("emotion", "puzzle", "rotation", "barlow_twins", "inpainting"):
        values = [entry[f"loss_{name}"] for entry in entries]
        assert len(values) == 3 and np.isfinite(values).all() and entries[0][f"weight_{name}"] > 0


LEARNT = [  # row, measure in the log, what guessing scores, what has to be reached
    ("pretrain-puzzle-3x3", "puzzle_tile_accuracy", 1 / 9, 0.2),
    ("pretrain-rotation", "rotation_accuracy", 1 / 8, 0.35),
    ("pretrain-puzzle-rotation", "puzzle_tile_accuracy", 1 / 9, 0.3),
    ("pretrain-inpainting", "inpainting_pixel_error", 0.25, 0.06),
    ("pretrain-barlow-twins", "barlow_twins_agreement", 0, 0.5),
]


@pytest.mark.slow
@pytest.mark.parametrize(("row", "measure", "guess", "reached"), LEARNT, ids=[row for row, *_ in LEARNT])
def test_every_pretext_learns_on_its_own(tmp_path, row, measure, guess, reached):
    changes = ["source.train=1000", "source.validation=16", "source.test=16", "augmentation.level=none"]
    arguments = ["--max_steps", "300", "--save_strategy", "no", "--logging_steps", "50", "--disable_tqdm", "true"]
    main([f"drawn/{row}", "--output_dir", str(tmp_path), *arguments, "--set", *changes])
    values = [entry[measure] for entry in read(tmp_path / "result.json").history if measure in entry]
    if "error" in measure:
        assert values[-1] < reached < guess
    else:
        assert values[-1] > reached > guess
