"""How long an optimiser step takes here, measured on real batches, and an answer of the finished network."""

import copy
import time
from collections.abc import Mapping

import numpy as np
import torch

from hf_hmtl.data.mixed_sampler import sampler_for
from hf_hmtl.data.mixture import reader_for
from hf_hmtl.data.sampler import EpochRowSampler
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.run.experiment import Experiment
from hf_hmtl.training.image_size import image_size_named
from hf_hmtl.training.smallest_batch import check_smallest_batch

TIMED_STEPS = 5
TIMED_ANSWERS, WARM_ANSWERS = 7, 2


def sampler_of(experiment: Experiment) -> EpochRowSampler:
    """The order of the training rows of an experiment, for this process."""
    args = experiment.args
    return sampler_for(
        experiment.training_rows,
        args.train_batch_size,
        args.sampling_seed,
        args.process_index,
        args.world_size,
        args.dataloader_drop_last,
    )


def steps_of(experiment: Experiment) -> int:
    """Optimiser steps of the whole training."""
    args = experiment.args
    if args.max_steps > 0:
        return args.max_steps
    return int(-(-len(sampler_of(experiment)) // args.gradient_accumulation_steps) * args.num_train_epochs)


def first_batches(experiment: Experiment, count: int) -> list[dict]:
    """The first training batches, augmented and corrupted."""
    rows, collate = reader_for(experiment.training_rows), experiment.training_collator()
    return [collate(rows.__getitems__(keys)) for keys, _ in zip(sampler_of(experiment), range(count), strict=False)]


class Rehearsal:
    """Real steps of an experiment, on a copy of its model.

    Raises:
        ValueError: its batches are too small to be trained on.
    """

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        rehearsal = copy.copy(experiment)
        rehearsal.model = copy.deepcopy(experiment.model)
        self.trainer = rehearsal.trainer()
        check_smallest_batch(self.trainer)
        self.model = self.trainer.model.train()
        self.optimizer = self.trainer.create_optimizer()

    def step(self) -> float:
        """Seconds of one more: decoding, forward, backward and update.

        Raises:
            ValueError: the backbone cannot compute images of this size.
        """
        started, trainer = time.perf_counter(), self.trainer
        batches = first_batches(self.experiment, trainer.args.gradient_accumulation_steps)
        count = trainer._get_num_items_in_batch(batches, trainer.args.device)
        for batch in batches:
            with image_size_named(self.model.config):
                trainer.compute_loss(self.model, trainer._prepare_inputs(batch), num_items_in_batch=count).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        finish()
        return time.perf_counter() - started


def seconds_a_step(experiment: Experiment, steps: int = TIMED_STEPS) -> float:
    """Median time of a few real steps, on a copy of the model: decoding, forward, backward and update."""
    rehearsal = Rehearsal(experiment)
    return float(np.median([rehearsal.step() for _ in range(steps)]))


def seconds_in_turn(experiments: Mapping[str, Experiment], rounds: int) -> dict[str, float]:
    """Seconds of a step of each, measured in turn and told as multiples of the first one's, so that other work of the
    machine, which comes and goes, slows all of them alike.

    Args:
        experiments: {name: experiment}.
        rounds: steps of each.
    """
    rehearsals = {name: Rehearsal(experiment) for name, experiment in experiments.items()}
    times = np.array([[rehearsal.step() for rehearsal in rehearsals.values()] for _ in range(rounds)])
    ratios = np.median(times / times[:, :1], axis=0)
    return dict(zip(rehearsals, (np.median(times[:, 0]) * ratios).tolist(), strict=True))


@torch.inference_mode()
def seconds_an_image(model: HMTLForImageClassification) -> float:
    """Median time of an answer about one image by the network without its training heads, in float32, where it lies."""
    network = model.slim().eval()
    side = network.config.image_size
    pixels = torch.zeros(1, 3, side, side, dtype=torch.uint8, device=network.device)
    times = []
    for _ in range(WARM_ANSWERS + TIMED_ANSWERS):
        started = time.perf_counter()
        network(pixels)
        finish()
        times.append(time.perf_counter() - started)
    return float(np.median(times[WARM_ANSWERS:]))


def finish() -> None:
    """Wait for what a GPU still has to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
