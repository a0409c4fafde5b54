"""How long an optimiser step takes here, measured on real batches, and an answer of the finished network."""

import copy
import time

import numpy as np
import torch

from hf_hmtl.data.mixed_sampler import sampler_for
from hf_hmtl.data.mixture import reader_for
from hf_hmtl.data.sampler import EpochRowSampler
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.run.experiment import Experiment
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


def seconds_a_step(experiment: Experiment, steps: int = TIMED_STEPS) -> float:
    """Median time of a few real steps, on a copy of the model: decoding, forward, backward and update."""
    rehearsal = copy.copy(experiment)
    rehearsal.model = copy.deepcopy(experiment.model)
    trainer = rehearsal.trainer()
    check_smallest_batch(trainer)
    model = trainer.model.train()
    optimizer = trainer.create_optimizer()
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        batches = first_batches(experiment, trainer.args.gradient_accumulation_steps)
        step = trainer._get_num_items_in_batch(batches, trainer.args.device)
        for batch in batches:
            trainer.compute_loss(model, trainer._prepare_inputs(batch), num_items_in_batch=step).backward()
        optimizer.step()
        optimizer.zero_grad()
        finish()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


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
