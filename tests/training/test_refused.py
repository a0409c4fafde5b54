"""Every field of `TrainingArguments`: it acts as its help says, is fixed, or is refused with what does it."""

import dataclasses
import math
import sys
import warnings

import pytest
import torch
import transformers
from transformers import Trainer, TrainingArguments
from transformers.trainer_pt_utils import AcceleratorConfig
from transformers.training_args import OptimizerNames

from hf_hmtl import HMTLTrainingArguments

FOLLOWED = "5.24"  # the version whose fields were followed to where they are used

# Refused when they are given, by themselves; a value that a user could type.
REFUSED = {
    "activation_checkpointing_kwargs": {"use_reentrant": True},
    "auto_find_batch_size": True,
    "batch_eval_metrics": True,
    "bf16_full_eval": True,
    "dataloader_in_order": False,
    "deepspeed": "ds.json",
    "enable_jit_checkpoint": True,
    "eval_do_concat_batches": False,
    "eval_use_gather_object": True,
    "fp16_full_eval": True,
    "fsdp": "full_shard",
    "fsdp_config": {"min_num_params": 1},
    "hub_always_push": True,
    "hub_revision": "dev",
    "gradient_checkpointing_kwargs": {"offload": True},
    "ignore_data_skip": True,
    "include_num_input_tokens_seen": True,
    "label_names": ["labels"],
    "label_smoothing_factor": 0.1,
    "length_column_name": "size",
    "liger_kernel_config": {"rope": True},
    "neftune_noise_alpha": 5.0,
    "optim_target_modules": "all-linear",
    "parallelism_config": object(),
    "prediction_loss_only": True,
    "save_on_each_node": True,
    "train_sampling_strategy": "sequential",
    "use_cache": True,
    "use_liger_kernel": True,
}
# Refused in some combination, or with some value.
PARTLY = {
    "accelerator_config", "adam_beta1", "adam_beta2", "adam_epsilon", "average_tokens_across_devices",
    "ddp_static_graph", "debug", "eval_strategy", "fp16", "hub_strategy", "include_for_metrics", "lr_scheduler_kwargs",
    "lr_scheduler_type", "max_steps", "metric_for_best_model", "optim_args", "save_only_model", "warmup_steps",
}  # fmt: skip
# Set by HMTLTrainingArguments whatever is given, because their values elsewhere are nobody's wish.
FIXED = {
    "dataloader_pin_memory",
    "logging_nan_inf_filter",
    "remove_unused_columns",
    "restore_callback_states_from_checkpoint",
}
# They reach the code as their help says; some only in the Trainer's own scripts, or through packages for logging.
ACT = {
    "output_dir", "per_device_train_batch_size", "num_train_epochs", "learning_rate", "optim", "weight_decay",
    "gradient_accumulation_steps", "max_grad_norm", "bf16", "tf32", "activation_checkpointing",
    "gradient_checkpointing", "torch_compile", "torch_compile_backend", "torch_compile_mode", "logging_strategy",
    "logging_steps", "logging_first_step", "log_on_each_node", "log_level",
    "log_level_replica", "disable_tqdm", "report_to", "run_name", "project", "trackio_space_id",
    "trackio_bucket_id", "trackio_static_space_id", "eval_steps", "eval_delay", "per_device_eval_batch_size",
    "eval_on_start", "eval_accumulation_steps", "save_strategy", "save_steps", "save_total_limit", "push_to_hub",
    "hub_token", "hub_private_repo", "hub_model_id",
    "load_best_model_at_end", "greater_is_better", "full_determinism", "seed", "data_seed", "use_cpu",
    "dataloader_drop_last", "dataloader_num_workers", "dataloader_persistent_workers",
    "dataloader_prefetch_factor", "dataloader_multiprocessing_context", "ddp_find_unused_parameters",
    "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_backend", "ddp_timeout", "skip_memory_metrics", "do_train",
    "do_eval", "do_predict", "resume_from_checkpoint", "local_rank", "torch_empty_cache_steps",
}  # fmt: skip


def arguments(folder, **given):
    return HMTLTrainingArguments(str(folder), **{"use_cpu": True, **given})


def test_every_field_was_followed():
    fields = {field.name for field in dataclasses.fields(TrainingArguments) if field.init}
    known = {*REFUSED, *PARTLY, *FIXED, *ACT}
    assert len(known) == len(REFUSED) + len(PARTLY) + len(FIXED) + len(ACT)
    if transformers.__version__.startswith(FOLLOWED):
        assert fields == known
    elif fields - known:
        warnings.warn(f"fields that nobody has followed yet: {', '.join(sorted(fields - known))}", stacklevel=1)


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_that_would_do_nothing_or_harm_is_refused_by_name(tmp_path, name):
    with pytest.raises(ValueError, match=f"--{name}.*(Use|Train with)"):
        arguments(tmp_path, **{name: REFUSED[name]})


