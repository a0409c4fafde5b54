import copy
import json
import logging
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score
from timm.optim import AdaBelief
from trainers import assert_same, first_batch, loss_of, make, weights

from hf_hmtl import HMTLForImageClassification
from hf_hmtl.data.rows import RowReader
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.training.checkpoint import HybridState
from hf_hmtl.training.optimization import among, decayed_parameters, step_decay


def test_the_loss_is_the_weighted_sum_of_the_tasks(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=2, weight=0.25, dropout=0.0), dropout=0.0)
    batch = first_batch(trainer)
    total, _ = loss_of(trainer, [batch])
    with torch.no_grad():
        outputs = trainer.model(batch["pixel_values"], views=batch["views"])
    emotion = torch.nn.functional.cross_entropy(outputs.predictions["emotion"], batch["targets"]["emotion"])
    tiles = sum(
        torch.nn.functional.cross_entropy(outputs.predictions["puzzle"][:, head], batch["targets"]["puzzle"][:, head])
        for head in range(4)
    )
    assert total == pytest.approx((emotion + 0.25 * tiles).item(), rel=1e-5)


def test_accumulated_batches_give_the_gradient_of_one_large_batch(faces, tmp_path):
    # Without batch norm and dropout. The halves carry different numbers of labels, so a mean of means would differ.
    trainer = make(faces, tmp_path, Puzzle(grid=2, dropout=0.0, share=0.5), backbone="test_vit", dropout=0.0)
    batch = first_batch(trainer)
    batch["targets"]["emotion"][:5] = -100
    _, whole = loss_of(trainer, [batch])
    halves = []
    for rows in (slice(0, 8), slice(8, 16)):
        half = {**batch, "pixel_values": batch["pixel_values"][rows], "views": dict.fromkeys(batch["views"], (0, 8))}
        halves.append({**half, "targets": {name: target[rows] for name, target in batch["targets"].items()}})
    _, accumulated = loss_of(trainer, halves)
    assert whole.keys() == accumulated.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(accumulated[name], gradient, rtol=1e-4, atol=1e-6)


def test_the_trainer_accumulates_like_one_large_batch(faces, tmp_path):
    options = {"backbone": "test_vit", "dropout": 0.0, "max_steps": 2, "optim": "sgd", "max_grad_norm": 0.0}
    puzzle = Puzzle(grid=2, dropout=0.0)
    large = make(faces, tmp_path, puzzle, **options)
    large.train()
    small = make(
        faces, tmp_path, puzzle, **options, per_device_train_batch_size=8, gradient_accumulation_steps=2
    )  # fmt: skip
    small.train()
    for name, tensor in weights(large).items():
        torch.testing.assert_close(weights(small)[name], tensor, rtol=1e-4, atol=1e-6)
    assert small.state.log_history[0]["loss"] == pytest.approx(large.state.log_history[0]["loss"], rel=1e-4)


def test_a_batch_without_labels_for_a_task_trains_the_others(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=2))
    batch = first_batch(trainer)
    batch["targets"]["emotion"][:] = -100
    total, gradients = loss_of(trainer, [batch])
    assert np.isfinite(total)
    heads = {name: gradient for name, gradient in gradients.items() if name.startswith("heads.emotion")}
    assert heads and all((gradient == 0).all() for gradient in heads.values())
    assert any(gradient.abs().sum() > 0 for name, gradient in gradients.items() if name.startswith("auxiliary"))


def test_weight_zero_and_grid_one_is_the_supervised_run_step_by_step(faces, tmp_path):
    supervised = make(faces, tmp_path)
    supervised.train()
    hybrid = make(faces, tmp_path, Puzzle(grid=1, weight=0.0))
    hybrid.train()
    losses = [[entry["loss"] for entry in run.state.log_history if "loss" in entry] for run in (supervised, hybrid)]
    assert losses[0] == losses[1] and len(losses[0]) == 6
    assert_same(weights(supervised), weights(hybrid))


def test_one_seed_starts_supervised_and_hybrid_runs_alike(faces, tmp_path):
    # Paired comparisons need it: a head more must not shift the numbers of the others.
    supervised, hybrid = make(faces, tmp_path), make(faces, tmp_path, Puzzle(grid=3))
    start = weights(hybrid)
    for name, tensor in weights(supervised).items():
        assert torch.equal(tensor, start[name]), name


