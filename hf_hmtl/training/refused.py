"""Options of `TrainingArguments` that would not do here what they say: refused by name, with the one that does it.

Every field of transformers 5.24 was followed to where it is used. Those that are not named here act as their help says,
or are fixed by `HMTLTrainingArguments`.
"""

import dataclasses
import difflib
import os
from collections.abc import Sequence
from typing import Any

import torch
from transformers import Trainer, TrainingArguments
from transformers.integrations import get_available_reporting_integrations
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_pt_utils import AcceleratorConfig
from transformers.trainer_utils import HubStrategy
from transformers.training_args import OptimizerNames
from transformers.utils import is_torch_bf16_gpu_available

from hf_hmtl.training.ranges import check_ranges

_CHECKPOINTING = (
    "nothing would look at it, since timm does the checkpointing, which has no settings",
    "--activation_checkpointing true alone",
)
# {name: (what would happen, what to use instead)}; an option is given when it has another value than without.
_REFUSED = {
    "activation_checkpointing_kwargs": _CHECKPOINTING,
    "gradient_checkpointing_kwargs": _CHECKPOINTING,
    "auto_find_batch_size": (
        "the batch could become smaller in the middle of a run, which is another experiment than the recorded one",
        "--per_device_train_batch_size, with --gradient_accumulation_steps where memory is short",
    ),
    "batch_eval_metrics": (
        "scores are of the whole split: macro F1 is no mean over batches",
        "--eval_accumulation_steps for less memory",
    ),
    "bf16_full_eval": (
        "the last evaluation would turn the weights themselves into bfloat16, and these would be saved",
        "--bf16 true, or from_pretrained(folder, dtype=torch.bfloat16) afterwards",
    ),
    "dataloader_in_order": (
        "answers would come back in another order than the rows they belong to",
        "its default, true",
    ),
    "enable_jit_checkpoint": (
        "a run that is told to stop would end as if it were finished, and could not go on",
        "hf-hmtl train, which writes a checkpoint at SIGTERM by itself and goes on with --resume_from_checkpoint last",
    ),
    "eval_do_concat_batches": ("scores are of the whole split, not of its batches", "trainer.predict(dataset)"),
    "eval_use_gather_object": ("predictions are tensors, which are gathered as such", "its default, false"),
    "fp16_full_eval": (
        "the last evaluation would turn the weights themselves into float16, and these would be saved",
        "--fp16 true, or from_pretrained(folder, dtype=torch.float16) afterwards",
    ),
    "hub_always_push": (
        "nothing is pushed while a training runs, so nothing has to wait for it",
        "--push_to_hub true alone, which publishes the finished model",
    ),
    "hub_revision": (
        "a push writes main, so that what people load by the name alone is the last one",
        "hf-hmtl push FOLDER NAME --tag VERSION to name a state of it",
    ),
    "ignore_data_skip": (
        "a resumed run would see the first rows of its epoch twice and the last ones not at all",
        "its default: skipping costs nothing here, since no image is read for it",
    ),
    "include_num_input_tokens_seen": (
        "it would count the numbers of the images as words",
        "train_samples_per_second of the log",
    ),
    "label_names": (
        "labels are what the tasks make of their columns",
        "tasks=[Classification.of(dataset, 'COLUMN')]",
    ),
    "label_smoothing_factor": (
        "nothing would be smoothed, since every task has its own loss",
        "--set supervised.NAME.label_smoothing=0.1, in Python Classification.of(dataset, 'label', label_smoothing=0.1)",
    ),
    "length_column_name": ("images are all of one size", "its default"),
    "liger_kernel_config": ("its kernels are for language models", "--torch_compile true or --bf16 true"),
    "neftune_noise_alpha": (
        "it adds noise to the embeddings of words, and there are none",
        "--set augmentation.noise=0.05, in Python augmentation={'level': 'weak', 'noise': 0.05}",
    ),
    "optim_target_modules": (
        "it is for optimizers that project the gradients of language models",
        "--optim adamw_torch_fused; in Python adapters: get_peft_model(model, LoraConfig(**model.lora_modules()))",
    ),
    "prediction_loss_only": (
        "an evaluation would have no score to choose the weights by",
        "--eval_strategy no to save the time of evaluations, --eval_accumulation_steps to save memory",
    ),
    "save_on_each_node": (
        "the hosts would have checkpoints without a model, from which no run can go on",
        "an --output_dir that all hosts share",
    ),
    "train_sampling_strategy": (
        "the order of the rows is a function of seed and epoch, so that a run can be resumed to the same bits",
        "--data_seed for another order, and in recipes --balancing for other shares of the classes",
    ),
    "use_cache": ("it is for generating text", "its default"),
    "use_liger_kernel": ("its kernels are for language models", "--torch_compile true or --bf16 true"),
}
_ALSO_USUAL: dict[str, tuple[Any, ...]] = {
    "include_num_input_tokens_seen": (False, "no"),
    "activation_checkpointing_kwargs": ({}, {"use_reentrant": False}),  # what timm does
    "gradient_checkpointing_kwargs": ({}, {"use_reentrant": False}),
    "label_names": (["targets"],),  # what HMTLTrainingArguments set
}
_SHARDED = (
    "is not possible: nobody has yet run this trainer with a sharded network on two devices, and calibrated weights, "
    "learned loss weights and exact resume are not known to survive it. Train with several processes instead, each of "
    "which holds the whole network: accelerate launch --multi_gpu --num_processes 2 -m hf_hmtl train ... (memory is "
    "saved by --activation_checkpointing true, --bf16 true and --gradient_accumulation_steps)"
)
_SHARDED_OPTIONS = {
    "fsdp": "FSDP",
    "fsdp_config": "FSDP",
    "deepspeed": "DeepSpeed",
    "parallelism_config": "parallelism",
}
_SHARDED_ENVIRONMENT = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "parallelism",
}
_PROJECTING = ("galore", "apollo")
_COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
_ADAM_OPTIONS = ("adam_beta1", "adam_beta2", "adam_epsilon", "optim_args")
_LOADER_OPTIONS = ("split_batches", "dispatch_batches", "even_batches", "use_seedable_sampler", "non_blocking")


