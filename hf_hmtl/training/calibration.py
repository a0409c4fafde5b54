"""Loss weights that are measured before the first step (section 4.4, lambda of Eq. 3)."""

import itertools
from collections.abc import Sequence

from hf_hmtl.tasks import Pretext, Task
from hf_hmtl.training.step import rehearsal

CALIBRATION_BATCHES = 4


def tasks_to_calibrate(tasks: Sequence[Task], measured: dict[str, float]) -> list[Pretext]:
    """Those that ask for a measured weight and have none yet.

    Raises:
        ValueError: there is no supervised loss to compare with.
    """
    asking = [task for task in tasks if isinstance(task, Pretext) and task.calibrate and task.name not in measured]
    if asking and all(task.auxiliary for task in tasks):
        raise ValueError(f"{asking[0].name}: calibrate needs a supervised loss to compare with; set weight")
    return asking


def calibrated_weight(pretext: Pretext, tasks: Sequence[Task], sums: dict[str, float]) -> float:
    """The weight with which weight * loss is the pretext's own weight times the weighted sum of the supervised losses.

    Of weights that move, it is the largest: the factor is found for the network as it is at the start.

    Args:
        tasks: all of them.
        sums: {task: its loss} on the first batches.

    Raises:
        ValueError: one of the losses is 0 there.
    """
    wanted = sum(task.weight_at(0) * sums[task.name] for task in tasks if not task.auxiliary)
    if not (sums[pretext.name] > 0 and wanted > 0):
        raise ValueError(
            f"{pretext.name}: its loss is {sums[pretext.name]:g} and the supervised one {wanted:g} on the first "
            f"batches, so no weight makes them equal; give one: --set auxiliary.{pretext.name}.calibrate=false "
            f"auxiliary.{pretext.name}.weight=..."
        )
    return pretext.largest_weight * wanted / sums[pretext.name]


def first_losses(trainer) -> dict[str, float]:
    """{task: its loss}, summed over the first batches of training and over all processes.

    The network and the global random numbers stay as they are.
    """
    sums = dict.fromkeys([task.name for task in trainer.tasks], 0.0)
    model, rows = trainer.accelerator.unwrap_model(trainer.model), trainer.training_rows()
    with rehearsal(model, trainer.args.device):
        for keys in itertools.islice(trainer.new_sampler(), CALIBRATION_BATCHES):
            batch = trainer.train_collator(rows.__getitems__(keys))
            step = trainer._get_num_items_in_batch([batch], trainer.args.device)
            batch = trainer._prepare_inputs(batch)
            outputs = trainer.answers(model, batch)
            for task, loss in trainer.task_losses(outputs.learned_from, batch["targets"], step).items():
                sums[task] += loss
    return trainer.over_processes(sums)
