"""The trainer as users of transformers know one: any dataset, any argument of the Trainer, any way to resume."""

import copy
import json

import numpy as np
import pytest
import torch
from datasets import Image
from sklearn.metrics import accuracy_score
from torch.utils.data import Subset
from trainers import SIDE, assert_same, make, weights
from transformers import AutoImageProcessor, AutoModelForImageClassification, TrainingArguments

from hf_hmtl import (
    Classification,
    HMTLForImageClassification,
    HMTLImageProcessor,
    HMTLTrainer,
    HMTLTrainingArguments,
    Mixture,
    Puzzle,
)
from hf_hmtl.data.rows import GivenRows


@pytest.fixture
def tasks(faces):
    return [Classification.of(faces["train"], "emotion"), Puzzle(grid=2, weight=0.25, share=0.5)]


def network(tasks, **config):
    return HMTLForImageClassification.for_tasks(
        tasks, **{"backbone": "test_efficientnet", "image_size": SIDE, **config}
    )


def arguments(folder, **given):
    given = {"use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "max_steps": 2, **given}
    return HMTLTrainingArguments(str(folder), per_device_train_batch_size=16, **given)


def trainer_of(faces, folder, tasks, given=None, **options):
    torch.manual_seed(3)
    options = {"train_dataset": faces["train"], "eval_dataset": faces["validation"], **options}
    model = None if "model_init" in options else network(tasks)
    return HMTLTrainer(model, arguments(folder, **(given or {})), tasks, **options)


class Dictionaries(torch.utils.data.Dataset):
    def __init__(self, faces):
        self.faces = faces.cast_column("image", Image())

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, row):
        return self.faces[row]


def test_datasets_of_any_kind_train_alike(faces, tmp_path, tasks):
    kinds = [faces["train"], faces["train"].cast_column("image", Image()), Dictionaries(faces["train"])]
    trained = []
    for train in kinds:
        trainer = trainer_of(faces, tmp_path, tasks, augmentation="weak", train_dataset=train)
        trainer.train()
        trained.append(weights(trainer))
    assert_same(trained[0], trained[1])
    assert_same(trained[0], trained[2])


def test_evaluation_takes_one_dataset_several_or_another(faces, tmp_path, tasks):
    trainer = trainer_of(faces, tmp_path, tasks)
    one = trainer.evaluate()
    decoded = trainer.evaluate(faces["validation"].cast_column("image", Image()), metric_key_prefix="test")
    assert decoded["test_emotion_accuracy"] == one["eval_emotion_accuracy"] and one["eval_emotion_count"] == 32
    several = trainer_of(faces, tmp_path, tasks, eval_dataset={"near": faces["validation"], "far": faces["test"]})
    scores = several.evaluate()
    assert scores["eval_near_emotion_accuracy"] == one["eval_emotion_accuracy"]
    assert scores["eval_far_emotion_loss"] == trainer.evaluate(faces["test"])["eval_emotion_loss"]
    assert several.evaluate("far")["eval_emotion_loss"] == scores["eval_far_emotion_loss"]
    splits = trainer.evaluate(copy.copy(faces))
    assert splits["eval_test_emotion_loss"] == scores["eval_far_emotion_loss"] and "eval_train_emotion_loss" in splits
    with pytest.raises(ValueError, match="pass eval_dataset="):
        trainer_of(faces, tmp_path, tasks, eval_dataset=None).evaluate()
    with pytest.raises(ValueError, match="eval_dataset has no column 'emotion'"):
        trainer.evaluate(faces["test"].select_columns("image"))


def test_a_prediction_needs_no_labels(faces, tmp_path, tasks):
    trainer = trainer_of(faces, tmp_path, tasks)
    labelled, bare = trainer.predict(faces["test"]), trainer.predict(faces["test"].select_columns("image"))
    pixels = HMTLImageProcessor(size=SIDE)(faces["test"]["image"][:])["pixel_values"]
    with torch.no_grad():
        logits = trainer.model.eval()(pixels).logits.numpy()
    for output in (labelled, bare):
        np.testing.assert_allclose(output.predictions["emotion"], logits, rtol=1e-4, atol=1e-5)
        assert set(output.predictions) == {"emotion"}
    truth = np.array(faces["test"]["emotion"][:])
    assert labelled.metrics["test_emotion_accuracy"] == accuracy_score(truth, logits.argmax(1))
    assert np.isnan(bare.metrics["test_emotion_accuracy"]) and bare.metrics["test_emotion_count"] == 0
    assert np.isnan(bare.metrics["test_emotion_loss"])
    with pytest.raises(ValueError, match="test_dataset: a row has its image under 'image'"):
        trainer.predict([{"picture": None}])


