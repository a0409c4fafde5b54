"""The trainer of faces in time: rows are windows of frames, scores are of every frame, or of clips as a whole."""

from collections.abc import Sequence

import numpy as np
from transformers import TrainingArguments
from transformers.trainer_utils import EvalPrediction

from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.clips import FEATURES, Windows
from hf_hmtl.data.identity import CLIP as CLIP_COLUMN
from hf_hmtl.model.configuration_sequence_hmtl import CLIP
from hf_hmtl.model.modeling_sequence_hmtl import HMTLSequenceModel
from hf_hmtl.model.outputs_hmtl import HMTLOutput
from hf_hmtl.tasks import Pretext, Supervised
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.training import agreement
from hf_hmtl.training.trainer import HMTLTrainer


class ClipTrainer(HMTLTrainer):
    """An `HMTLTrainer` of an `HMTLSequenceModel`, whose datasets are `Windows`.

    A loss is of all frames of a step together, as a concordance has to be, and scores are of all frames of a split:
    windows that are evaluated do not overlap, so that every frame has one answer. Of numbers, the concordance and the
    squared error are also taken of each clip by itself: `<task>_<measure>_of_clips` is their mean over the clips.

    Args:
        model: its answers fit the task: frames or clips, classes or numbers.
        args: as the HMTLTrainer's.
        task: the supervised one, a `Classification` or a `Regression` without bins.
        pretexts: self-supervised ones beside it, of every frame; the model has a head for each (`auxiliary`).
        options: as the HMTLTrainer's; `train_collator` and `eval_collator` are those of `data.clip_collators`.

    Raises:
        ValueError: model and task do not fit; or as the HMTLTrainer.
    """

    def __init__(
        self,
        model: HMTLSequenceModel,
        args: TrainingArguments | None,
        task: Supervised,
        pretexts: Sequence[Pretext] = (),
        **options,
    ):
        check_task(task)
        super().__init__(model, args, [task, *pretexts], **options)

    def _fitted(self, model: HMTLSequenceModel) -> HMTLSequenceModel:
        check_answers(model, self.supervised[0])
        agreement.check_heads(model.config.auxiliary, [task for task in self.tasks if task.auxiliary])
        agreement.check_checkpointing(model, model.config.frame_config.backbone, self.args)
        self._handle_images(model.config.image_size)
        return self._laid_out(model)

    def _build_accelerator_args(self, **kwargs):
        """As the Trainer's; every parameter that is not frozen learns in each step."""
        built = super(HMTLTrainer, self)._build_accelerator_args(**kwargs)
        if self.args.ddp_find_unused_parameters is None:
            built["kwargs_handlers"][0].find_unused_parameters = False
        return built

    def answers(self, model, inputs: dict) -> HMTLOutput:
        """{task: (clips * time, outputs)}, or of clips with one answer (clips, outputs); of pretexts, where there is
        something to learn of them, (frames that are no padding, ...)."""
        name, seen = self.supervised[0].name, FEATURES if FEATURES in inputs else "pixel_values"
        learns = any(task.name in inputs["targets"] for task in self.tasks if task.auxiliary)
        found = model(**{seen: inputs[seen]}, attention_mask=inputs["attention_mask"], with_auxiliary=learns)
        return HMTLOutput(predictions={name: found.logits.flatten(0, -2), **(found.auxiliary or {})})

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
        if isinstance(task, Regression) and not self.whole:
            clips = column_array(windows.dataset, CLIP_COLUMN).to_pylist()
            in_time = scores_in_time(task, clips, answers, labels)
            scores |= {f"{task.name}_{name}": value for name, value in in_time.items()}
        return scores

    def in_order(self, windows: Windows, found: np.ndarray) -> np.ndarray:
        """(frames, ...) in the order of the rows, of (windows, time, ...); or (clips, ...) where a clip has one."""
        return found[:, 0] if self.whole else windows.by_frame(found)

    @property
    def whole(self) -> bool:
        """Whether a clip has one answer."""
        return self.model.config.answers == CLIP

    def predict(self, test_dataset: Windows, *arguments, **options):
        """As the HMTLTrainer's: {task: (frames, outputs)} in the order of the rows, or (clips, outputs)."""
        output = super().predict(test_dataset, *arguments, **options)
        predictions = {name: self.in_order(test_dataset, each) for name, each in output.predictions.items()}
        return output._replace(predictions=predictions)


def scores_in_time(task: Regression, clips: Sequence[str], answers: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What else is told of frames: squared errors over all of them, and scores of each clip by itself.

    Args:
        task: whose numbers they are.
        clips: of each frame.
        answers, labels: (frames, columns), NaN where there is no label.

    Returns:
        mse: mean squared error over all frames, of several columns their mean, and mse_<column>; ccc_of_clips and
        mse_of_clips: means over the clips that have labels.
    """
    labels = labels.reshape(answers.shape)
    errors = np.square(answers - labels)
    of_columns = [float(np.nanmean(column)) if not np.isnan(column).all() else np.nan for column in errors.T]
    found = {"mse": float(np.mean(of_columns))}
    if len(task.columns) > 1:
        found |= {f"mse_{name}": error for name, error in zip(task.columns, of_columns, strict=True)}
    rows_of: dict[str, list[int]] = {}
    for row in np.flatnonzero(~np.isnan(labels).any(1)).tolist():
        rows_of.setdefault(clips[row], []).append(row)
    if rows_of:
        each = [(task.score(answers[rows], labels[rows])["ccc"], errors[rows].mean()) for rows in rows_of.values()]
        found |= dict(zip(("ccc_of_clips", "mse_of_clips"), np.mean(each, axis=0).tolist(), strict=True))
    return found


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
