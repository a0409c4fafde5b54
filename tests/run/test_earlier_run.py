import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from hf_hmtl import HMTLConfig, HMTLForImageClassification, recipe
from hf_hmtl.commands.train import run as main
from hf_hmtl.run import earlier_run
from hf_hmtl.run.earlier_run import load_teacher, located, take_backbone

TINY = ["--backbone", "test_resnet", "--image_size", "48", "--max_steps", "1", "--eval_strategy", "no"]
TINY += ["--save_strategy", "no", "--load_best_model_at_end", "false", "--disable_tqdm", "true", "--overwrite", "--set"]
TINY += ["source.train=64", "source.validation=16", "source.test=16", "source.size=48"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    main(["quickstart/supervised", *TINY, "--output_dir", str(folder)])
    return folder


def with_teacher(folder, *more, output_dir):
    changes = [*TINY, "auxiliary.inpainting.loss=perceptual", "auxiliary.inpainting.calibrate=true", *more]
    main(["quickstart/supervised", "--teacher", str(folder), "--output_dir", str(output_dir), *changes])


def taught(folder):
    """Whether a run with a teacher came to its end."""
    result = json.loads((folder / "result.json").read_text())
    return result["model"]["auxiliary"] == ["inpainting"] and result["steps"] == 1


def test_a_teacher_of_the_same_rows_is_accepted(teacher, tmp_path, capsys):
    with_teacher(teacher, output_dir=tmp_path)
    assert taught(tmp_path)


def test_a_dry_run_states_the_passes_of_the_teacher(teacher, tmp_path, capsys):
    changes = [*TINY, "auxiliary.inpainting.loss=perceptual", "auxiliary.inpainting.calibrate=true"]
    main(["quickstart/supervised", "--teacher", str(teacher), "--dry_run", "--output_dir", str(tmp_path), *changes])
    assert "1 of the backbone for each row and step, and 2 of the teacher" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train_fraction=0.5", "trained on other rows, whose labels would leak"),
        ("source.seed=5", "trained on other rows"),
        ("augmentation.level=weak", "its augmentation is {'level': 'none'}, this run's {'level': 'weak'}"),
        ("image_size=36", "image_size is 48, this run's 36"),
    ],
)
def test_a_teacher_of_another_kind_is_refused(teacher, tmp_path, change, message):
    with pytest.raises(ValueError, match="cannot be the teacher") as error:
        with_teacher(teacher, change, output_dir=tmp_path)
    assert message in str(error.value)


def test_a_teacher_that_saw_cut_images_is_refused_and_one_at_the_same_level_without_cutout_taught(tmp_path):
    """The level `strong` has a cutout of its own, which the teacher must not have seen (section 3.2)."""
    cut, uncut = tmp_path / "cut", tmp_path / "uncut"
    strong = ["quickstart/supervised", *TINY, "augmentation.level=strong"]
    main([*strong, "--output_dir", str(cut)])
    main([*strong, "augmentation.cutout=0", "--output_dir", str(uncut)])
    with pytest.raises(ValueError, match=r"trained with cutout.*--set augmentation.cutout=0.*--teacher FOLDER"):
        with_teacher(cut, "augmentation.level=strong", output_dir=tmp_path / "run")
    with_teacher(uncut, "augmentation.level=strong", output_dir=tmp_path / "run")
    assert taught(tmp_path / "run")


def test_the_same_augmentation_may_be_written_in_another_way(teacher, tmp_path):
    with_teacher(teacher, "augmentation.flip=0.5", output_dir=tmp_path)  # what the level none has anyway
    assert taught(tmp_path)


