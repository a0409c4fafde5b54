"""Whether the smallest batch that a training may bring is enough for batch norm, and for losses over whole batches."""

from collections.abc import Sequence

import numpy as np
import torch

from hf_hmtl.schedule import value_at
from hf_hmtl.tasks import Pretext, Task
from hf_hmtl.training.batch_norm import is_batch_norm
from hf_hmtl.training.step import rehearsal

NEVER = 1e-9  # probability of a batch that no training is expected to see


def check_smallest_batch(trainer) -> None:
    """Raise before the first step when batch norm could meet a single value a channel, or a loss too few rows.

    Batch norm is tried out, in a pass without gradient that leaves no trace, where a batch may be of one row.

    Raises:
        ValueError: it says what is too small, and what to type.
    """
    args = trainer.args
    for task in trainer.tasks:
        if args.global_batch < task.smallest_step:
            raise ValueError(
                f"--per_device_train_batch_size {args.train_batch_size}: the loss of {task.name!r} compares rows, so a "
                f"step needs {task.smallest_step} or more. Give a larger --per_device_train_batch_size, or "
                "--gradient_accumulation_steps 2"
            )
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not hasattr(model.config, "heads"):
        return  # of clips, whose frames are many
    rows = smallest_views(trainer.all_tasks, args.train_batch_size)
    if min(rows.values()) > 1 or not any(map(is_batch_norm, model.modules())):
        return
    side, first = model.config.image_size, 0
    views: dict[str, tuple[int, int]] = {}
    for names, count in rows.items():
        views |= dict.fromkeys((name for name in names if name in model.config.heads), (first, first + count))
        first += count
    with rehearsal(model, args.device):
        try:
            model(pixel_values=torch.zeros(first, 3, side, side, dtype=torch.uint8, device=args.device), views=views)
        except ValueError as error:  # torch's own words, of the layer's tensors
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"--per_device_train_batch_size {args.train_batch_size}: {_of_one_row(rows)}, and batch norm needs two "
                f"values a channel, where {model.config.backbone} at {side} px leaves one of an image. Give a larger "
                "--per_device_train_batch_size or a larger --image_size"
            ) from error


def smallest_views(tasks: Sequence[Task], batch_size: int) -> dict[tuple[str, ...], int]:
    """{names of the tasks that look at a view: the fewest rows that it may have}.

    Of a view with a `share`, a single row may be chosen: it is reckoned with unless its probability is below `NEVER`,
    which is n s (1 - s)^(n - 1) for a share s of n rows. A share that moves may pass any value between its points.
    """
    own = [task for task in tasks if isinstance(task, Pretext) and not task.shares_the_image]
    shared = tuple(task.name for task in tasks if task not in own)
    rows = {shared: batch_size} if shared else {}
    for task in own:
        shares = value_at(task.share, np.linspace(0, 1, 101))
        single = np.max(batch_size * shares * (1 - shares) ** (batch_size - 1)) > NEVER
        views = task.augmented_views or task.copies
        rows[(task.name,)] = views * batch_size or (1 if single else batch_size)
    return rows


def _of_one_row(rows: dict[tuple[str, ...], int]) -> str:
    small = next(names for names, count in rows.items() if count == 1)
    return f"{', '.join(small)} may see a single row"