def test_every_parameter_moves(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=3))
    before = weights(trainer)
    trainer.train()
    still = [name for name, parameter in trainer.model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == []


def test_workers_change_nothing(faces, tmp_path):
    runs = []
    for options in (
        {},
        {"dataloader_num_workers": 2},
        {"dataloader_num_workers": 2, "dataloader_persistent_workers": True},
    ):
        trainer = make(faces, tmp_path, Puzzle(grid=3), num_train_epochs=2, level="strong", **options)
        trainer.train()
        runs.append(weights(trainer))
    assert_same(runs[0], runs[1])
    assert_same(runs[0], runs[2])


@pytest.mark.parametrize("at", [12, 15], ids=["epoch boundary", "mid epoch"])
@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_gives_the_weights_of_the_uninterrupted_run(faces, tmp_path, at, workers):
    options = {"num_train_epochs": 3, "save_strategy": "steps", "save_steps": 3, "dataloader_num_workers": workers}
    whole = make(faces, tmp_path, Puzzle(grid=3), level="strong", **options)
    whole.train()
    resumed = make(faces, tmp_path, Puzzle(grid=3), level="strong", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{at}"))
    assert resumed.state.global_step == 18
    assert_same(weights(whole), weights(resumed))


@pytest.mark.parametrize("best", [False, True], ids=["last weights", "best weights"])
def test_a_run_cut_off_after_its_last_checkpoint_makes_no_further_step(faces, tmp_path, best):
    # 5 of the 6 steps of an epoch, so that the epoch has batches left to take by mistake.
    options = {"max_steps": 5, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "steps", "eval_steps": 1}
    options |= {"load_best_model_at_end": best, "metric_for_best_model": "eval_emotion_accuracy", "learning_rate": 0.05}
    whole = make(faces, tmp_path / "run", Puzzle(grid=3), **options)
    whole.train()
    (tmp_path / "run").rename(tmp_path / "moved")
    resumed = make(faces, tmp_path / "moved", Puzzle(grid=3), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "moved" / "checkpoint-5"))
    assert resumed.state.global_step == 5
    assert resumed.state.best_global_step == whole.state.best_global_step
    assert_same(weights(whole), weights(resumed))
    assert resumed.evaluate()["eval_emotion_accuracy"] == whole.evaluate()["eval_emotion_accuracy"]


def test_early_stopping_counts_on_after_a_resume(faces, tmp_path):
    options = {"max_steps": 8, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "steps", "eval_steps": 1}
    options |= {"metric_for_best_model": "eval_emotion_accuracy", "load_best_model_at_end": True}
    options |= {"learning_rate": 0.0, "early_stopping_patience": 3}  # no evaluation is better than the first
    resumed = make(faces, tmp_path, **options)
    resumed.train()
    assert resumed.state.global_step == 4
    for at in (3, 4):  # one evaluation before the end, and at it
        resumed = make(faces, tmp_path, **options)
        resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{at}"))
        assert resumed.state.global_step == 4


def test_seconds_of_a_resumed_run_include_those_before_it(faces, tmp_path):
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3}
    whole = make(faces, tmp_path, **options)
    began = time.perf_counter()
    whole.train()
    assert 0 < whole.seconds < time.perf_counter() - began
    stored = [HybridState.read(tmp_path / f"checkpoint-{step}").seconds for step in (3, 6, 9)]
    assert 0 < stored[0] < stored[1] < stored[2] < whole.seconds
    HybridState(seconds=1000.0).write(tmp_path / "checkpoint-9")
    resumed = make(faces, tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-9"))
    assert 1000 < resumed.seconds < 1000 + time.perf_counter() - began


def test_scores_are_sklearns_on_clean_images(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=3))
    metrics = trainer.evaluate()
    truth = np.array(faces["validation"]["emotion"][:])
    batch = trainer.data_collator(RowReader(faces["validation"]).__getitems__(list(range(len(truth)))))
    with torch.no_grad():
        logits = trainer.model.eval()(batch["pixel_values"]).logits
    answers = logits.argmax(-1).numpy()
    assert metrics["eval_emotion_accuracy"] == pytest.approx(accuracy_score(truth, answers))
    assert metrics["eval_emotion_macro_f1"] == pytest.approx(f1_score(truth, answers, average="macro"))
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(truth)).item()
    assert metrics["eval_emotion_loss"] == pytest.approx(expected, rel=1e-4)
    assert metrics["eval_loss"] == pytest.approx(expected, rel=1e-4)
    assert not any("puzzle" in name for name in metrics)


def test_persistent_workers_do_not_evaluate_the_wrong_split(faces, tmp_path):
    trainer = make(faces, tmp_path, dataloader_num_workers=1, dataloader_persistent_workers=True)
    trainer.evaluate()
    again = trainer.evaluate(faces["test"].select(range(8)), metric_key_prefix="test")
    assert again["test_emotion_count"] == 8


