"""Whether validation and test have a picture to score: found before a training, which would select by nothing."""

import numpy as np
import torch

from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.rows import RowReader
from hf_hmtl.run.experiment import Experiment, targets_of


def require_pictures(experiment: Experiment) -> None:
    """Decode rows of each split that is scored until one can be: the first, unless something is wrong.

    Raises:
        ValueError: no labelled picture of a split can be decoded.
    """
    recipe = experiment.recipe
    images = EvaluationCollator([], recipe.image_size, recipe.crop["eval"], recipe.on_broken_image)
    for split in ("validation", "test"):
        if split not in experiment.splits or not experiment.supervised:
            continue
        dataset = experiment.splits[split]
        labels = [task.labelled(torch.from_numpy(targets_of(task, dataset))) for task in experiment.supervised]
        labelled = np.flatnonzero(torch.stack(labels).any(0).numpy())
        reader = RowReader(dataset)
        if len(labelled) and all(len(images(reader.__getitems__([row]))["broken_rows"]) for row in labelled.tolist()):
            which = (
                f"the one labelled {split} picture cannot"
                if len(labelled) == 1
                else (f"none of the {len(labelled):,} labelled {split} pictures can")
            )
            raise ValueError(
                f"{experiment.source.name}: {which} be decoded, so there is nothing to score; the messages above say "
                f"why. Mend the files, check the image column, or leave {split} out"
            )
