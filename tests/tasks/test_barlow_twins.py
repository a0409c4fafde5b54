import numpy as np
import pytest
import torch

from hf_hmtl.tasks.barlow_twins import BarlowTwins, cross_correlation


def projections(rows=64):
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(rows, 8, generator=generator)
    views = [shared + 0.5 * torch.randn(rows, 8, generator=generator) for _ in range(2)]
    return torch.cat(views)


def loss_of(projections):
    task = BarlowTwins()
    return task.loss_of(task.statistics(projections, torch.zeros(len(projections))))


def test_correlation_is_numpys():
    first, second = projections().chunk(2)
    expected = np.corrcoef(first.numpy().T, second.numpy().T)[:8, 8:]
    sums = BarlowTwins().statistics(projections(), torch.zeros(128))
    np.testing.assert_allclose(cross_correlation(sums).numpy(), expected, atol=1e-4)


def test_features_far_from_zero_keep_their_correlations():
    first, second = (view + 10 for view in projections().chunk(2))
    sums = BarlowTwins().statistics(torch.cat([first, second]), torch.zeros(128))
    expected = np.corrcoef(first.numpy().T, second.numpy().T)[:8, 8:]
    np.testing.assert_allclose(cross_correlation(sums).numpy(), expected, atol=1e-3)


def test_loss_is_the_definition():
    # Zbontar et al. 2021, Eq. 1, from numpy's correlations.
    first, second = projections().numpy()[:64], projections().numpy()[64:]
    correlation = np.corrcoef(first.T, second.T)[:8, 8:]
    diagonal = np.diag(correlation)
    expected = ((1 - diagonal) ** 2).sum() + 0.005 * ((correlation**2).sum() - (diagonal**2).sum())
    ours = loss_of(projections())
    assert ours.item() == pytest.approx(expected, rel=1e-3)


def test_equal_whitened_views_cost_nothing():
    orthogonal = torch.linalg.qr(torch.randn(64, 8, generator=torch.Generator().manual_seed(1)))[0]
    orthogonal = torch.linalg.qr(orthogonal - orthogonal.mean(0))[0] * 8
    assert loss_of(torch.cat([orthogonal, orthogonal])).item() < 1e-3


def test_bad_options_raise():
    with pytest.raises(ValueError, match="share"):
        BarlowTwins(share=0.5)
    with pytest.raises(ValueError, match="redundancy"):
        BarlowTwins(redundancy=-1.0)
