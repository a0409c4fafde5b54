"""The trainer of faces in time: rows are windows of frames, scores are of every frame, or of clips as a whole."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import TrainingArguments
from transformers.trainer_utils import EvalPrediction

from hf_hmtl.data.clips import FEATURES, Windows
from hf_hmtl.model.configuration_sequence_hmtl import CLIP
from hf_hmtl.model.modeling_sequence_hmtl import HMTLSequenceModel
from hf_hmtl.model.outputs_hmtl import HMTLOutput
from hf_hmtl.tasks import Supervised
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.training import optimization
from hf_hmtl.training.trainer import HMTLTrainer

OF_CLIPS = ("ccc", "mse")
"""Measures of numbers that are also taken of each clip by itself and averaged over clips."""


class ClipTrainer(HMTLTrainer):
    """An `HMTLTrainer` of an `HMTLSequenceModel`, whose datasets are `Windows`.

    A loss is of all frames of a step together, as a concordance has to be, and scores are of all frames of a split:
    windows that are evaluated do not overlap, so that every frame has one answer. Of numbers, the concordance and the
    squared error are also taken of each clip by itself: `<task>_<measure>_of_clips` is their mean over the clips.

    Args:
        model: its answers fit the task: frames or clips, classes or numbers.
        args: as the HMTLTrainer's.
        task: the one that is learned, a `Classification` or a `Regression` without bins.
        options: as the HMTLTrainer's; `train_collator` and `eval_collator` are those of `data.clip_collators`.

    Raises:
        ValueError: model and task do not fit; or as the HMTLTrainer.
    """

    def __init__(self, model: HMTLSequenceModel, args: TrainingArguments | None, task: Supervised, **options):
        check_task(task)
        super().__init__(model, args, [task], **options)

    def _fitted(self, model: HMTLSequenceModel) -> HMTLSequenceModel:
        check_answers(model, self.supervised[0])
        self._handle_images(model.config.image_size)
        self._decayed = optimization.decayed_parameters(model)
        return model.to(memory_format=torch.channels_last) if self.args.channels_last else model

    def _build_accelerator_args(self, **kwargs):
        """As the Trainer's; every parameter that is not frozen learns in each step."""
        built = super(HMTLTrainer, self)._build_accelerator_args(**kwargs)
        if self.args.ddp_find_unused_parameters is None:
            built["kwargs_handlers"][0].find_unused_parameters = False
        return built

    def answers(self, model, inputs: dict) -> HMTLOutput:
        """{task: (clips * time, outputs)}, or of clips with one answer (clips, outputs)."""
        name, seen = self.supervised[0].name, FEATURES if FEATURES in inputs else "pixel_values"
        logits = model(**{seen: inputs[seen]}, attention_mask=inputs["attention_mask"]).logits
        return HMTLOutput(predictions={name: logits.flatten(0, -2)})

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """As the HMTLTrainer's; a clip is a row, with time behind it, so that processes lay clips together."""
        loss, outputs, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        clips = len(inputs["attention_mask"])

        def by_clip(found):
            return found and {name: each.unflatten(0, (clips, -1)) for name, each in found.items()}

        return loss, by_clip(outputs), by_clip(labels)

    def score(self, evaluation: EvalPrediction) -> dict[str, float]:
        """The scores of all frames, and of numbers the means over clips; of clips with one answer those of clips."""
        (task,), windows = self.supervised, self._evaluated.dataset
        answers = self.in_order(windows, evaluation.predictions[task.name])
        labels = self.in_order(windows, evaluation.label_ids[task.name])
        flat = EvalPrediction({task.name: answers}, {task.name: labels})
        scores = super().score(flat)
        if isinstance(task, Regression):
            scores |= squared_errors(task, answers, labels)
            scores |= {} if self.whole else self._of_each_clip(task, windows, answers, labels)
        return scores

    def in_order(self, windows: Windows, found: np.ndarray) -> np.ndarray:
        """(frames, ...) in the order of the rows, of (windows, time, ...); or (clips, ...) where a clip has one."""
        return found[:, 0] if self.whole else windows.by_frame(found)

    @property
    def whole(self) -> bool:
        """Whether a clip has one answer."""
        return self.model.config.answers == CLIP

    def _of_each_clip(self, task: Regression, windows: Windows, answers, labels) -> dict[str, float]:
        """Concordance and squared error of each clip that has labels, as means over these clips."""
        rows_of: dict[str, list[np.ndarray]] = {}
        for clip, rows in zip(windows.clips, windows.windows, strict=True):
            rows_of.setdefault(clip, []).append(rows)
        found: dict[str, list[float]] = {}
        for rows in map(np.concatenate, rows_of.values()):
            if (known := ~np.isnan(labels[rows]).reshape(len(rows), -1).any(1)).any():
                of_clip = task.score(answers[rows][known], labels[rows][known])
                of_clip["mse"] = squared_errors(task, answers[rows], labels[rows])[f"{task.name}_mse"]
                for name in OF_CLIPS:
                    found.setdefault(name, []).append(of_clip[name])
        return {f"{task.name}_{name}_of_clips": float(np.mean(values)) for name, values in found.items()}

    def predict(self, test_dataset: Windows, *arguments, **options):
        """As the HMTLTrainer's: {task: (frames, outputs)} in the order of the rows, or (clips, outputs)."""
        output = super().predict(test_dataset, *arguments, **options)
        predictions = {name: self.in_order(test_dataset, each) for name, each in output.predictions.items()}
        return output._replace(predictions=predictions)


def squared_errors(task: Regression, answers: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """{"<task>_mse": mean squared error of some frames}; of several columns each one's, and their mean."""
    each = {
        column: float(np.nanmean(errors)) if not np.isnan(errors).all() else np.nan
        for column, errors in zip(task.columns, np.square(answers - labels.reshape(answers.shape)).T, strict=True)
    }
    of_columns = {f"{task.name}_mse_{column}": value for column, value in each.items()} if len(each) > 1 else {}
    return {f"{task.name}_mse": float(np.mean(list(each.values()))), **of_columns}


def check_task(task: Supervised) -> None:
    """Raise when a task is none that is learned in time.

    Raises:
        ValueError: it says which are.
    """
    plain = isinstance(task, Classification) or (isinstance(task, Regression) and not task.bins and not task.tanh)
    if type(task) not in (Classification, Regression) or not plain:
        raise ValueError(
            f"faces in time learn classes or plain numbers, and {task.name!r} is {type(task).__name__} with its own "
            "kind of answers. Write task: classification, or task: regression without bins and tanh"
        )


def check_answers(model: HMTLSequenceModel, task: Supervised) -> None:
    """Raise when the model does not answer what the task asks.

    Raises:
        ValueError: it shows both.
    """
    numbers = isinstance(task, Regression)
    wanted: Sequence[str] = task.columns if numbers else task.labels  # type: ignore[attr-defined]
    names = [model.config.id2label[number] for number in range(model.config.num_labels)]
    if names != list(wanted) or (model.config.problem_type == "regression") != numbers:
        raise ValueError(
            f"the model answers {model.config.problem_type} of {', '.join(names)}, and the task {task.name!r} learns "
            f"{', '.join(wanted)}. Make the model for it: id2label=dict(enumerate({list(wanted)}))"
            + ", problem_type='regression'"
            * numbers
        )