def check_before_setup(args: TrainingArguments) -> None:
    """Raise on options that are given and refused; `TrainingArguments.__post_init__` has not acted on them yet.

    Raises:
        ValueError: the message names the option that does what was meant.
    """
    for name, (reason, instead) in _REFUSED.items():
        if is_given(args, name):
            raise ValueError(f"--{name} {getattr(args, name)}: {reason}. Use {instead}")
    if args.push_to_hub and args.hub_strategy not in ("end", HubStrategy.END):
        raise ValueError(
            f"--hub_strategy {HubStrategy(args.hub_strategy).value}: checkpoints would be published as they are, with "
            "training heads and without a result. Use --hub_strategy end; a branch from which the training can go on "
            "is made by hf-hmtl push FOLDER NAME --training"
        )
    for name, kind in _SHARDED_OPTIONS.items():
        if getattr(args, name, None):
            raise ValueError(f"--{name}: {kind} {_SHARDED}")
    for name, kind in _SHARDED_ENVIRONMENT.items():
        if os.environ.get(name, "").lower() in ("true", "1"):
            raise ValueError(f"{name} is set, as configurations of accelerate do: {kind} {_SHARDED}")
    optimizers = ["adabelief", *(each.value for each in OptimizerNames)]
    _require_known("--optim", getattr(args.optim, "value", args.optim), optimizers)
    check_ranges(args)
    _check_reports(args.report_to)
    _check_precision(args)
    _check_compilation(args)
    if "tpu_metrics_debug" in str(args.debug):
        raise ValueError("--debug tpu_metrics_debug needs a TPU; allowed is underflow_overflow")
    if args.ddp_static_graph and args.gradient_accumulation_steps > 1:
        raise ValueError(
            "--ddp_static_graph true and --gradient_accumulation_steps above 1 exclude each other in torch; use "
            "--ddp_find_unused_parameters false"
        )


def _check_reports(given: str | list[str] | None) -> None:
    """Raise when a place to report to is unknown, or its package is not installed."""
    for name in [given] if isinstance(given, str) else given or []:
        if name in ("none", "all"):
            continue
        _require_known("--report_to", name, [*sorted(INTEGRATION_TO_CALLBACK), "all", "none"])
        if name not in get_available_reporting_integrations() and name not in ("flyte", "codecarbon"):
            package = {"azure_ml": "azureml-core", "comet_ml": "comet-ml"}.get(name, name)
            raise ValueError(
                f"--report_to {name} needs its package, which is not installed: pip install {package}, or leave "
                "--report_to out"
            )


def _check_precision(args: TrainingArguments) -> None:
    if args.bf16 and not args.use_cpu and not is_torch_bf16_gpu_available():
        raise ValueError(
            "--bf16 true is for GPUs that compute in bfloat16, and this machine has none. Leave it out, or compute in "
            "it on the CPU, which seldom pays: --bf16 true --use_cpu true"
        )


def _check_compilation(args: TrainingArguments) -> None:
    """Raise on a backend or mode that torch does not know; it would say so behind the reading of the data."""
    if args.torch_compile_backend is not None:
        known = torch.compiler.list_backends(exclude_tags=())
        _require_known("--torch_compile_backend", args.torch_compile_backend, known)
    if args.torch_compile_mode is not None:
        _require_known("--torch_compile_mode", args.torch_compile_mode, _COMPILE_MODES)


