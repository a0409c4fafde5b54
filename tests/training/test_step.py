"""Losses of whole steps: their parts give the value and the gradient of the whole, in batches and in processes."""

import subprocess
import sys

import pytest
import torch
from accelerate import Accelerator
from processes import LEAVE
from trainers import first_batch, loss_of, make, weights

from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.tasks.head_pose import HeadPose
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.training.step import Step, sums_of


def projections(rows=64):
    return torch.randn(2 * rows, 8, generator=torch.Generator().manual_seed(0)).double()


def test_parts_of_a_step_add_up_to_the_loss_and_the_gradient_of_the_whole():
    task, whole = BarlowTwins(), projections().requires_grad_()
    loss = task.loss_of(task.statistics(whole, torch.zeros(128)))
    loss.backward()
    views = projections().chunk(2)
    parts = [torch.cat([view[rows] for view in views]).requires_grad_() for rows in (slice(0, 10), slice(10, 64))]
    own = [task.statistics(part, torch.zeros(len(part))) for part in parts]
    totals = {name: (own[0][name] + own[1][name]).detach() for name in own[0]}
    counts = {"rows": totals.pop("rows")}
    step = Step({task.name: counts}, {task.name: totals}, 2, Accelerator(cpu=True))
    shares = [step.share(task, each) for each in own]
    sum(shares).backward()
    torch.testing.assert_close(sum(shares), loss, rtol=1e-5, atol=0)
    gradient = torch.cat([torch.cat([part.grad.chunk(2)[side] for part in parts]) for side in (0, 1)])
    torch.testing.assert_close(gradient, whole.grad, rtol=1e-4, atol=1e-7)


def test_the_sums_found_beforehand_are_those_of_the_passes_that_follow(faces, tmp_path):
    # With dropout and batch norm: the same random draws, and no trace of the first pass.
    trainer = make(faces, tmp_path, BarlowTwins(hidden=32, features=16), backbone="test_resnet", dropout=0.5)
    task, batches = trainer.tasks[-1], [first_batch(trainer), first_batch(trainer)]
    emotion, buffers = [], {name: buffer.clone() for name, buffer in trainer.model.named_buffers()}
    before = torch.get_rng_state()
    hook = trainer.model.head("emotion").register_forward_hook(lambda *call: emotion.append(call[-1].detach()))
    found = sums_of(trainer, [task], batches)[task.name]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in trainer.model.named_buffers())
    again = {}
    for batch in batches:
        outputs = trainer.model(batch["pixel_values"], views=batch["views"])
        own = task.statistics(outputs.predictions[task.name], batch["targets"][task.name])
        again = {name: again.get(name, 0) + own[name].detach() for name in found}
    hook.remove()
    assert torch.equal(emotion[0], emotion[2]) and torch.equal(emotion[1], emotion[3])
    assert not torch.equal(emotion[0], emotion[1])  # the same batch, dropped otherwise
    assert all(torch.equal(again[name], total) for name, total in found.items())


NUMBERS = (
    Regression("valence", loss="rmse", range=(-1, 1), bins=20),
    Regression("arousal", loss="ccc"),
    HeadPose(weight=0.01),
)


@pytest.mark.parametrize("weighting", ["static", "uncertainty"])
def test_roots_and_concordances_of_accumulated_batches_are_those_of_one_large_batch(faces, tmp_path, weighting):
    # Without batch norm and dropout; the parts have different numbers of labels, and one has none of arousal.
    trainer = make(faces, tmp_path, *NUMBERS, backbone="test_vit", dropout=0.0, level="none", weighting=weighting)
    batch = first_batch(trainer)
    batch["targets"]["valence"][:5], batch["targets"]["arousal"][12:] = torch.nan, torch.nan
    value, whole = loss_of(trainer, [batch])
    parts = []
    for rows in (slice(0, 6), slice(6, 12), slice(12, 16)):
        targets = {name: target[rows] for name, target in batch["targets"].items()}
        views = dict.fromkeys(batch["views"], (0, len(targets["emotion"])))
        parts.append({**batch, "pixel_values": batch["pixel_values"][rows], "views": views, "targets": targets})
    trainer.current_gradient_accumulation_steps = 3
    sum_of_parts, accumulated = loss_of(trainer, parts)
    assert sum_of_parts == pytest.approx(value, rel=1e-4)
    assert whole.keys() == accumulated.keys() and len(whole) > 50
    for name, gradient in whole.items():
        torch.testing.assert_close(accumulated[name], gradient, rtol=1e-3, atol=1e-5)


def test_the_trainer_accumulates_and_logs_them_as_one_large_batch(faces, tmp_path):
    options = {"backbone": "test_vit", "dropout": 0.0, "max_steps": 2, "optim": "sgd", "max_grad_norm": 0.0}
    large = make(faces, tmp_path, *NUMBERS, **options, level="none")
    large.train()
    sizes = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    small = make(faces, tmp_path, *NUMBERS, **options, **sizes, level="none")
    small.train()
    for name, tensor in weights(large).items():
        torch.testing.assert_close(weights(small)[name], tensor, rtol=1e-4, atol=1e-6)
    for name in ("loss", "loss_valence", "loss_arousal", "loss_pose", "pose_absolute_error"):
        assert small.state.log_history[0][name] == pytest.approx(large.state.log_history[0][name], rel=1e-3), name