def test_a_checkpoint_is_judged_by_the_result_of_its_run(teacher, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoint-1"
    shutil.copytree(teacher, checkpoint)
    (checkpoint / "result.json").rename(tmp_path / "run" / "result.json")
    with_teacher(checkpoint, output_dir=tmp_path / "taught")
    assert taught(tmp_path / "taught")
    with pytest.raises(ValueError, match="trained on other rows"):
        with_teacher(checkpoint, "source.seed=5", output_dir=tmp_path / "other")


def test_a_teacher_of_the_previous_release_is_taken_with_a_note(teacher, tmp_path, caplog):
    """Its result.json is of version 1 and its fingerprint describes the data in another way."""
    shutil.copytree(teacher, tmp_path / "teacher")
    first = json.loads((Path(__file__).parents[1] / "results" / "version_1.json").read_text())
    present = json.loads((teacher / "result.json").read_text())
    kept = {name: value for name, value in present.items() if name in first}
    kept |= {"schema_version": 1, "broken_images": 0}
    kept["data"]["fingerprint"] = "0" * 32
    (tmp_path / "teacher" / "result.json").write_text(json.dumps(kept))
    with_teacher(tmp_path / "teacher", output_dir=tmp_path / "run")
    assert taught(tmp_path / "run")
    assert "not known whether it saw the same rows" in " ".join(caplog.text.split())


def test_a_teacher_of_unknown_origin_is_taken_with_a_warning(teacher, tmp_path, caplog):
    shutil.copytree(teacher, tmp_path / "teacher")
    (tmp_path / "teacher" / "result.json").unlink()
    with_teacher(tmp_path / "teacher", output_dir=tmp_path / "run")
    assert "has no result.json, so it is unknown whether this teacher saw the same rows" in caplog.text


def test_the_result_of_a_teacher_on_the_hub_is_fetched(teacher, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(earlier_run, "_loaded", lambda *_: HMTLForImageClassification.from_pretrained(teacher))
    monkeypatch.setattr(
        earlier_run, "hf_hub_download", lambda *question: (asked.append(question), teacher / "result.json")[1]
    )
    with pytest.raises(ValueError, match="trained on other rows"):
        load_teacher("somebody/teacher", recipe_of(image_size=48), "another fingerprint")
    assert asked == [("somebody/teacher", "result.json")]


def test_a_teacher_with_auxiliary_tasks_is_refused(teacher, tmp_path):
    with_teacher(teacher, output_dir=tmp_path / "hybrid")
    with pytest.raises(ValueError, match="trained with inpainting, not with labels alone"):
        with_teacher(tmp_path / "hybrid", output_dir=tmp_path / "run")


def test_fine_tuning_takes_the_backbone_by_name_and_says_so(teacher, tmp_path, capsys):
    main(
        [
            "quickstart/puzzle-3x3",
            "--pretrained",
            str(teacher),
            "--output_dir",
            str(tmp_path),
            "--learning_rate",
            "0",
            "--seed",
            "5",
            *TINY,
        ]
    )
    assert "taken over: 90 backbone tensors; not taken: heads.emotion" in capsys.readouterr().out
    old = HMTLForImageClassification.from_pretrained(teacher).state_dict()
    new = HMTLForImageClassification.from_pretrained(tmp_path).state_dict()
    for name, tensor in old.items():
        if name.startswith("hmtl.") and "running" not in name and "num_batches" not in name:
            assert torch.equal(tensor, new[name]), name
    head = "heads.emotion.layers.1.weight"
    assert not torch.equal(old[head], new[head])  # fresh, from this run's seed
    notes = json.loads((tmp_path / "result.json").read_text())["protocol"]["notes"]
    assert any("90 backbone tensors" in note for note in notes)


def test_a_self_supervised_checkpoint_can_be_fine_tuned_and_probed(tmp_path):
    pretrained = ["quickstart/puzzle-3x3", *TINY, "supervised.emotion=null", "--output_dir", str(tmp_path / "pretrain")]
    main(pretrained)
    for arguments, steps in (
        ([], 1),
        (["--probe", "linear"], 0),
        (["--probe", "knn"], 0),
        (["--probe", "nonlinear"], 0),
    ):
        folder = tmp_path / "-".join(["next", *arguments])
        run = ["quickstart/supervised", "--pretrained", str(tmp_path / "pretrain"), *arguments]
        main([*run, "--output_dir", str(folder), *TINY])
        result = json.loads((folder / "result.json").read_text())
        assert result["steps"] == steps and 0 <= result["metrics"]["test_emotion_accuracy"] <= 1
        assert (folder / "model.safetensors").exists() == (steps > 0)
        if arguments[-1:] == ["nonlinear"]:
            assert result["metrics"]["test_emotion_macro_f1_sd"] >= 0
        if steps == 0:
            assert "frozen backbone" in result["protocol"]["notes"][0]
            matrix = torch.tensor(result["confusion"]["test"]["emotion"]["matrix"])
            if "nonlinear" not in arguments:  # whose accuracy is a mean over seeds, and the matrix one of them
                accuracy = matrix.trace() / matrix.sum()
                assert accuracy.item() == pytest.approx(result["metrics"]["test_emotion_accuracy"])


def recipe_of(**changes):
    return dataclasses.replace(recipe.load("drawn/finetune-puzzle-3x3"), **changes)


def test_a_row_means_the_folder_it_is_trained_to(tmp_path, monkeypatch, teacher):
    monkeypatch.chdir(tmp_path)
    origin = {"row": "pretrain-puzzle-3x3"}
    with pytest.raises(FileNotFoundError, match="hf-hmtl train drawn/pretrain-puzzle-3x3, or give.*--pretrained"):
        located(origin, recipe_of(), "pretrained")
    shutil.copytree(teacher, tmp_path / "outputs" / "drawn-pretrain-puzzle-3x3")
    assert located(origin, recipe_of(), "pretrained") == "outputs/drawn-pretrain-puzzle-3x3"
    assert located(True, recipe_of(), "pretrained") is True and located(None, recipe_of(), "teacher") is None
    with pytest.raises(ValueError, match="'rwo'"):
        located({"rwo": "x"}, recipe_of(), "teacher")


def test_recipes_of_a_users_file_have_their_folder_too():
    with pytest.raises(FileNotFoundError, match=r"train path/to/mine.yaml:pretrain, or give .*--pretrained FOLDER"):
        located({"row": "pretrain"}, recipe_of(name="mine/finetune"), "pretrained")
    assert recipe.default_folder("fer2013/puzzle-3x3") == "outputs/fer2013-puzzle-3x3"
    assert recipe.default_folder("path/to/my.yaml:row") == "outputs/my-row"


def test_origins_that_do_not_exist_say_so(tmp_path):
    model = HMTLForImageClassification(HMTLConfig(backbone="test_resnet", image_size=48, heads={}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="without config.json"):
        take_backbone(model, str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="no such folder, nor can it be a name on the Hub"):
        take_backbone(model, str(tmp_path / "missing" / "deep"))
    with pytest.raises(FileNotFoundError, match="no file"):
        take_backbone(model, str(tmp_path / "weights.safetensors"))
    with pytest.raises(FileNotFoundError, match="--teacher"):
        load_teacher(str(tmp_path / "empty"), recipe_of(), "")


def test_another_backbone_is_refused(teacher):
    model = HMTLForImageClassification(HMTLConfig(backbone="test_efficientnet", image_size=48, heads={}))
    with pytest.raises(ValueError, match="do not fit the backbone"):
        take_backbone(model, str(teacher))
