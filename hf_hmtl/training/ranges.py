"""Numbers among the options of a training that have no meaning outside of a range: refused before anything is done."""

import math

from transformers import TrainingArguments

_FROM_1 = (
    "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "logging_steps",
    "save_steps", "eval_steps", "save_total_limit", "early_stopping_patience", "eval_accumulation_steps",
    "dataloader_prefetch_factor", "torch_empty_cache_steps",
)  # fmt: skip
_FROM_0 = (
    "learning_rate", "weight_decay", "max_grad_norm", "adam_epsilon", "warmup_steps", "dataloader_num_workers", "seed",
    "data_seed", "num_train_epochs", "eval_delay",
)  # fmt: skip
_SHARES = ("adam_beta1", "adam_beta2")
_FRACTIONS = ("logging_steps", "save_steps", "eval_steps")  # below 1 they are a share of all steps
_LARGEST_SEED = 2**32 - 1  # of numpy


def check_ranges(args: TrainingArguments) -> None:
    """Raise for the first number that nothing can be done with.

    Raises:
        ValueError: it says the option, what was given and what is allowed.
    """
    for name in (*_FROM_1, *_FROM_0, *_SHARES):
        value = getattr(args, name, None)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        low, high, words = 0.0, math.inf, "0 or more"
        if name in _FRACTIONS:
            low, words = math.ulp(0.0), "a number of steps from 1, or a share of all steps above 0 and below 1"
        elif name in _FROM_1:
            low, words = 1.0, "1 or more"
        elif name in _SHARES:
            high, words = math.nextafter(1.0, 0.0), "0 or more and below 1"
        elif name in ("seed", "data_seed"):
            high, words = _LARGEST_SEED, f"a whole number from 0 to {_LARGEST_SEED}"
        if not (low <= value <= high and math.isfinite(value)):
            raise ValueError(f"--{name} is {value}; allowed is {words}")
    if args.max_steps < -1:
        raise ValueError(f"--max_steps is {args.max_steps}; allowed is 1 or more, 0 to train nothing, or -1 for epochs")