def test_a_prediction_is_not_scored_by_labels_that_are_numbered_otherwise(faces, tmp_path, tasks):
    trainer = trainer_of(faces, tmp_path, tasks)
    names = faces["test"].features["emotion"].names
    swapped = {name: number for number, name in enumerate([names[1], names[0], *names[2:]])}
    other = faces["test"].align_labels_with_mapping(swapped, "emotion")
    for dataset in (other, Subset(other, range(5))):
        with pytest.raises(ValueError, match="test_dataset: the column 'emotion' numbers the classes"):
            trainer.predict(dataset)


def test_the_loss_of_an_evaluation_is_over_the_rows_with_a_label(faces, tmp_path, tasks):
    trainer = trainer_of(faces, tmp_path, tasks)
    half = [{**row, "emotion": row["emotion"] if number < 16 else None} for number, row in enumerate(faces["test"])]
    wanted = trainer.evaluate(faces["test"].select(range(16)))
    assert trainer.evaluate(half)["eval_emotion_loss"] == pytest.approx(wanted["eval_emotion_loss"], rel=1e-4)


def test_further_metrics_get_what_transformers_gives(faces, tmp_path, tasks):
    seen = []

    def compute_metrics(evaluation):
        seen.append(evaluation)
        answers = np.argmax(evaluation.predictions, axis=1)
        return {"exact": float((answers == evaluation.label_ids).mean())}

    given = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "metric_for_best_model": "exact",
        "include_for_metrics": ["inputs", "loss"],
    }
    given |= {"save_strategy": "steps", "save_steps": 1, "load_best_model_at_end": True}
    trainer = trainer_of(faces, tmp_path, tasks, given, compute_metrics=compute_metrics)
    trainer.train()
    scores = trainer.evaluate()
    assert scores["eval_exact"] == scores["eval_emotion_accuracy"]
    assert trainer.state.best_metric is not None and trainer.state.best_model_checkpoint
    assert seen[-1].inputs.shape == (32, 3, SIDE, SIDE)
    assert seen[-1].losses.shape == (32,) and seen[-1].losses.mean() == pytest.approx(scores["eval_loss"], rel=1e-5)
    with pytest.raises(ValueError, match="--include_for_metrics losses: allowed are inputs and loss"):
        trainer_of(faces, tmp_path, tasks, {"include_for_metrics": ["losses"]}, compute_metrics=compute_metrics)
    own = trainer_of(faces, tmp_path, tasks, compute_metrics=lambda evaluation: {"emotion_accuracy": -1.0})
    assert own.evaluate()["eval_emotion_accuracy"] == -1.0  # the user's word counts where a name is taken


def test_a_model_may_be_made_by_a_function(faces, tmp_path, tasks):
    made = trainer_of(faces, tmp_path / "made", tasks, {"seed": 5}, model_init=lambda: network(tasks))
    made.train()
    again = trainer_of(faces, tmp_path / "again", tasks, {"seed": 5}, model_init=lambda: network(tasks))
    again.train()
    assert_same(weights(made), weights(again))
    filters = [each for each in made.model.parameters() if each.ndim == 4 and each.shape[1] > 1 and each.shape[2] > 1]
    assert filters and all(each.is_contiguous(memory_format=torch.channels_last) for each in filters)
    assert isinstance(made.processing_class, HMTLImageProcessor) and made.evaluate()["eval_emotion_count"] == 32
    with pytest.raises(ValueError, match="no head for the task 'emotion'"):
        trainer_of(faces, tmp_path, tasks, model_init=lambda: network(tasks[1:]))


def test_a_later_trial_is_trained_and_evaluated_at_its_own_size(faces, tmp_path, tasks):
    trainer = trainer_of(faces, tmp_path, tasks, model_init=lambda: network(tasks))
    assert trainer.processing_class.size["height"] == SIDE
    seen = set()

    def watched():
        model = network(tasks, image_size=64)
        model.register_forward_pre_hook(
            lambda _, args, inputs: seen.add(tuple(inputs["pixel_values"].shape[-2:])), with_kwargs=True
        )
        return model

    trainer.model_init = watched
    trainer.train()
    trainer.evaluate()
    assert seen == {(64, 64)} and trainer.processing_class.size["height"] == 64


