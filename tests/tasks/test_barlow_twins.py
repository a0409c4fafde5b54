import subprocess
import sys

import numpy as np
import pytest
import torch

from hf_hmtl.tasks.barlow_twins import BarlowTwins, cross_correlation


def projections(rows=64):
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(rows, 8, generator=generator)
    views = [shared + 0.5 * torch.randn(rows, 8, generator=generator) for _ in range(2)]
    return torch.cat(views)


def test_correlation_is_numpys():
    first, second = projections().chunk(2)
    expected = np.corrcoef(first.numpy().T, second.numpy().T)[:8, 8:]
    np.testing.assert_allclose(cross_correlation(first, second).numpy(), expected, atol=1e-4)


def test_loss_is_the_definition():
    # Zbontar et al. 2021, Eq. 1, from numpy's correlations.
    first, second = projections().numpy()[:64], projections().numpy()[64:]
    correlation = np.corrcoef(first.T, second.T)[:8, 8:]
    diagonal = np.diag(correlation)
    expected = ((1 - diagonal) ** 2).sum() + 0.005 * ((correlation**2).sum() - (diagonal**2).sum())
    ours = BarlowTwins().losses(projections(), torch.zeros(128))
    assert ours.item() == pytest.approx(expected, rel=1e-3)


def test_equal_whitened_views_cost_nothing():
    orthogonal = torch.linalg.qr(torch.randn(64, 8, generator=torch.Generator().manual_seed(1)))[0]
    orthogonal = torch.linalg.qr(orthogonal - orthogonal.mean(0))[0] * 8
    assert BarlowTwins().losses(torch.cat([orthogonal, orthogonal]), torch.zeros(128)).item() < 1e-3


SCRIPT = """
import sys, torch
from hf_hmtl.tasks.barlow_twins import BarlowTwins
torch.distributed.init_process_group("gloo")
rank, folder = torch.distributed.get_rank(), sys.argv[1]
assert torch.distributed.get_world_size() == 2
first, second = torch.load(f"{folder}/projections.pt", weights_only=True).chunk(2)
half = torch.cat([first[rank::2], second[rank::2]]).requires_grad_()
loss = BarlowTwins().losses(half, torch.zeros(64))
loss.backward()
torch.save({"loss": loss.detach(), "gradient": half.grad}, f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_see_the_statistics_of_the_whole_batch(tmp_path):
    whole = projections().requires_grad_()
    loss = BarlowTwins().losses(whole, torch.zeros(128))
    loss.backward()
    torch.save(projections(), tmp_path / "projections.pt")
    (tmp_path / "script.py").write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29519"]
    command = [*launcher, str(tmp_path / "script.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = whole.grad.chunk(2)
    for rank in (0, 1):
        part = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(part["loss"], loss.detach())
        # DDP averages over the two processes, so each has to hold twice its share.
        expected = torch.cat([first[rank::2], second[rank::2]]) * 2
        torch.testing.assert_close(part["gradient"], expected, rtol=1e-4, atol=1e-6)


def test_bad_options_raise():
    with pytest.raises(ValueError, match="share"):
        BarlowTwins(share=0.5)
    with pytest.raises(ValueError, match="redundancy"):
        BarlowTwins(redundancy=-1.0)
