"""The steps of a trainer's optimizer: which one, what it decays, on which schedule, and what is counted of each."""

import math
from collections.abc import Collection

from transformers import Trainer

from hf_hmtl.data.sampler import EpochRowSampler
from hf_hmtl.training import optimization
from hf_hmtl.training.finite_steps import FiniteSteps


class Optimizing(Trainer):
    """A Trainer with the paper's optimizer and schedule, whose bookkeeping costs a step next to nothing."""

    finite_steps: FiniteSteps
    _decayed: Collection[str]
    _operations_of_a_value: int | None = None

    def new_sampler(self) -> EpochRowSampler:
        """The order of the training rows, for this process."""
        raise NotImplementedError

    def create_optimizer(self, model=None):
        """As the Trainer's, with AdaBelief among the optimizers."""
        if self.args.optim == "adabelief" and self.optimizer_cls_and_kwargs is None:
            self.optimizer_cls_and_kwargs = optimization.adabelief(self.args.learning_rate)
        return super().create_optimizer(model) if model is not None else super().create_optimizer()

    def get_decay_parameter_names(self, model) -> list[str]:
        """Weight decay is for matrices and filters, whatever the model is wrapped in."""
        return optimization.among(self._decayed, model)

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        """As the Trainer's, or the paper's step decay: the learning rate is divided by 10 at each milestone epoch."""
        if self.args.milestones and self.lr_scheduler is None:  # type: ignore[has-type]
            self.lr_scheduler = optimization.step_decay(
                optimizer or self.optimizer, self.args.milestones, self._updates_of_an_epoch()
            )
            self._created_lr_scheduler = True
            return self.lr_scheduler
        return super().create_scheduler(num_training_steps, optimizer)

    def _updates_of_an_epoch(self) -> int:
        return math.ceil(len(self.new_sampler()) / self.args.gradient_accumulation_steps)

    def _get_grad_norm(self, model, grad_norm=None):
        """As the Trainer's; what it knows also says whether the gradients are finite."""
        self.finite_steps.norm = norm = super()._get_grad_norm(model, grad_norm)
        return norm

    def floating_point_ops(self, inputs) -> int:
        """As the Trainer's, which would count the parameters anew in each step."""
        values = inputs["pixel_values"].numel() if "pixel_values" in inputs else 0
        if self._operations_of_a_value is None and values:
            self._operations_of_a_value = super().floating_point_ops(inputs) // values
        return values * (self._operations_of_a_value or 0)