class Transformed(torch.utils.data.Dataset):
    """Rows as somebody's own pipeline makes them."""

    def __init__(self, faces):
        self.faces, self.processor = faces, HMTLImageProcessor(size=SIDE)

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, row):
        pixels = self.processor(self.faces[row]["image"])["pixel_values"][0]
        return {"pixels": pixels, "mood": self.faces[row]["emotion"]}


def collate(rows):
    assert isinstance(rows, list)
    pixels = torch.stack([row["pixels"] for row in rows])
    batch = {"pixel_values": pixels}
    return batch | ({"labels": torch.tensor([row["mood"] for row in rows])} if "mood" in rows[0] else {})


def test_a_collator_in_the_manner_of_transformers(faces, tmp_path, tasks):
    options = {"train_dataset": Transformed(faces["train"]), "eval_dataset": Transformed(faces["validation"])}
    trainer = trainer_of(faces, tmp_path, tasks[:1], data_collator=collate, **options)
    trainer.train()
    ours = trainer_of(faces, tmp_path, tasks[:1], augmentation={"level": "none", "flip": 0.0})
    ours.train()
    for one, other in zip(trainer.state.log_history, ours.state.log_history, strict=True):
        assert one.get("loss") == other.get("loss")
    assert trainer.evaluate()["eval_emotion_accuracy"] == ours.evaluate()["eval_emotion_accuracy"]
    assert trainer.evaluate(Transformed(faces["test"]))["eval_emotion_count"] == 32
    bare = [{"pixels": row["pixels"]} for row in Transformed(faces["test"])]
    predictions = trainer.predict(bare).predictions["emotion"]
    np.testing.assert_allclose(predictions, ours.predict(faces["test"]).predictions["emotion"], rtol=1e-4, atol=1e-5)


def test_a_collator_may_make_the_targets_of_every_task(faces, tmp_path, tasks):
    made = trainer_of(faces, tmp_path, tasks).train_collator

    def everything(rows):
        return made(rows)

    trainer = trainer_of(faces, tmp_path, tasks, data_collator=everything)
    assert isinstance(trainer.training_rows(), GivenRows)
    trainer.train()
    assert {"loss_emotion", "loss_puzzle"} <= set(trainer.state.log_history[0])


def test_plain_arguments_of_transformers_train(faces, tmp_path, tasks):
    args = TrainingArguments(
        str(tmp_path), use_cpu=True, disable_tqdm=True, max_steps=2, per_device_train_batch_size=16,
        eval_strategy="steps", eval_steps=1, save_strategy="no", report_to="none",
    )  # fmt: skip
    torch.manual_seed(3)
    plain = HMTLTrainer(network(tasks), args, tasks, train_dataset=faces["train"], eval_dataset=faces["validation"])
    plain.train()
    given = {"eval_strategy": "steps", "eval_steps": 1, "logging_first_step": False}
    ours = trainer_of(faces, tmp_path, tasks, given)
    ours.train()
    assert_same(weights(plain), weights(ours))
    assert plain.evaluate()["eval_emotion_accuracy"] == ours.evaluate()["eval_emotion_accuracy"]


def test_true_resumes_from_the_last_checkpoint(faces, tmp_path, tasks):
    given = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2}
    whole = trainer_of(faces, tmp_path, tasks, given)
    whole.train(resume_from_checkpoint=False)
    last = tmp_path / "checkpoint-6"
    last.rename(tmp_path / "finished")
    resumed = trainer_of(faces, tmp_path, tasks, given)
    assert resumed.train(resume_from_checkpoint=True).global_step == 6
    assert_same(weights(whole), weights(resumed))
    with pytest.raises(FileNotFoundError, match="no complete checkpoint-N"):
        trainer_of(faces, tmp_path / "new", tasks, given).train(resume_from_checkpoint=True)
    with pytest.raises(FileNotFoundError, match="nowhere is no checkpoint folder.*in Python True"):
        trainer_of(faces, tmp_path, tasks, given).train(resume_from_checkpoint=tmp_path / "nowhere")