def test_the_log_has_losses_and_scores_of_every_task(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=3, weight=0.5), logging_steps=3)
    trainer.train()
    _, first, second = [entry for entry in trainer.state.log_history if "loss" in entry]  # step 1, 3 and 6
    for entry in (first, second):
        assert entry["loss"] == pytest.approx(entry["loss_emotion"] + 0.5 * entry["loss_puzzle"], rel=1e-4)
        assert 0 <= entry["emotion_accuracy"] <= 1 and 0 <= entry["puzzle_tile_accuracy"] <= 1
        assert entry["loss_puzzle"] > 9 * 1.5  # nine heads near log 9 at the start
    assert first["loss_puzzle"] != second["loss_puzzle"]


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_the_log_of_a_resumed_run_is_that_of_the_uninterrupted_one(faces, tmp_path, cut):
    """Logged at steps 1, 3, 6 and 9: cut after, at and between two logs; `loss` too, which the Trainer would forget."""

    def history(folder, **resume):
        options = {"logging_steps": 3, "num_train_epochs": 2, "save_strategy": "steps", "save_steps": cut}
        trainer = make(faces, folder, Puzzle(grid=2, weight=0.5, share=0.5), dynamic=True, **options)
        trainer.train(**resume)
        return [entry for entry in trainer.state.log_history if "loss" in entry]

    whole = history(tmp_path / "whole")
    assert history(tmp_path / "cut", resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}")) == whole
    assert [entry["step"] for entry in whole] == [1, 3, 6, 9, 12]
    assert {"loss", "loss_emotion", "loss_puzzle", "emotion_accuracy", "grad_norm"} <= set(whole[1])


def test_a_checkpoint_that_keeps_no_sums_begins_them_anew(faces, tmp_path):
    trainer = make(faces, tmp_path, logging_steps=6, max_steps=3, save_strategy="steps", save_steps=3)
    trainer.train()
    path = tmp_path / "checkpoint-3" / "hmtl_state.json"
    kept = json.loads(path.read_text())
    assert kept.pop("sums_since") == 1 and kept.pop("sums")["loss"][0] > 0
    path.write_text(json.dumps(kept))
    trainer = make(faces, tmp_path, logging_steps=6, max_steps=6)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    entry = [entry for entry in trainer.state.log_history if "loss" in entry][-1]
    assert entry["loss"] == pytest.approx(entry["loss_emotion"]) and 1 < entry["loss"] < 4


def test_step_decay_divides_by_ten_at_the_epochs(faces, tmp_path):
    trainer = make(
        faces, tmp_path, num_train_epochs=3, decay_epochs="1,2", lr_scheduler_type="constant", learning_rate=0.5
    )
    trainer.train()
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    np.testing.assert_allclose(rates, np.repeat([0.5, 0.05, 0.005], 6))


def test_a_step_decay_within_an_epoch_begins_at_the_nearest_step():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = step_decay(optimizer, [0.3], updates=6), []
    for _ in range(3):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1.0, 1.0, 0.1])


@pytest.mark.parametrize(
    "options",
    [
        {"num_train_epochs": 0.4, "gradient_accumulation_steps": 4},
        {"num_train_epochs": 1, "gradient_accumulation_steps": 4},
        {"max_steps": 1},
    ],
)
def test_the_planned_steps_are_those_that_the_trainer_makes(faces, tmp_path, options):
    trainer = make(faces, tmp_path, **options)
    assert trainer.train().global_step == trainer._planned_steps()


def test_the_seed_of_the_data_decides_order_and_draws_and_not_the_weights(faces, tmp_path):
    plain, of_data, wanted = (
        make(faces, tmp_path, Puzzle(grid=2), **seeds) for seeds in ({}, {"data_seed": 0}, {"seed": 0})
    )
    assert_same(weights(plain), weights(of_data))
    batches = [first_batch(trainer) for trainer in (plain, of_data, wanted)]
    assert torch.equal(batches[1]["pixel_values"], batches[2]["pixel_values"])
    assert torch.equal(batches[1]["targets"]["puzzle"], batches[2]["targets"]["puzzle"])
    assert not torch.equal(batches[0]["targets"]["emotion"], batches[1]["targets"]["emotion"])


def test_an_incomplete_batch_may_be_left_out_of_the_training(faces, tmp_path):
    sizes = {"per_device_train_batch_size": 20}  # 96 rows
    assert len(make(faces, tmp_path, **sizes).get_train_dataloader()) == 5
    assert len(make(faces, tmp_path, **sizes, dataloader_drop_last=True).get_train_dataloader()) == 4


def test_the_log_level_reaches_our_own_messages(faces, tmp_path, monkeypatch):
    ours = logging.getLogger("hf_hmtl")
    monkeypatch.setattr(ours, "level", logging.CRITICAL)
    make(faces, tmp_path)
    assert ours.level == logging.CRITICAL
    make(faces, tmp_path, log_level="error")
    assert ours.level == logging.ERROR


def test_two_schedules_raise(faces, tmp_path):
    with pytest.raises(ValueError, match="--decay_epochs none"):
        make(faces, tmp_path, decay_epochs="1", lr_scheduler_type="linear")
    with pytest.raises(ValueError, match="15,40"):
        make(faces, tmp_path, decay_epochs="fifteen", lr_scheduler_type="constant")