@pytest.mark.parametrize(
    "name, value",
    [
        ("include_num_input_tokens_seen", False),
        ("include_num_input_tokens_seen", "no"),
        ("activation_checkpointing_kwargs", {"use_reentrant": False}),
        ("gradient_checkpointing_kwargs", {"use_reentrant": False}),
        ("gradient_checkpointing_kwargs", {}),
    ],
)
def test_what_happens_anyway_may_be_said(tmp_path, name, value):
    arguments(tmp_path, **{name: value})


TOGETHER = {
    "checkpoints": ({"push_to_hub": True, "hub_strategy": "checkpoint"}, "--hub_strategy checkpoint.*Use.*end"),
    "no number of steps": ({"max_steps": -2}, "--max_steps is -2; allowed is 1 or more, 0 to train nothing"),
    "no number of epochs": ({"num_train_epochs": -1}, "--num_train_epochs is -1; allowed is 0 or more"),
    "no row": ({"per_device_train_batch_size": 0}, "--per_device_train_batch_size is 0; allowed is 1 or more"),
    "no batch": ({"gradient_accumulation_steps": 0}, "--gradient_accumulation_steps is 0; allowed is 1 or more"),
    "no rate": ({"learning_rate": math.nan}, "--learning_rate is nan; allowed is 0 or more"),
    "no seed": ({"seed": 2**40}, "--seed is 1099511627776; allowed is a whole number from 0 to 4294967295"),
    "no share": ({"adam_beta1": 1.0}, "--adam_beta1 is 1.0; allowed is 0 or more and below 1"),
    "no interval": (
        {"save_steps": 0, "save_strategy": "steps"},
        "--save_steps is 0; allowed is a number of steps from 1",
    ),
    "a place without its package": ({"report_to": "wandb"}, "--report_to wandb needs its package.*pip install wandb"),
    "an optimizer of language models": ({"optim": "galore_adamw"}, "--optim galore_adamw projects.*Use --optim adamw"),
    "an unknown optimizer": ({"optim": "adamw_torhc"}, "--optim 'adamw_torhc' is unknown. Did you mean 'adamw_torch'"),
    "an unknown compiler": ({"torch_compile_backend": "inducto"}, "'inducto' is unknown. Did you mean 'inductor'"),
    "an unknown mode": ({"torch_compile_mode": "max-autotun"}, "'max-autotun' is unknown. Did you mean 'max-autotune'"),
    "a precision without its GPU": (
        {"bf16": True, "use_cpu": False},
        "--bf16 true is for GPUs.*--bf16 true --use_cpu true",
    ),
    "an unknown place": ({"report_to": ["tensorbord"]}, "'tensorbord' is unknown. Did you mean 'tensorboard'"),
    "not finite": ({"on_nonfinite": "ignore"}, "--on_nonfinite is 'ignore', allowed are stop and skip"),
    "tpu": ({"debug": "tpu_metrics_debug"}, "needs a TPU"),
    "static graph": ({"ddp_static_graph": True, "gradient_accumulation_steps": 2}, "ddp_find_unused_parameters false"),
    "adabelief": ({"optim": "adabelief", "adam_beta1": 0.8}, "--adam_beta1 0.8 and --optim adabelief exclude"),
    "adabelief's": ({"optim": "adabelief", "optim_args": "eps=1"}, "--optim_args eps=1 and --optim adabelief exclude"),
    "warm-up": ({"decay_epochs": "1", "lr_scheduler_type": "constant", "warmup_steps": 5}, "Pass --warmup_steps 0"),
    "settings": (
        {"decay_epochs": "1", "lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"a": 1}},
        "--lr_scheduler_kwargs {'a': 1} and --decay_epochs exclude each other",
    ),
    "fp16": ({"fp16": True}, "on a CPU it would compute in float32"),
    "split": ({"accelerator_config": {"split_batches": True}}, "with split_batches.*Leave it out"),
    "dispatch": ({"accelerator_config": {"dispatch_batches": True}}, "with dispatch_batches"),
    "uneven": ({"accelerator_config": {"even_batches": False}}, "with even_batches"),
    "accumulation": (
        {"accelerator_config": {"gradient_accumulation_kwargs": {"num_steps": 4}}},
        "with num_steps.*--gradient_accumulation_steps",
    ),
}


@pytest.mark.parametrize("name", ["adam_beta2", "adam_epsilon"])
def test_settings_of_adam_are_not_those_of_adabelief(tmp_path, name):
    with pytest.raises(ValueError, match=f"--{name} 0.5 and --optim adabelief exclude each other"):
        arguments(tmp_path, optim="adabelief", **{name: 0.5})
    assert getattr(arguments(tmp_path, **{name: 0.5}), name) == 0.5


@pytest.mark.parametrize("name", ["use_seedable_sampler", "non_blocking"])
def test_settings_of_accelerates_loaders_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"--accelerator_config with {name}.*Leave it out"):
        arguments(tmp_path, accelerator_config={name: not getattr(AcceleratorConfig(), name)})