def test_a_finished_training_says_so_and_a_longer_one_goes_on(faces, tmp_path, tasks):
    given = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1, "lr_scheduler_type": "constant"}
    done = trainer_of(faces, tmp_path, tasks, given)
    done.train()
    again = trainer_of(faces, tmp_path, tasks, given)
    output = again.train(resume_from_checkpoint=True)
    losses = [entry["loss"] for entry in done.state.log_history if "loss" in entry]
    assert (output.global_step, output.training_loss) == (2, losses[-1])
    longer = trainer_of(faces, tmp_path, tasks, {**given, "max_steps": 4})
    assert longer.train(resume_from_checkpoint=True).global_step == 4


def test_a_checkpoint_without_its_optimizer_is_not_resumed(faces, tmp_path, tasks):
    given = {"save_strategy": "steps", "save_steps": 1, "save_only_model": True}
    trainer_of(faces, tmp_path, tasks, given).train()
    with pytest.raises(
        ValueError,
        match=r"lacks optimizer.pt, scheduler.pt, rng_state.pth \(as after --save_only_model\).*--pretrained",
    ):
        trainer_of(faces, tmp_path, tasks, given).train(resume_from_checkpoint=True)


def test_an_evaluation_at_the_start_is_not_repeated_by_a_resume(faces, tmp_path, tasks):
    given = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "eval_on_start": True}
    given |= {"eval_strategy": "steps", "eval_steps": 2}
    whole = trainer_of(faces, tmp_path, tasks, given)
    whole.train()
    resumed = trainer_of(faces, tmp_path, tasks, given)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    steps = [[each["step"] for each in run.state.log_history if "eval_loss" in each] for run in (whole, resumed)]
    assert steps == [[0, 2, 4], [0, 2, 4]]


def test_a_resumed_run_stops_by_the_patience_of_now(faces, tmp_path, tasks):
    given = {"max_steps": 9, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "steps", "eval_steps": 1}
    given |= {"metric_for_best_model": "eval_emotion_accuracy", "load_best_model_at_end": True, "learning_rate": 0.0}
    stopped = trainer_of(faces, tmp_path, tasks, {**given, "early_stopping_patience": 2})
    assert stopped.train().global_step == 3
    same = trainer_of(faces, tmp_path, tasks, {**given, "early_stopping_patience": 2})
    assert same.train(resume_from_checkpoint=True).global_step == 3
    longer = trainer_of(faces, tmp_path, tasks, {**given, "early_stopping_patience": 4})
    assert longer.train(resume_from_checkpoint=True).global_step == 5
    saved = json.loads((tmp_path / "checkpoint-5" / "trainer_state.json").read_text())
    assert saved["stateful_callbacks"]["EarlyStoppingCallback"]["args"]["early_stopping_patience"] == 4


def test_no_row_is_left_out_of_an_evaluation_and_no_worker_stays(faces, tmp_path, tasks):
    given = {"dataloader_drop_last": True, "per_device_eval_batch_size": 7, "dataloader_num_workers": 1}
    trainer = trainer_of(faces, tmp_path, tasks, {**given, "dataloader_persistent_workers": True})
    assert trainer.evaluate()["eval_emotion_count"] == 32  # 4 rows more than four batches of 7
    loaders = trainer.accelerator._dataloaders
    trainer.evaluate()
    assert loaders and not any(getattr(loader, "persistent_workers", False) for loader in loaders)
    assert trainer.args.dataloader_drop_last and trainer.args.dataloader_persistent_workers
    assert trainer.get_train_dataloader().persistent_workers


