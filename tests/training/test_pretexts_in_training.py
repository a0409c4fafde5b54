"""Every pretext in training: beside the supervised head and alone, calibrated and learned weights, accumulation."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trainers import assert_same, first_batch, loss_of, make, weights

from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.label_augmentation import LabelAugmentation
from hf_hmtl.tasks.localizable_rotation import LocalizableRotation
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.rotation import Rotation


@pytest.mark.parametrize(
    "pretexts",
    [
        (Rotation(),),
        (Rotation(tiles=3),),
        (Rotation(hidden=32), Puzzle(grid=3, hidden=32)),
        (InPainting(loss="rmse"),),
        (BarlowTwins(hidden=32, features=16, weight=0.01),),
        (LabelAugmentation(of="emotion", classes=8),),
        (Puzzle(grid=2, view="own"), InPainting(), BarlowTwins(hidden=32, features=16, weight=0.01)),
    ],
    ids=lambda pretexts: "+".join(pretext.name for pretext in pretexts),
)
def test_every_pretext_trains_beside_the_supervised_head_and_vanishes(faces, tmp_path, pretexts):
    trainer = make(faces, tmp_path, *pretexts)
    before = weights(trainer)
    trainer.train()
    first = next(entry for entry in trainer.state.log_history if "loss" in entry)
    assert all(np.isfinite(first[f"loss_{pretext.name}"]) for pretext in pretexts)
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == []
    plain = make(faces, tmp_path).model
    assert trainer.model.slim().state_dict().keys() == plain.state_dict().keys()


def test_accumulated_twins_cost_what_all_their_rows_cost_together(faces, tmp_path):
    task = BarlowTwins(hidden=32, features=16)
    trainer = make(faces, tmp_path, task, supervised=False)
    rows = trainer.training_rows()
    batches = [trainer.train_collator(rows.__getitems__([(0, row) for row in part])) for part in (range(16), range(30))]
    with torch.no_grad():
        passes = [trainer.model.train()(batch["pixel_values"], views=batch["views"]) for batch in batches]
    views = [each.predictions["barlow_twins"].chunk(2) for each in passes]
    together = torch.cat([view[side] for side in (0, 1) for view in views])
    total, _ = loss_of(trainer, batches)
    assert total == pytest.approx(task.loss_of(task.statistics(together, torch.zeros(92))).item(), rel=1e-4)


# Self-supervised training alone, perceptual losses, calibrated and learned weights


@pytest.mark.parametrize(
    "pretext",
    [Puzzle(grid=2, loss="focal"), Rotation(loss="focal"), InPainting(), BarlowTwins(hidden=32, features=16)],
    ids=lambda pretext: pretext.name,
)
def test_pretraining_needs_no_label(faces, tmp_path, pretext):
    unlabelled = copy.copy(faces)
    unlabelled["train"] = faces["train"].select_columns("image")
    trainer = make(unlabelled, tmp_path, pretext, supervised=False, max_steps=2)
    before = weights(trainer)
    trainer.train()
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == []
    slim = trainer.model.slim()
    assert slim.config.heads == {} and not any(name.startswith("auxiliary") for name in slim.state_dict())


def teacher_of(faces, folder):
    return make(faces, folder, backbone="test_resnet").model


def perceptual(faces, folder, **options):
    teacher = teacher_of(faces, folder)
    pretext = InPainting(loss="perceptual", **{"calibrate": True, **options.pop("task", {})})
    return make(faces, folder, pretext, teacher=teacher, **options)


def test_the_teacher_stays_as_it_is_and_is_never_saved(faces, tmp_path):
    trainer = perceptual(faces, tmp_path, save_strategy="epoch")
    before = {name: tensor.clone() for name, tensor in trainer.teacher.state_dict().items()}
    start = weights(trainer)
    trainer.train()
    assert_same(before, trainer.teacher.state_dict())
    assert not trainer.teacher.training and not any(p.requires_grad for p in trainer.teacher.parameters())
    saved = load_file(tmp_path / "checkpoint-6" / "model.safetensors")
    assert saved.keys() == start.keys()
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, start[name])]
    assert still == []


def test_the_perceptual_loss_is_that_of_the_teachers_pooled_features(faces, tmp_path):
    trainer = perceptual(faces, tmp_path, task={"calibrate": False, "weight": 3.0, "dropout": 0.0}, dropout=0.0)
    batch = first_batch(trainer)
    total, _ = loss_of(trainer, [batch])
    with torch.no_grad():
        painted = trainer.model(batch["pixel_values"], views=batch["views"]).predictions["inpainting"]
        seen = trainer.teacher.hmtl(painted).pooler_output.softmax(-1)
        wanted = trainer.teacher.hmtl(batch["targets"]["inpainting"]).pooler_output.softmax(-1)
        emotion = trainer.model(batch["pixel_values"], views=batch["views"]).predictions["emotion"]
    distance = (seen - wanted).square().mean(1).add(1e-12).sqrt().mean()
    expected = torch.nn.functional.cross_entropy(emotion, batch["targets"]["emotion"]) + 3 * distance
    assert total == pytest.approx(expected.item(), rel=1e-5)


def test_a_step_takes_two_passes_of_the_teacher(faces, tmp_path):
    trainer = perceptual(faces, tmp_path, task={"calibrate": False}, max_steps=3)
    rows, backbone = [], trainer.teacher.hmtl.backbone.forward_features
    trainer.teacher.hmtl.backbone.forward_features = lambda pixels: (rows.append(len(pixels)), backbone(pixels))[1]
    trainer.train()
    assert rows == [16] * 2 * 3


def test_a_perceptual_loss_without_a_teacher_says_what_to_do(faces, tmp_path):
    with pytest.raises(ValueError, match="--teacher FOLDER"):
        make(faces, tmp_path, InPainting(loss="perceptual"))


def test_a_calibrated_loss_starts_equal_to_the_supervised_one_and_changes_nothing_else(faces, tmp_path):
    trainer = perceptual(faces, tmp_path, dropout=0.0, task={"dropout": 0.0})
    before, state = weights(trainer), torch.get_rng_state()
    trainer.calibrate()
    assert_same(before, weights(trainer))
    assert torch.equal(state, torch.get_rng_state())
    sums = {"emotion": 0.0, "inpainting": 0.0}
    trainer.model.train()
    for batch, _ in zip(trainer.get_train_dataloader(), range(4), strict=False):
        with torch.no_grad():
            outputs = trainer.model(batch["pixel_values"], views=batch["views"])
            step = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
            for name, loss in trainer.task_losses(outputs.predictions, batch["targets"], step).items():
                sums[name] += loss.item()
    assert trainer.weights["inpainting"] * sums["inpainting"] == pytest.approx(sums["emotion"], rel=1e-4)
    assert trainer.weights["inpainting"] > 100  # |P - Q| is of the order 1e-3


def test_calibration_needs_something_to_compare_with(faces, tmp_path):
    trainer = make(faces, tmp_path, InPainting(calibrate=True), supervised=False)
    with pytest.raises(ValueError, match="calibrate needs a supervised loss"):
        trainer.train()


def test_calibrated_weights_are_logged_and_survive_a_resume(faces, tmp_path):
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3}
    whole = perceptual(faces, tmp_path, **options)
    whole.train()
    logged = {entry["weight_inpainting"] for entry in whole.state.log_history if "weight_inpainting" in entry}
    assert logged == {whole.weights["inpainting"]} and whole.weights["inpainting"] != 1
    resumed = perceptual(faces, tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-9"))
    assert resumed.weights == whole.weights
    assert_same(weights(whole), weights(resumed))


def test_learned_weights_move_are_logged_and_survive_a_resume(faces, tmp_path):
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3, "learning_rate": 0.01}
    whole = make(faces, tmp_path, Puzzle(grid=2), weighting="uncertainty", **options)
    whole.train()
    entries = [entry for entry in whole.state.log_history if "weight_puzzle" in entry]
    assert entries[0]["weight_puzzle"] == pytest.approx(1, abs=0.02)
    assert entries[-1]["weight_puzzle"] < entries[0]["weight_puzzle"]  # four losses of log 4: above its s_t / 2
    for entry in entries:  # what is logged is what the losses were multiplied by: exp(-s) L + s / 2 of each task
        terms = [
            entry[f"weight_{task}"] * entry[f"loss_{task}"] - np.log(entry[f"weight_{task}"]) / 2
            for task in ("emotion", "puzzle")
        ]
        assert entry["loss"] == pytest.approx(sum(terms), rel=1e-5)
    resumed = make(faces, tmp_path, Puzzle(grid=2), weighting="uncertainty", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-9"))
    assert_same(weights(whole), weights(resumed))
    assert whole.model.slim().state_dict().keys() == make(faces, tmp_path).model.state_dict().keys()


def assert_accumulates(faces, folder, pretext, parts, tolerance, **options):
    """`parts` accumulated batches make the same step of gradient descent as one batch of 16."""
    options |= {"backbone": "test_vit", "dropout": 0.0, "optim": "sgd", "max_grad_norm": 0.0}
    large = make(faces, folder, pretext, **options)
    large.train()
    sizes = {"per_device_train_batch_size": 16 // parts, "gradient_accumulation_steps": parts}
    small = make(faces, folder, pretext, **options, **sizes)
    small.train()
    for name, tensor in weights(large).items():
        torch.testing.assert_close(weights(small)[name], tensor, rtol=1e-4, atol=tolerance)


def test_learned_weights_accumulate_like_one_large_batch(faces, tmp_path):
    options = {"weighting": "uncertainty", "learning_rate": 0.1, "max_steps": 2}
    assert_accumulates(faces, tmp_path, Puzzle(grid=2, dropout=0.0), parts=2, tolerance=1e-5, **options)


def epoch_losses(trainer, task, steps=6):
    """The logged losses of a task, summed over each epoch."""
    losses = [entry[f"loss_{task}"] for entry in trainer.state.log_history if "loss" in entry]
    return [sum(losses[first : first + steps]) for first in range(0, len(losses), steps)]


def test_dynamic_weights_follow_the_losses_of_the_last_two_epochs(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=2, weight=0.5), dynamic=True, num_train_epochs=3, learning_rate=0.01)
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert {entry["weight_emotion"] for entry in entries[:12]} == {1.0}
    rates = {task: np.divide(*epoch_losses(trainer, task)[1::-1]) for task in ("emotion", "puzzle")}
    total = sum(np.exp(rate / 2) for rate in rates.values())
    for task, weight in (("emotion", 1.0), ("puzzle", 0.5)):
        expected = weight * 2 * np.exp(rates[task] / 2) / total
        for entry in entries[12:]:
            assert entry[f"weight_{task}"] == pytest.approx(expected, rel=1e-5)
    last = entries[-1]
    weighted = sum(last[f"weight_{task}"] * last[f"loss_{task}"] for task in rates)
    assert last["loss"] == pytest.approx(weighted, rel=1e-4) and last["weight_emotion"] != 1


@pytest.mark.parametrize("at", [12, 15], ids=["epoch boundary", "mid epoch"])
def test_dynamic_weights_survive_a_resume(faces, tmp_path, at):
    options = {"num_train_epochs": 4, "save_strategy": "steps", "save_steps": 3, "learning_rate": 0.01}
    whole = make(faces, tmp_path, Puzzle(grid=2), dynamic=True, **options)
    whole.train()
    resumed = make(faces, tmp_path, Puzzle(grid=2), dynamic=True, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{at}"))
    assert resumed.factors == whole.factors and whole.factors["emotion"] != 1
    assert_same(weights(whole), weights(resumed))


@pytest.mark.parametrize(
    "pretext",
    [
        Puzzle(grid=3),
        Rotation(),
        Rotation(tiles=2),
        LocalizableRotation(),
        LabelAugmentation(of="emotion", classes=8),
        InPainting(),
        InPainting(loss="perceptual", weight=100.0),
        BarlowTwins(hidden=32, features=16, weight=0.01),
    ],
    ids=["puzzle", "rotation", "tiles", "localizable", "label", "inpainting", "perceptual", "barlow_twins"],
)
def test_every_pretext_trains_in_bfloat16(faces, tmp_path, pretext):
    teacher = teacher_of(faces, tmp_path) if pretext.needs_teacher else None
    trainer = make(faces, tmp_path, pretext, bf16=True, max_steps=2, teacher=teacher)
    trainer.train()
    losses = [entry[f"loss_{pretext.name}"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2 and np.isfinite(losses).all()
    plain = make(faces, tmp_path, pretext, max_steps=2, teacher=teacher)
    plain.train()
    exact = next(entry[f"loss_{pretext.name}"] for entry in plain.state.log_history if "loss" in entry)
    assert losses[0] == pytest.approx(exact, rel=0.1)
    assert losses[0] != exact  # it was another precision indeed


@pytest.mark.parametrize(
    "pretext",
    [Rotation(dropout=0.0), Rotation(tiles=2, dropout=0.0), Puzzle(grid=2, dropout=0.0, view="own")],
    ids=["rotation", "tiles", "own view"],
)
def test_accumulated_pretexts_give_the_gradient_of_one_large_batch(faces, tmp_path, pretext):
    assert_accumulates(faces, tmp_path, pretext, parts=4, tolerance=1e-6, max_steps=1)


@pytest.mark.parametrize("loss", ["mse", "rmse", "perceptual"])
def test_accumulated_inpainting_gives_the_gradient_of_one_large_batch(faces, tmp_path, loss):
    # The decoder has batch norm of its own (appendix C), whose statistics depend on the batch: here they stand still.
    teacher = teacher_of(faces, tmp_path) if loss == "perceptual" else None
    options = {"dropout": 0.0, "max_steps": 1, "optim": "sgd", "max_grad_norm": 0.0, "teacher": teacher}
    pretext, trained = InPainting(loss=loss, weight=3.0), []
    for sizes in ({}, {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}):
        trainer = make(faces, tmp_path, pretext, **options, **sizes)
        for module in trainer.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train = lambda mode=True, module=module: module
                module.training = False
        trainer.train()
        trained.append(weights(trainer))
    start = weights(make(faces, tmp_path, pretext, **options))
    for name, tensor in trained[0].items():
        torch.testing.assert_close(trained[1][name], tensor, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(start[name], trained[0][name]) for name in start if name.startswith("auxiliary."))


@pytest.mark.parametrize(
    "pretext",
    [
        Puzzle(grid=2, view="own", share=1e-6),
        Rotation(view="own", share=1e-6),
        InPainting(view="own", share=1e-6),
        InPainting(view="own", share=1e-6, loss="perceptual"),
    ],
    ids=["puzzle", "rotation", "inpainting", "perceptual"],
)
def test_a_step_whose_own_view_is_empty_is_the_supervised_step(faces, tmp_path, pretext):
    teacher = teacher_of(faces, tmp_path) if pretext.needs_teacher else None
    options = {"max_steps": 2, "optim": "sgd", "learning_rate": 0.01}
    trainer = make(faces, tmp_path, pretext, teacher=teacher, **options)
    trainer.train()
    supervised = make(faces, tmp_path, **options)
    supervised.train()
    assert trainer.state.log_history[0][f"loss_{pretext.name}"] == 0
    after = weights(trainer)
    for name, tensor in weights(supervised).items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-4, atol=1e-6)


def test_one_call_of_the_model_a_step(faces, tmp_path):
    trainer = make(
        faces, tmp_path, Puzzle(grid=2, view="own"), Rotation(), BarlowTwins(hidden=32, features=16), max_steps=3
    )
    calls, rows = [], []
    forward, backbone = trainer.model.forward, trainer.model.hmtl.backbone.forward_features
    trainer.model.forward = lambda *args, **options: (calls.append(1), forward(*args, **options))[1]
    trainer.model.hmtl.backbone.forward_features = lambda pixels: (rows.append(len(pixels)), backbone(pixels))[1]
    trainer.train()
    assert len(calls) == len(rows) == 3
    assert set(rows) == {4 * 16}  # the shared view, the puzzle's own, and the two of Barlow Twins
