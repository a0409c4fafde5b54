"""Batches of one and two rows: they train, or are refused in one line before the first step."""

import pytest
import torch
from trainers import make, weights

from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.tasks.rotation import Rotation
from hf_hmtl.training.smallest_batch import check_smallest_batch, smallest_views

SHORT = {"max_steps": 2}
SMALL = {"barlow_twins": BarlowTwins(hidden=16, features=8), "inpainting": InPainting(), "puzzle": Puzzle(grid=3)}


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("pretext", [SMALL["puzzle"], Puzzle(grid=3, view="own", share=0.3), SMALL["inpainting"]])
def test_small_batches_train_every_parameter(faces, tmp_path, rows, pretext):
    trainer = make(faces, tmp_path, pretext, backbone="test_resnet", per_device_train_batch_size=rows, **SHORT)
    before = weights(trainer)
    trainer.train()
    assert all(tensor.isfinite().all() for tensor in weights(trainer).values())
    moved = [name for name, tensor in weights(trainer).items() if not torch.equal(tensor, before[name])]
    assert any(name.startswith("heads") for name in moved) and any("backbone" in name for name in moved)


@pytest.mark.parametrize(
    ("rows", "pretext", "message"),
    [
        (1, SMALL["puzzle"], "--per_device_train_batch_size 1: emotion, puzzle may see a single row, and batch norm"),
        (2, InPainting(view="own", share=0.5), "--per_device_train_batch_size 2: inpainting may see a single row"),
        (1, SMALL["barlow_twins"], "the loss of 'barlow_twins' compares rows, so a step needs 2 or more"),
    ],
    ids=["batch norm", "a share of a view", "a loss over rows"],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(faces, tmp_path, monkeypatch, rows, pretext, message):
    """At 32 px the last map of the backbone is of one pixel."""
    monkeypatch.setattr("trainers.SIDE", 32 if "batch norm" in message or rows == 2 else 48)
    pretext = Puzzle(grid=2) if pretext is SMALL["puzzle"] else pretext
    trainer = make(faces, tmp_path, pretext, backbone="test_resnet", per_device_train_batch_size=rows, **SHORT)
    before, state = weights(trainer), torch.get_rng_state()
    with pytest.raises(ValueError, match=message):
        trainer.train()
    assert trainer.state.global_step == 0 and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(trainer).items())


def test_one_pixel_is_enough_where_two_rows_see_it(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.SIDE", 32)
    trainer = make(faces, tmp_path, Puzzle(grid=2), backbone="test_resnet", per_device_train_batch_size=2, **SHORT)
    trainer.train()
    assert trainer.state.global_step == 2


def test_accumulated_rows_are_enough_for_a_loss_that_compares_them(faces, tmp_path):
    options = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2, "backbone": "test_resnet"}
    check_smallest_batch(make(faces, tmp_path, SMALL["barlow_twins"], **options))
    assert Regression(name="valence", loss="ccc").smallest_step == 2
    assert Regression(name="valence", loss="rmse").smallest_step == 1


def test_the_fewest_rows_that_a_view_may_have():
    tasks = [Puzzle(grid=2), Rotation(view="own"), InPainting(view="own", share=0.5), SMALL["barlow_twins"]]
    assert smallest_views(tasks, 4) == {("puzzle",): 4, ("rotation",): 4, ("inpainting",): 1, ("barlow_twins",): 8}
    assert smallest_views(tasks, 64)[("inpainting",)] == 64  # a single one of 64: once in 10^17 batches
