"""Losses of whole steps: their parts give the value and the gradient of the whole, in batches and in processes."""

import subprocess
import sys

import pytest
import torch
from accelerate import Accelerator
from trainers import first_batch, make

from hf_hmtl.tasks.barlow_twins import BarlowTwins
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
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_see_the_statistics_of_the_whole_batch(tmp_path):
    whole = projections().float().requires_grad_()
    task = BarlowTwins()
    loss = task.loss_of(task.statistics(whole, torch.zeros(128)))
    loss.backward()
    torch.save(whole.detach(), tmp_path / "projections.pt")
    (tmp_path / "script.py").write_text(SCRIPT)
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