def test_the_final_folder_is_slim_and_complete(faces, tmp_path, tasks):
    trainer = trainer_of(faces, tmp_path / "out", tasks)
    trainer.train()
    trainer.save_final(tmp_path / "my_model")
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "my_model")
    model = model.to(
        memory_format=torch.channels_last
    )  # as in training: kernels of another layout add up in another order
    processor = AutoImageProcessor.from_pretrained(tmp_path / "my_model")
    assert list(model.config.heads) == ["emotion"] and processor.size == {"height": SIDE, "width": SIDE}
    pixels = processor(faces["test"]["image"][:4], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(model.eval()(**pixels).logits, trainer.model.eval()(**pixels).logits)
    assert not (tmp_path / "my_model" / ".writing").exists()
    trainer.save_final(tmp_path / "my_model")  # written over, file by file


def test_a_model_is_saved_into_a_folder_and_no_file(faces, tmp_path, tasks):
    (tmp_path / "a_file").write_text("kept")
    with pytest.raises(FileExistsError, match="a_file is a file; give a folder"):
        trainer_of(faces, tmp_path / "out", tasks).save_final(tmp_path / "a_file")
    assert (tmp_path / "a_file").read_text() == "kept"


def test_what_a_save_that_was_cut_off_left_behind_is_not_shipped(faces, tmp_path, tasks):
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing" / "half.safetensors").write_text("")
    trainer_of(faces, tmp_path / "out", tasks).save_final(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "model.safetensors" in names and not names & {".writing", "half.safetensors"}


def test_checkpoints_carry_the_image_processor(faces, tmp_path, tasks):
    trainer_of(faces, tmp_path, tasks, {"save_strategy": "steps", "save_steps": 2}).train()
    assert AutoImageProcessor.from_pretrained(tmp_path / "checkpoint-2").size["height"] == SIDE


def test_a_processor_that_crops_is_obeyed(faces, tmp_path, tasks):
    trainer = trainer_of(faces, tmp_path, tasks, processing_class=HMTLImageProcessor(size=SIDE, crop_fraction=0.8))
    assert trainer.train_collator.crop_fraction == trainer.eval_collator.crop_fraction == 0.8
    collators = make(faces, tmp_path)
    assert collators.processing_class.crop_fraction == 1.0


def test_adapters_of_peft_train_save_and_merge(faces, tmp_path, tasks):
    from peft import LoraConfig, PeftModel, get_peft_model

    model = network(tasks)
    start = {name: tensor.clone() for name, tensor in model.hmtl.backbone.state_dict().items()}
    adapters = LoraConfig(r=4, **model.lora_modules())
    adapted = get_peft_model(model, adapters)
    given = {"learning_rate": 0.01, "save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    trainer = HMTLTrainer(
        adapted, arguments(tmp_path / "out", **given), tasks, augmentation="weak", train_dataset=faces["train"],
        eval_dataset=faces["validation"],
    )  # fmt: skip
    trainer.train()
    assert {"loss_emotion", "loss_puzzle"} <= set(trainer.state.log_history[0])
    wanted = trainer.predict(faces["test"]).predictions["emotion"]
    trainer.save_final(tmp_path / "merged")
    merged = AutoModelForImageClassification.from_pretrained(tmp_path / "merged").eval()
    pixels = HMTLImageProcessor(size=SIDE)(faces["test"]["image"][:])["pixel_values"]
    with torch.no_grad():
        np.testing.assert_allclose(merged(pixels).logits, wanted, rtol=1e-3, atol=1e-4)
    moved = [name for name, tensor in merged.hmtl.backbone.state_dict().items() if not torch.equal(tensor, start[name])]
    assert any(name.endswith("weight") for name in moved)
    still = trainer.model.base_model.model.hmtl.backbone.state_dict()
    assert all(
        torch.equal(still[name], start[name]) for name in start if name in still and name.endswith("conv.weight")
    )
    saved = PeftModel.from_pretrained(network(tasks), tmp_path / "out" / "checkpoint-4")
    assert saved.peft_config["default"].r == 4
    resumed = HMTLTrainer(
        get_peft_model(network(tasks), adapters),
        arguments(tmp_path / "out", **{**given, "max_steps": 6}), tasks, train_dataset=faces["train"],
    )  # fmt: skip
    assert resumed.train(resume_from_checkpoint=True).global_step == 6


def test_a_mixture_trains_as_any_dataset_does(faces, tmp_path):
    bare = faces["test"].select_columns("image")
    mixture = Mixture.of({"labelled": faces["train"], "bare": bare}, {"labelled": 3, "bare": 1})
    tasks = [Classification.of(faces["train"], "emotion"), Puzzle(grid=2)]
    model = HMTLForImageClassification.for_tasks(tasks, backbone="test_efficientnet", image_size=48)
    args = HMTLTrainingArguments(
        str(tmp_path), use_cpu=True, per_device_train_batch_size=16, num_train_epochs=1, logging_steps=1,
        save_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    trainer = HMTLTrainer(model, args, tasks, train_dataset=mixture, eval_dataset=faces["validation"])
    trainer.train()
    assert trainer.state.global_step == len(faces["train"]) // 12
    batch = next(iter(trainer.get_train_dataloader()))
    assert (batch["targets"]["emotion"] < 0).sum() == 4
    with pytest.raises(ValueError, match="no column 'mood'"):
        HMTLTrainer(model, args, [Classification(name="mood", labels=("a", "b"))], train_dataset=mixture)