def test_a_step_without_any_label_learns_nothing_of_a_task(faces, tmp_path):
    trainer = make(faces, tmp_path, *NUMBERS, backbone="test_vit", dropout=0.0, level="none")
    batch = first_batch(trainer)
    for task in NUMBERS:
        batch["targets"][task.name][:] = torch.nan
    total, gradients = loss_of(trainer, [batch, batch])
    with torch.no_grad():
        logits = trainer.model(batch["pixel_values"]).predictions["emotion"]
    expected = torch.nn.functional.cross_entropy(logits, batch["targets"]["emotion"]).item()
    assert total == pytest.approx(expected, rel=1e-4)
    heads = [gradient for name, gradient in gradients.items() if name.startswith("heads.") and "emotion" not in name]
    assert len(heads) == 6 and all((gradient == 0).all() for gradient in heads)


def test_an_evaluation_scores_whole_splits(faces, tmp_path):
    trainer = make(faces, tmp_path, *NUMBERS, level="none", per_device_eval_batch_size=5)  # the last batch has two rows
    metrics, output = trainer.evaluate(), trainer.predict(faces["validation"])
    assert set(output.predictions) == {"emotion", "valence", "arousal", "pose"}
    truth = torch.tensor(faces["validation"]["arousal"][:]).numpy()
    error = output.predictions["arousal"][:, 0] - truth
    assert metrics["eval_arousal_rmse"] == pytest.approx(float((error**2).mean() ** 0.5), rel=1e-5)
    assert metrics["eval_arousal_loss"] == pytest.approx(1 - metrics["eval_arousal_ccc"], abs=1e-5)
    # Of the loss of bins the root alone is not all: the cross-entropy is of the gathered logits.
    assert metrics["eval_valence_loss"] > metrics["eval_valence_rmse"] + 1
    assert output.predictions["pose"].shape == (32, 3)


PROCESSES = """
import sys, torch
from transformers import set_seed
from hf_hmtl import HeadPose, HMTLForImageClassification, HMTLTrainer, HMTLTrainingArguments, Regression
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
faces = synthetic_faces(train=32, validation=8, test=8, size=48, seed=0)
tasks = [Regression("valence", loss="rmse", range=(-1, 1), bins=20), Regression("arousal", loss="ccc"),
         HeadPose(weight=0.01)]
set_seed(0)
model = HMTLForImageClassification.for_tasks(tasks, backbone="test_vit", image_size=48)
args = HMTLTrainingArguments(
    sys.argv[1] + "/out", use_cpu=True, per_device_train_batch_size=int(sys.argv[2]), max_steps=2, optim="sgd",
    learning_rate=0.01, max_grad_norm=0.0, gradient_accumulation_steps=int(sys.argv[3]), save_strategy="no",
    report_to="none", disable_tqdm=True, logging_steps=1,
)
trainer = HMTLTrainer(model, args, tasks, train_dataset=faces["train"])
trainer.train()
if args.process_index == 0:
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    torch.save({"weights": model.state_dict(), "losses": logged}, f"{sys.argv[1]}/{args.world_size}.pt")
"""


@pytest.mark.slow
def test_two_processes_that_accumulate_learn_what_one_large_batch_teaches(tmp_path):
    (tmp_path / "script.py").write_text(PROCESSES + LEAVE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    for processes, batch, accumulated in (("1", "16", "1"), ("2", "4", "2")):
        command = [*launcher, processes, str(tmp_path / "script.py"), str(tmp_path), batch, accumulated]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (torch.load(tmp_path / f"{processes}.pt", weights_only=True) for processes in (1, 2))
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], tensor, rtol=1e-4, atol=1e-6)


SCRIPT = """
import sys, torch
from accelerate import Accelerator
from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.training.step import Step, over_processes
accelerator, task, folder = Accelerator(cpu=True), BarlowTwins(), sys.argv[1]
rank = accelerator.process_index
assert accelerator.num_processes == 2
first, second = torch.load(f"{folder}/projections.pt", weights_only=True).chunk(2)
half = torch.cat([first[rank::2], second[rank::2]]).requires_grad_()
own = task.statistics(half, torch.zeros(64))
step = Step(over_processes({task.name: task.counts(torch.zeros(64))}, accelerator), {}, 1, accelerator)
loss = step.share(task, own)
loss.backward()
torch.save({"loss": loss.detach(), "gradient": half.grad}, f"{folder}/{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_see_the_statistics_of_the_whole_batch(tmp_path):
    whole = projections().float().requires_grad_()
    task = BarlowTwins()
    loss = task.loss_of(task.statistics(whole, torch.zeros(128)))
    loss.backward()
    torch.save(whole.detach(), tmp_path / "projections.pt")
    (tmp_path / "script.py").write_text(SCRIPT + LEAVE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launcher, str(tmp_path / "script.py"), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = whole.grad.chunk(2)
    for rank in (0, 1):
        part = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(part["loss"], loss.detach())
        # DDP averages over the two processes, so each has to hold twice its share.
        expected = torch.cat([first[rank::2], second[rank::2]]) * 2
        torch.testing.assert_close(part["gradient"], expected, rtol=1e-4, atol=1e-6)
