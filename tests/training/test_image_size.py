"""Backbones that cannot compute images of some size: one line before the first step, that says which size would do."""

import pytest
import torch
from trainers import make, weights

from hf_hmtl.run import train
from hf_hmtl.run.command_line import parse
from hf_hmtl.training.image_size import check_image_size

CROSSVIT = (
    r"crossvit_tiny_240 cannot compute images of 48 px \(.*\)\. It was made for 240 px: give --image_size 240, or"
)


def test_a_training_is_refused_before_its_first_step_and_leaves_no_trace(faces, tmp_path):
    trainer = make(faces, tmp_path, backbone="crossvit_tiny_240", max_steps=1)
    before, state = weights(trainer), torch.get_rng_state()
    with pytest.raises(ValueError, match=CROSSVIT):
        trainer.train()
    assert trainer.state.global_step == 0 and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(trainer).items())


@pytest.mark.parametrize("options", [["--dry_run"], ["--probe", "linear"]], ids=["dry run", "probe"])
def test_so_are_a_dry_run_and_a_probe(tmp_path, options):
    small = ["--set", "source.train=64", "source.validation=32", "source.test=32", "image_size=48"]
    typed = ["quickstart/supervised", "--backbone", "crossvit_tiny_240", "--use_cpu", "--output_dir", str(tmp_path)]
    with pytest.raises(ValueError, match=CROSSVIT):
        train.run(*parse([*typed, *options, *small]))


def test_an_error_without_words_is_called_by_its_name(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.SIDE", 50)
    trainer = make(faces, tmp_path, backbone="botnet26t_256")
    with pytest.raises(ValueError, match=r"botnet26t_256 cannot compute images of 50 px \(AssertionError\)"):
        check_image_size(trainer.model, torch.device("cpu"))


@pytest.mark.parametrize("error", [RuntimeError("of another kind"), torch.OutOfMemoryError("no memory")])
def test_what_has_nothing_to_do_with_the_size_is_left_as_it_is(faces, tmp_path, monkeypatch, error):
    model = make(faces, tmp_path).model
    tried = []

    def failing(pixel_values):
        tried.append(pixel_values.shape[-1])
        raise error

    monkeypatch.setattr(model, "forward", failing)
    with pytest.raises(type(error), match=str(error)):
        check_image_size(model, torch.device("cpu"))
    assert tried == [48]
