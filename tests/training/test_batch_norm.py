"""Batch norm over the rows of all processes: which layers are exchanged, and that nothing else changes.

torch exchanges sums between GPUs alone (`test_gpu.py`); a single process computes what the layers computed before.
"""

import copy

import pytest
import torch
from model_kinds import answers, made, pixels
from timm.layers import BatchNormAct2d, SyncBatchNormAct
from trainers import assert_same, make, weights

from hf_hmtl import HMTLForImageClassification, HMTLTrainingArguments
from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.training.batch_norm import is_batch_norm, synchronised
from hf_hmtl.training.refused import check_after_setup

NORMED = ["hybrid", "mlp", "pretrained"]  # decoder; timm's layers with activations; projector


def norms(model):
    return [module for module in model.modules() if is_batch_norm(module)]


def synchronising(trainer_of, **options):
    """A trainer whose batch norms are exchanged, which its arguments refuse on a CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hf_hmtl.training.arguments.check_after_setup", lambda args: None)
        return trainer_of(sync_batchnorm=True, **options)


@pytest.mark.parametrize("kind", NORMED)
def test_every_batch_norm_is_exchanged_and_names_tensors_and_answers_stay(kind):
    """timm's converter keeps the activation inside timm's layers; torch's own loses it."""
    model = made(kind).to(memory_format=torch.channels_last)
    before, tensors = answers(model), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    held = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    count, fused = len(norms(model)), sum(isinstance(module, BatchNormAct2d) for module in model.modules())
    exchanged = synchronised(model)
    assert len(norms(exchanged)) == count
    assert all(isinstance(module, torch.nn.SyncBatchNorm) for module in norms(exchanged))
    assert sum(isinstance(module, SyncBatchNormAct) for module in exchanged.modules()) == fused
    assert list(exchanged.state_dict()) == list(tensors)
    assert_same(exchanged.state_dict(), tensors)
    assert {name: parameter.data_ptr() for name, parameter in exchanged.named_parameters()} == held
    assert_same(answers(exchanged), before)
    filters = [each for each in exchanged.parameters() if each.ndim == 4]
    assert filters and all(each.is_contiguous(memory_format=torch.channels_last) for each in filters)


@pytest.mark.parametrize("kind", NORMED)
def test_nothing_of_it_is_saved_and_the_slim_model_is_a_plain_one(kind, tmp_path):
    model = synchronised(made(kind))
    model.save_pretrained(tmp_path)
    loaded = HMTLForImageClassification.from_pretrained(tmp_path)
    for plain in (loaded, model.slim()):
        assert norms(plain) and not any(isinstance(module, torch.nn.SyncBatchNorm) for module in plain.modules())
    assert_same(answers(loaded), answers(model))


def test_a_model_without_batch_norm_is_refused():
    with pytest.raises(ValueError, match="--sync_batchnorm true: neither the backbone nor a head of this model has"):
        synchronised(made("transformer"))


def test_activations_that_are_computed_twice_still_count_once():
    model = made("hybrid").train()
    model.activation_checkpointing_enable()
    exchanged = synchronised(copy.deepcopy(model))
    for each in (model, exchanged):
        torch.manual_seed(0)
        each(pixels(), views={"emotion": (0, 2)}).predictions["emotion"].sum().backward()
    assert_same(exchanged.state_dict(), model.state_dict())
    assert int(norms(exchanged)[0].num_batches_tracked) == 1


def test_one_process_trains_to_the_same_bits_and_goes_on_with_or_without(faces, tmp_path):
    """Decoder and projector have batch norm too. What was trained with it is resumed without it."""
    pretexts = InPainting(), BarlowTwins(hidden=16, features=8, weight=0.01)
    options = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1, "backbone": "test_resnet"}
    plain = make(faces, tmp_path / "plain", *pretexts, **options)
    plain.train()
    exchanged = synchronising(lambda **more: make(faces, tmp_path / "exchanged", *pretexts, **more), **options)
    assert all(isinstance(module, torch.nn.SyncBatchNorm) for module in norms(exchanged.model))
    exchanged.train()
    assert_same(weights(exchanged), weights(plain))
    resumed = make(faces, tmp_path / "exchanged", *pretexts, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "exchanged" / "checkpoint-1"))
    assert_same(weights(resumed), weights(plain))


def test_torch_itself_refuses_a_cpu_as_soon_as_there_are_processes(monkeypatch):
    """Why `--sync_batchnorm` is refused there."""
    model = synchronised(made("classification")).train()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with pytest.raises(ValueError, match="SyncBatchNorm expected input tensor to be on GPU"):
        model(pixels())


def test_it_is_refused_on_a_cpu_and_of_one_process(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="--sync_batchnorm true: torch exchanges .* GPUs alone.* Leave it out"):
        HMTLTrainingArguments(str(tmp_path), use_cpu=True, sync_batchnorm=True)
    args = HMTLTrainingArguments(str(tmp_path), use_cpu=True)
    args.sync_batchnorm = True
    monkeypatch.setattr(HMTLTrainingArguments, "device", torch.device("cuda"))
    with pytest.raises(ValueError, match="--sync_batchnorm true: there is one process.*--num_processes 2"):
        check_after_setup(args)
    monkeypatch.setattr(HMTLTrainingArguments, "world_size", 2)
    check_after_setup(args)
