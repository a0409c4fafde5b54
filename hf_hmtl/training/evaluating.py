"""Evaluation and prediction: clean images, supervised heads only, scores of every task."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from transformers import Trainer
from transformers.trainer_utils import EvalPrediction

from hf_hmtl.data.columns import check_dataset
from hf_hmtl.data.mixture import below
from hf_hmtl.tasks import Supervised
from hf_hmtl.training.agreement import NOTHING_TO_SCORE
from hf_hmtl.training.collators import AdoptedCollator
from hf_hmtl.training.finite_steps import require_finite_answers

BIN_LOGITS = "bin logits"  # beside the predictions of the heads, none of which can have this name


class Evaluating(Trainer):
    """A Trainer that scores several tasks, on datasets of any kind.

    Attributes:
        supervised: the tasks to score.
        image_column: of the datasets.
        metrics_of_user: further scores, from predictions and labels of the first supervised task.
    """

    supervised: list[Supervised]
    image_column: str
    metrics_of_user: Callable[[EvalPrediction], dict] | None

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """As the Trainer's, but gathers nothing except the heads' predictions."""
        unused = ["logits", "log_variances", "hidden_states"]
        loss, outputs, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys=unused)
        if isinstance(outputs, tuple):  # some heads have bins
            outputs = {**outputs[0], BIN_LOGITS: dict(outputs[1])}
        return loss, outputs, labels

    def evaluate(self, eval_dataset=None, *arguments, **options) -> dict[str, float]:
        """As the Trainer's, on a dataset of any kind or a dictionary of such.

        Raises:
            ValueError: no task has labels.
        """
        self._require_supervised("evaluate()")
        several = isinstance(eval_dataset, Mapping)
        adopted = isinstance(self.data_collator, AdoptedCollator)
        if not (eval_dataset is None or isinstance(eval_dataset, str) or several or adopted):
            check_dataset(below(eval_dataset), self.supervised, "eval_dataset", self.image_column)
        return super().evaluate(eval_dataset, *arguments, **options)

    def predict(self, test_dataset, *arguments, **options):
        """As the Trainer's, on a dataset of any kind, with labels or without: `predictions` is {head: outputs}.

        Raises:
            ValueError: no task has labels.
        """
        self._require_supervised("predict()")
        if not isinstance(self.data_collator, AdoptedCollator):
            check_dataset(below(test_dataset), self.supervised, "test_dataset", self.image_column, unlabelled=True)
        output = super().predict(test_dataset, *arguments, **options)
        if BIN_LOGITS in output.predictions:
            del output.predictions[BIN_LOGITS]
        return output

    def _require_supervised(self, asked: str) -> None:
        if not self.supervised:
            raise ValueError(f"{asked}: {NOTHING_TO_SCORE}")

    def evaluation_loop(self, dataloader, *arguments, metric_key_prefix="eval", **options):
        """As the Trainer's, by the first process's batch-norm statistics, which are those that are saved; the loss of
        rows none of which has a label or a picture is NaN."""
        self._evaluated = dataloader.dataset
        if self.args.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, 0)
        output = super().evaluation_loop(dataloader, *arguments, metric_key_prefix=metric_key_prefix, **options)
        losses = [output.metrics.get(f"{metric_key_prefix}_{task.name}_loss", 0.0) for task in self.supervised]
        if losses and all(map(math.isnan, losses)):
            output.metrics[f"{metric_key_prefix}_loss"] = math.nan
        return output

    def score(self, evaluation: EvalPrediction) -> dict[str, float]:
        """Scores and loss of every supervised task: {"<task>_<measure>": value}, NaN without labels; and the user's.

        Raises:
            ValueError: predictions that are not finite; it names the rows.
        """
        metrics = {}
        for task in self.supervised:
            predictions, targets = evaluation.predictions[task.name], evaluation.label_ids[task.name]
            finite = np.isfinite(np.asarray(predictions)).reshape(len(predictions), -1).all(1)
            require_finite_answers(task.name, finite, self._evaluated)
            target = torch.from_numpy(np.asarray(targets))
            for measure, value in task.score(predictions, targets).items():
                metrics[f"{task.name}_{measure}"] = value
            learned_from = evaluation.predictions.get(BIN_LOGITS, {}).get(task.name, predictions)
            loss = task.loss_of(task.statistics(torch.from_numpy(np.asarray(learned_from)), target)).item()
            metrics[f"{task.name}_loss"] = loss if task.labelled(target).any() else math.nan
        return metrics if self.metrics_of_user is None else metrics | self.metrics_of_user(self._of_first(evaluation))

    def _of_first(self, evaluation: EvalPrediction) -> EvalPrediction:
        """What is known of the first supervised task, and what `include_for_metrics` asked for."""
        name = self.supervised[0].name
        return EvalPrediction(
            evaluation.predictions[name], evaluation.label_ids[name], evaluation.inputs, evaluation.losses
        )
