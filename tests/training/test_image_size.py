"""Backbones that cannot compute images of some size: one line in the first step, that says which size would do."""

import pytest
import torch
from trainers import make

from hf_hmtl import HMTLConfig, HMTLModel, HMTLSequenceConfig
from hf_hmtl.run import train
from hf_hmtl.run.command_line import parse
from hf_hmtl.training import image_size
from hf_hmtl.training.image_size import image_size_named

CROSSVIT = (
    r"crossvit_tiny_240 cannot compute images of 48 px \(.*\)\. It was made for 240 px: give --image_size 240, or"
)


def test_a_training_names_it_in_its_first_step(faces, tmp_path):
    trainer = make(faces, tmp_path, backbone="crossvit_tiny_240", max_steps=1)
    with pytest.raises(ValueError, match=CROSSVIT) as raised:
        trainer.train()
    assert trainer.state.global_step == 0 and isinstance(raised.value.__cause__, RuntimeError)


@pytest.mark.parametrize("options", [["--dry_run"], ["--probe", "linear"]], ids=["dry run", "probe"])
def test_so_are_a_dry_run_and_a_probe(tmp_path, options):
    small = ["--set", "source.train=64", "source.validation=32", "source.test=32", "image_size=48"]
    typed = ["quickstart/supervised", "--backbone", "crossvit_tiny_240", "--use_cpu", "--output_dir", str(tmp_path)]
    with pytest.raises(ValueError, match=CROSSVIT):
        train.run(*parse([*typed, *options, *small]))


def test_an_error_without_words_is_called_by_its_name():
    config = HMTLConfig(backbone="botnet26t_256", image_size=50)
    message = r"botnet26t_256 cannot compute images of 50 px \(AssertionError\)\. .*256 px"
    with pytest.raises(ValueError, match=message), image_size_named(config):
        HMTLModel(config)(torch.zeros(2, 3, 50, 50))


@pytest.mark.parametrize("config", [HMTLConfig(backbone="test_resnet", image_size=48), HMTLSequenceConfig()])
def test_what_has_nothing_to_do_with_the_size_is_left_as_it_is(config):
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="of another kind"), image_size_named(config):
        raise RuntimeError("of another kind")
    assert torch.equal(torch.get_rng_state(), state)


def test_so_are_too_little_memory_and_a_backbone_that_takes_no_size(monkeypatch):
    refused = HMTLConfig(backbone="crossvit_tiny_240", image_size=48)
    with pytest.raises(torch.OutOfMemoryError, match="no memory"), image_size_named(refused):
        raise torch.OutOfMemoryError("no memory")
    monkeypatch.setattr(image_size, "_takes", lambda name, side: False)
    with pytest.raises(RuntimeError, match="nowhere"), image_size_named(refused):
        raise RuntimeError("nowhere")
