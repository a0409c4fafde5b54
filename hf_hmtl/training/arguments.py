"""The settings of a training: transformers' own, and the few that the paper adds."""

import dataclasses
import os
from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy

from hf_hmtl.training.finite_steps import ON_NONFINITE
from hf_hmtl.training.refused import check_after_setup, check_before_setup, check_optimizer, check_schedule, is_given


@dataclass
class HMTLTrainingArguments(TrainingArguments):
    """`TrainingArguments` and the few settings that the paper adds.

    Raises:
        ValueError: an option would not do here what it says (`refused`), or two exclude each other.
    """

    optim: str = field(
        default="adamw_torch_fused",
        metadata={
            "help": "Any optimizer of transformers, or 'adabelief' with the authors' settings (paper, section 4)."
        },
    )
    decay_epochs: str = field(
        default="none",
        metadata={
            "help": "Divide the learning rate by 10 at these epochs, e.g. '15,40' (paper, section 4.2); 'none' leaves "
            "it to lr_scheduler_type."
        },
    )
    channels_last: bool = field(
        default=True, metadata={"help": "Keep images and weights channels-last (1.5 times as fast on CPUs)."}
    )
    sync_batchnorm: bool = field(
        default=False,
        metadata={
            "help": "Batch norm of several GPUs sees the rows of all processes, not those of its own alone; every such "
            "layer then exchanges its sums."
        },
    )
    logging_first_step: bool = field(
        default=True, metadata={"help": "Log the first step too, so that curves begin where training does."}
    )
    hub_strategy: HubStrategy | str = field(
        default="end", metadata={"help": "The finished model is published, and nothing before."}
    )
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "Stop after so many evaluations without a better metric_for_best_model."}
    )

    on_nonfinite: str = field(
        default="stop",
        metadata={
            "help": "What to do with a step whose loss, predictions or gradients are no finite numbers: stop, or skip "
            "it (it changes nothing, and is counted)."
        },
    )

    def __post_init__(self):
        check_before_setup(self)
        check_schedule(self, self.milestones)
        if self.on_nonfinite not in ON_NONFINITE:
            raise ValueError(f"--on_nonfinite is {self.on_nonfinite!r}, allowed are {' and '.join(ON_NONFINITE)}")
        if self.max_steps == 0:  # the Trainer would count epochs instead
            self.max_steps, self.num_train_epochs = -1, 0
        adabelief = self.optim == "adabelief"
        if adabelief:  # unknown to transformers' own list of names
            self.optim = "adamw_torch"
        super().__post_init__()
        if adabelief:
            self.optim = "adabelief"
        else:
            check_optimizer(self)
        # A resumed run goes on counting evaluations without a better score, instead of starting its patience anew.
        self.restore_callback_states_from_checkpoint = True
        # Rows carry bytes and labels of several tasks; the collator, not the model's signature, decides what is used.
        self.remove_unused_columns = False
        self.label_names = ["targets"]
        # It would put older losses in the place of those that are not finite, which `on_nonfinite` sees to.
        self.logging_nan_inf_filter = False
        self.dataloader_pin_memory = self.dataloader_pin_memory and torch.cuda.is_available()
        if self.milestones and self.lr_scheduler_type != "constant":
            raise ValueError(
                f"--decay_epochs {self.decay_epochs} and --lr_scheduler_type {self.lr_scheduler_type.value} are two "
                "schedules; pass --decay_epochs none, or --lr_scheduler_type constant"
            )
        check_after_setup(self)

    def __getstate__(self) -> dict:
        """What is pickled, as the Trainer does into each checkpoint's training_args.bin: all but the token."""
        return {**self.__dict__, "hub_token": None}

    @classmethod
    def of(cls, args: TrainingArguments | None) -> "HMTLTrainingArguments":
        """These arguments, completed with the defaults of what the paper adds; without any, all are at their defaults.

        Raises:
            ValueError: as the class.
        """
        if args is None or isinstance(args, cls):
            return cls() if args is None else args
        # What transformers' own setup leaves behind is accepted by it once more; further fields are a script's own.
        known = {each.name for each in dataclasses.fields(cls)}
        given = [each.name for each in dataclasses.fields(args) if each.init and each.name in known]
        if not is_given(args, "hub_strategy"):
            given.remove("hub_strategy")  # what it is in transformers by itself is none of ours
        return cls(**{name: getattr(args, name) for name in given})

    @property
    def precision(self) -> str:
        """What the forward pass computes in: float32, bfloat16 or float16; by the options, else by the configuration
        of accelerate."""
        given = "fp16" if self.fp16 else "bf16" if self.bf16 else os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        return {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}.get(given, given)

    @property
    def sampling_seed(self) -> int:
        """Seed of the order of the rows and of everything that is drawn for a row."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def global_batch(self) -> int:
        """Rows of one optimiser step: of all processes, accumulated."""
        return self.train_batch_size * self.world_size * self.gradient_accumulation_steps

    @property
    def execution(self) -> dict[str, str | int]:
        """Where and how a run computes: {processes, device, precision, global_batch}."""
        return {
            "processes": self.world_size,
            "device": self.device.type,
            "precision": self.precision,
            "global_batch": self.global_batch,
        }

    @property
    def milestones(self) -> tuple[float, ...]:
        """Epochs at which the learning rate is divided by 10.

        Raises:
            ValueError: `decay_epochs` is not a comma-separated list of epochs.
        """
        if self.decay_epochs == "none":
            return ()
        try:
            return tuple(float(epoch) for epoch in self.decay_epochs.split(","))
        except ValueError:
            raise ValueError(
                f"--decay_epochs is {self.decay_epochs!r}; give epochs with commas between them, as in 15,40, or none"
            ) from None
