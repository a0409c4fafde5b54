"""A weight that is measured: what it is made of, and that the measuring leaves no trace."""

import pytest
import torch
from trainers import make

from hf_hmtl import Classification, InPainting
from hf_hmtl.training.calibration import calibrated_weight


def test_the_weight_makes_the_loss_a_multiple_of_the_weighted_supervised_ones():
    pretext = InPainting(weight=3.0, calibrate=True)
    supervised = [
        Classification(name="emotion", labels=("a", "b"), weight=0.5),
        Classification(name="gender", labels=("c", "d"), weight=2.0),
    ]
    sums = {"emotion": 8.0, "gender": 1.0, "inpainting": 0.25}
    weight = calibrated_weight(pretext, [*supervised, pretext], sums)
    assert weight * 0.25 == pytest.approx(3 * (0.5 * 8 + 2 * 1))


@pytest.mark.parametrize("sums", [{"emotion": 0.0, "inpainting": 1.0}, {"emotion": 1.0, "inpainting": 0.0}])
def test_a_loss_of_zero_has_no_weight(sums):
    tasks = [Classification(name="emotion", labels=("a", "b")), InPainting(calibrate=True)]
    with pytest.raises(ValueError, match="no weight makes them equal.*auxiliary.inpainting.weight="):
        calibrated_weight(tasks[1], tasks, sums)


def test_dropout_takes_nothing_from_the_random_numbers_of_the_training(faces, tmp_path):
    trainer = make(faces, tmp_path, InPainting(calibrate=True), dropout=0.5)
    before = torch.get_rng_state()
    trainer.calibrate()
    assert torch.equal(torch.get_rng_state(), before) and trainer.weights["inpainting"] != 1
