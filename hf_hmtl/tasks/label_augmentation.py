"""Label augmentation: one classifier of class and quarter turn together, whose mean answer the plain head learns, too.

Lee, Hwang and Shin, "Self-supervised Label Augmentation via Input Transformations", ICML 2020, arXiv 1910.05872. Where
a supervised and a pretext loss are added (Eq. 1 and 2 of our paper), the classifier is asked to give one answer to a
face and to its corrupted copies, which can hurt. Here a joint classifier may tell the copies apart: it has a class for
every pair (class, turn). What it says of the four turns together is better than one answer, and the plain head, the one
that is shipped, is taught that (self-distillation). Turns by 0, 90, 180 and 270 degrees are the M = 4 of their tables.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hf_hmtl.draws import Draws
from hf_hmtl.tasks.base import (
    MISSING,
    Pretext,
    Supervised,
    classifier_head,
    cross_entropies,
    number_correct,
    share_correct,
)
from hf_hmtl.tasks.classification import Classification

TURNS = 4


@dataclass(frozen=True)
class LabelAugmentation(Pretext):
    """L = mean over the turns of CE(joint(turned image), (class, turn)) + KL(mean answer || plain head), with the plain
    head's own cross-entropy as the supervised task's (SLA+SD of the paper, its beta being that task's weight).

    The mean answer is the softmax of the mean over the turns j of the joint logits of (class, j) for the image that is
    turned by j (their aggregated inference), without a gradient. The network passes four images a row in place of one.

    Attributes:
        of: name of the supervised classification whose classes it joins; the only one if not given.
        classes: how many these are; `with_tasks` finds out.
        class_weights: of that task, used by the joint classifier as well; `with_tasks` takes them over.
    """

    name: str = "label_augmentation"
    of: str = ""
    classes: int = 0
    class_weights: tuple[float, ...] | None = None

    copies: ClassVar[int] = TURNS - 1

    def __post_init__(self):
        super().__post_init__()
        if self.view != "image" or self.share != 1:
            raise ValueError(
                f"{self.name}: view is {self.view!r} and share is {self.share}, but every row is seen in its {TURNS} "
                "turns; leave both out"
            )

    def with_tasks(self, supervised: Sequence[Supervised]) -> "LabelAugmentation":
        """The same, for the classes of one of these tasks.

        Raises:
            ValueError: none of them has classes, or several have and `of` says not which.
        """
        known = {task.name: task for task in supervised if type(task) is Classification}
        chosen = [self.of] if self.of else list(known)
        if len(chosen) != 1 or chosen[0] not in known:
            raise ValueError(
                f"{self.name}: of is {self.of!r}, allowed is the name of one supervised task with classes: "
                f"{', '.join(known) or 'there is none'}"
            )
        task = known[chosen[0]]
        return dataclasses.replace(self, of=task.name, classes=len(task.labels), class_weights=task.class_weights)

    def head(self) -> dict[str, Any]:
        """One logit a pair of class and turn.

        Raises:
            ValueError: the classes are not known yet.
        """
        if self.classes < 2:
            raise ValueError(
                f"{self.name}: it is not known which classes it joins. Type LabelAugmentation().with_tasks([task])"
            )
        return classifier_head([self.classes * TURNS], self.dropout, None)

    def copied(self, pixels: Tensor, targets: dict[str, Tensor], draws: Draws) -> tuple[Tensor, Tensor]:
        """(3 * batch, 3, side, side) pixels turned by 90, 180 and 270 degrees, and the (batch,) classes."""
        turned = [torch.rot90(pixels, quarters, (2, 3)) for quarters in range(1, TURNS)]
        return torch.cat(turned).contiguous(memory_format=torch.channels_last), targets[self.of]

    def compared(self, predictions: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(batch, turns * classes * turns + classes) joint logits of each turn and then plain ones, and the classes."""
        joint, plain = predictions[self.name], predictions[self.of]
        rows = joint.view(TURNS, len(plain), -1).transpose(0, 1).flatten(1)
        return torch.cat([rows, plain.to(rows.dtype)], 1), targets[self.name]

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch,) losses of what `compared` gives."""
        joint, plain = prediction.float().split([prediction.shape[1] - self.classes, self.classes], 1)
        joint = joint.view(len(joint), TURNS, self.classes * TURNS)
        known = (target != MISSING)[:, None]
        labels = torch.where(known, target[:, None] * TURNS + torch.arange(TURNS, device=target.device), MISSING)
        weights = self.class_weights and tuple(weight for weight in self.class_weights for _ in range(TURNS))
        taught = F.kl_div(plain.log_softmax(1), aggregated(joint).detach().softmax(1), reduction="none").sum(1)
        return cross_entropies(joint, labels, weights).mean(1) + taught * known[:, 0]

    def progress(self, prediction: Tensor, target: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Of the (turns * batch, classes * turns) logits: how often class and turn are right, and the mean answer."""
        joint = prediction.view(TURNS, len(target), -1).transpose(0, 1)
        turns = torch.arange(TURNS, device=target.device)
        pairs = torch.where(target[:, None] == MISSING, MISSING, target[:, None] * TURNS + turns)
        return {
            "accuracy": number_correct(joint, pairs),
            "mean_answer_accuracy": number_correct(aggregated(joint), target),
        }

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        joint = torch.from_numpy(predictions).view(TURNS, len(targets), -1).transpose(0, 1)
        return {"mean_answer_accuracy": share_correct(aggregated(joint).numpy(), targets)}


def aggregated(joint: Tensor) -> Tensor:
    """(batch, classes) means over the turns j of the logits of (class, j) for the image turned by j.

    Args:
        joint: (batch, turns, classes * turns), a class's turns beside each other.
    """
    pairs = joint.unflatten(2, (-1, TURNS))
    return pairs.diagonal(dim1=1, dim2=3).mean(2)


TASK = LabelAugmentation