@pytest.mark.parametrize("kind", TOGETHER)
def test_options_that_exclude_each_other(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("hf_hmtl.training.refused.is_torch_bf16_gpu_available", lambda: False)
    given, sentence = TOGETHER[kind]
    with pytest.raises(ValueError, match=sentence):
        arguments(tmp_path, **given)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("ACCELERATE_USE_FSDP", "FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"),
        ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM"),
        ("ACCELERATE_USE_PARALLELISM_CONFIG", "parallelism"),
    ],
)
def test_sharded_training_by_a_configuration_of_accelerate_is_refused(tmp_path, monkeypatch, name, kind):
    for value in ("true", "1"):
        monkeypatch.setenv(name, value)
        with pytest.raises(ValueError, match=f"{name} is set.*{kind} is not possible.*accelerate launch --multi_gpu"):
            arguments(tmp_path)
    monkeypatch.setenv(name, "false")
    arguments(tmp_path)


def test_half_precision_of_a_configuration_of_accelerate_on_a_cpu_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ValueError, match="accelerate's configuration.*float32"):
        arguments(tmp_path)


def test_several_gpus_in_one_process_are_refused(tmp_path, monkeypatch):
    # No machine here has two: what torch and transformers would say of them is put in their place.
    monkeypatch.setattr(TrainingArguments, "n_gpu", 2)
    with pytest.raises(ValueError, match="2 GPUs are visible.*accelerate launch --multi_gpu --num_processes 2.*CUDA"):
        arguments(tmp_path)


def test_average_over_devices_cannot_be_left_out(tmp_path, monkeypatch):
    arguments(tmp_path, average_tokens_across_devices=False)  # one process: nothing to average
    monkeypatch.setattr(TrainingArguments, "world_size", 2)
    with pytest.raises(ValueError, match="--average_tokens_across_devices false"):
        arguments(tmp_path, average_tokens_across_devices=False)


def test_adabelief_and_step_decay_work_alone(tmp_path):
    args = arguments(tmp_path, optim="adabelief", decay_epochs="15,40", lr_scheduler_type="constant")
    assert args.optim == "adabelief" and args.milestones == (15, 40)


def test_plain_arguments_become_ours(tmp_path):
    plain = TrainingArguments(
        str(tmp_path), use_cpu=True, learning_rate=0.25, logging_steps=0.5, eval_strategy="epoch", report_to="none",
        lr_scheduler_type="cosine", activation_checkpointing=True, accelerator_config={"split_batches": False},
    )  # fmt: skip
    ours = HMTLTrainingArguments.of(plain)
    for field in dataclasses.fields(TrainingArguments):
        if field.init and field.name not in (*FIXED, "label_names", "accelerator_config", "hub_strategy"):
            assert getattr(ours, field.name) == getattr(plain, field.name), field.name
    assert ours.channels_last and not ours.remove_unused_columns and ours.label_names == ["targets"]
    assert HMTLTrainingArguments.of(ours) is ours and HMTLTrainingArguments.of(None).output_dir == "trainer_output"
    assert isinstance(ours.accelerator_config, AcceleratorConfig)
    assert ours.hub_strategy == "end"
    assert dataclasses.replace(ours, learning_rate=0.5).learning_rate == 0.5  # the setup may act twice


def test_arguments_of_a_scripts_own_class_become_ours(tmp_path):
    @dataclasses.dataclass
    class ScriptArguments(TrainingArguments):
        freeze: bool = True

    assert HMTLTrainingArguments.of(ScriptArguments(str(tmp_path), use_cpu=True, max_steps=7)).max_steps == 7


def test_plain_arguments_are_looked_at_as_well(tmp_path):
    with pytest.raises(ValueError, match="--label_smoothing_factor 0.1: nothing would be smoothed"):
        HMTLTrainingArguments.of(TrainingArguments(str(tmp_path), use_cpu=True, label_smoothing_factor=0.1))


def test_loaders_may_spawn_their_workers(tmp_path):
    args = arguments(tmp_path, dataloader_num_workers=1, dataloader_multiprocessing_context="spawn")
    context = args.dataloader_multiprocessing_context
    assert isinstance(context, str) or context.get_start_method() == "spawn"


@pytest.mark.parametrize("name", [each.value for each in OptimizerNames])
def test_every_optimizer_is_to_be_had_or_is_told_in_one_sentence(tmp_path, name, monkeypatch):
    """As on a machine with no further package: what is accepted here takes a step."""
    for package in ("bitsandbytes", "lomo_optim", "grokadamw", "schedulefree", "torchdistx", "torchao", "optimi"):
        monkeypatch.setitem(sys.modules, package, None)
    try:
        args = arguments(tmp_path, optim=name)
    except ValueError as error:
        assert str(error).startswith(f"--optim {name}") and str(error).count("--optim") == 2
        assert name not in ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop")
    else:
        kind, options = Trainer.get_optimizer_cls_and_kwargs(args)
        layer = torch.nn.Linear(2, 2)
        optimizer = kind(layer.parameters(), **options)
        before = layer.weight.clone()
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        assert not torch.equal(layer.weight, before)