def test_adabelief_has_the_authors_settings(faces, tmp_path):
    trainer = make(faces, tmp_path, optim="adabelief", learning_rate=1e-3, max_steps=2)
    trainer.train()
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    assert isinstance(optimizer, AdaBelief)
    group = optimizer.param_groups[0]
    assert (group["eps"], group["betas"], group["weight_decay"]) == (1e-14, (0.9, 0.999), 0.0)
    assert optimizer.defaults.get("rectify", True) and optimizer.defaults.get("degenerated_to_sgd", True)


def test_weight_decay_is_for_matrices_only(faces, tmp_path):
    trainer = make(faces, tmp_path)
    decayed = set(trainer.get_decay_parameter_names(trainer.model))
    for name, parameter in trainer.model.named_parameters():
        assert (name in decayed) == (parameter.ndim > 1), name


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, torch.compile])
def test_weight_decay_finds_its_parameters_in_a_wrapped_model(wrap):
    bare = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    wrapped = wrap(bare)
    decayed = among(decayed_parameters(bare), wrapped)
    assert [id(dict(wrapped.named_parameters())[name]) for name in decayed] == [id(bare[0].weight)]


def test_channels_last_reaches_the_weights(faces, tmp_path):
    trainer = make(faces, tmp_path)
    filters = [p for p in trainer.model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert filters and all(p.is_contiguous(memory_format=torch.channels_last) for p in filters)


def test_early_stopping_stops(faces, tmp_path):
    trainer = make(
        faces, tmp_path, num_train_epochs=9, early_stopping_patience=1, learning_rate=0.0, eval_strategy="epoch",
        save_strategy="epoch", load_best_model_at_end=True, metric_for_best_model="eval_emotion_accuracy",
    )  # fmt: skip
    trainer.train()
    assert trainer.state.epoch == 2


def test_broken_images_are_counted_and_training_goes_on(faces, tmp_path):
    images = faces["train"]["image"][:]
    images[3] = {"bytes": b"", "path": None}
    images[50] = {"bytes": images[50]["bytes"][:40], "path": None}
    features = faces["train"].features
    damaged = copy.copy(faces)
    damaged["train"] = faces["train"].remove_columns("image").add_column("image", images, feature=features["image"])
    trainer = make(damaged, tmp_path, Puzzle(grid=3), num_train_epochs=2)
    trainer.train()
    assert trainer.broken_rows["train"] == {3, 50}


def test_tasks_without_labels_have_nothing_to_evaluate_or_predict(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=2), supervised=False)
    for asked in (trainer.evaluate, lambda: trainer.evaluate(faces["validation"])):
        with pytest.raises(ValueError, match=r"evaluate\(\): .* nothing to score. Leave it out, and probe"):
            asked()
    with pytest.raises(ValueError, match=r"predict\(\): .* nothing to score"):
        trainer.predict(faces["test"])


def test_the_loss_of_no_picture_and_of_no_label_is_none(faces, tmp_path):
    trainer, whole = make(faces, tmp_path), faces["validation"]
    broken = whole.remove_columns("image").add_column(
        "image", [{"bytes": b"", "path": None}] * len(whole), feature=whole.features["image"]
    )
    unlabelled = whole.remove_columns("emotion").add_column(
        "emotion", [-1] * len(whole), feature=whole.features["emotion"]
    )
    for nothing in (broken, unlabelled):
        scores = trainer.evaluate(nothing)
        assert np.isnan([scores["eval_loss"], scores["eval_emotion_loss"], scores["eval_emotion_accuracy"]]).all()
        assert np.isnan(trainer.predict(nothing).metrics["test_loss"])
    assert trainer.evaluate()["eval_loss"] > 0


def test_every_checkpoint_keeps_all_heads_in_safetensors(faces, tmp_path):
    trainer = make(faces, tmp_path, Puzzle(grid=3), save_strategy="epoch")
    trainer.train()
    saved = load_file(tmp_path / "checkpoint-6" / "model.safetensors")
    assert any(name.startswith("auxiliary.puzzle") for name in saved)
    reloaded = HMTLForImageClassification.from_pretrained(tmp_path / "checkpoint-6")
    assert set(reloaded.config.heads) == {"emotion", "puzzle"}


def test_epochs_are_shuffled_anew(faces, tmp_path):
    trainer = make(faces, tmp_path, num_train_epochs=3)
    seen = []
    collate = trainer.train_collator

    def recording(rows):
        seen.append((set(rows["epoch"]), tuple(rows["row"])))
        return collate(rows)

    trainer.train_collator = recording
    trainer.train()
    assert [epochs for epochs, _ in seen] == [{0}] * 6 + [{1}] * 6 + [{2}] * 6
    assert len({rows for _, rows in seen}) == 18