def _require_known(option: str, given: str, known: Sequence[str]) -> None:
    """Raise where a name is none of those known, with the nearest.

    Raises:
        ValueError: it is not.
    """
    if given not in known:
        close = difflib.get_close_matches(str(given), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{option} {given!r} is unknown.{hint} Known: {', '.join(known)}")


def check_optimizer(args: TrainingArguments) -> None:
    """Raise where an optimizer's package is not installed, or it is none for images.

    Args:
        args: with the name of one that transformers knows.

    Raises:
        ValueError: the message says what to type.
    """
    name = getattr(args.optim, "value", args.optim)
    if name.startswith(_PROJECTING):
        raise ValueError(
            f"--optim {name} projects the gradients of language models, and there is none. Use --optim "
            "adamw_torch_fused"
        )
    try:
        Trainer.get_optimizer_cls_and_kwargs(args, torch.nn.Linear(1, 1))
    except (ImportError, ValueError) as error:
        raise ValueError(f"--optim {name}: {error}. Or leave --optim out") from error


def check_schedule(args: TrainingArguments, milestones: tuple[float, ...]) -> None:
    """Raise on settings of optimizer and schedule that nothing would look at.

    Args:
        milestones: the epochs of `--decay_epochs`.

    Raises:
        ValueError: two settings exclude each other.
    """
    if args.optim == "adabelief":
        for name in _ADAM_OPTIONS:
            if is_given(args, name):
                raise ValueError(
                    f"--{name} {getattr(args, name)} and --optim adabelief exclude each other: the authors' settings "
                    f"are fixed. Leave --{name} out, or use --optim adamw_torch"
                )
    for name in ("warmup_steps", "lr_scheduler_kwargs") if milestones else ():
        if getattr(args, name):
            raise ValueError(
                f"--{name} {getattr(args, name)} and --decay_epochs exclude each other: a step decay begins with the "
                f"full learning rate. Pass --warmup_steps 0 and no --lr_scheduler_kwargs, or --decay_epochs none"
            )


def check_after_setup(args: TrainingArguments) -> None:
    """Raise on what can be told only once the devices and processes are known.

    Raises:
        ValueError: the message says what to type.
    """
    config = args.accelerator_config
    for name in _LOADER_OPTIONS:
        if getattr(config, name) != getattr(AcceleratorConfig(), name):
            raise ValueError(
                f"--accelerator_config with {name}: batches are cut by a sampler that knows the processes already. "
                f"Leave it out"
            )
    if "num_steps" in (config.gradient_accumulation_kwargs or {}):
        raise ValueError(
            "--accelerator_config with num_steps: the record of the run would not know it. Use "
            "--gradient_accumulation_steps"
        )
    if args.world_size > 1 and not args.average_tokens_across_devices:
        raise ValueError(
            "--average_tokens_across_devices false: losses are always divided by the labelled rows of all processes. "
            "Leave it out"
        )
    if args.sync_batchnorm and args.device.type == "cpu":
        raise ValueError(
            "--sync_batchnorm true: torch exchanges the sums of batch norm between GPUs alone, and this training "
            "computes on a CPU. Leave it out: the batch norms of a process then see its own rows"
        )
    if args.n_gpu > 1:
        raise ValueError(
            f"{args.n_gpu} GPUs are visible to one process, over which torch's DataParallel would split each batch, "
            "and so tear the views of its rows apart. Start a process for each: accelerate launch --multi_gpu "
            f"--num_processes {args.n_gpu} -m hf_hmtl train ..., or choose one GPU: CUDA_VISIBLE_DEVICES=0 hf-hmtl "
            "train ..."
        )
    if args.sync_batchnorm and args.world_size == 1:
        raise ValueError(
            "--sync_batchnorm true: there is one process, whose batch norms see every row of a batch as it is. Leave "
            "it out, or start a process for each GPU: accelerate launch --multi_gpu --num_processes 2 -m hf_hmtl train "
            "..."
        )
    if args.device.type == "cpu" and (args.fp16 or os.environ.get("ACCELERATE_MIXED_PRECISION") == "fp16"):
        raise ValueError(
            "--fp16 true (or the mixed precision of accelerate's configuration) is for GPUs: on a CPU it would compute "
            "in float32 all the same. Leave it out, or use --bf16 true --use_cpu true"
        )


def is_given(args: TrainingArguments, name: str) -> bool:
    """Whether an option has another value than it has by itself, before or after the setup, or from a command line."""
    field = TrainingArguments.__dataclass_fields__[name]
    usual = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return getattr(args, name) not in (usual, *_ALSO_USUAL.get(name, ()))
