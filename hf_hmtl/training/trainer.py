"""The one trainer: a `transformers.Trainer` that sums the losses of several tasks.

Batches come from `EpochRowSampler` and `TrainingCollator`; everything else (devices, processes, precision, checkpoints,
logging) is the Trainer's and accelerate's.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import EarlyStoppingCallback, TrainingArguments
from transformers.trainer_utils import EvalPrediction, TrainOutput

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.model.outputs_hmtl import HMTLOutput
from hf_hmtl.tasks import Pretext, Supervised, Task
from hf_hmtl.tasks.base import Sums
from hf_hmtl.training import agreement, optimization, weighting
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.batch_norm import synchronised
from hf_hmtl.training.calibration import calibrated_weight, first_losses, tasks_to_calibrate
from hf_hmtl.training.callbacks import BeginEpoch, BeginTraining
from hf_hmtl.training.checkpoint import HybridState, is_over, resume_point, trainer_state, written_whole
from hf_hmtl.training.collators import AdoptedCollator, ImageHandling, check_train_collator
from hf_hmtl.training.ending import EndsWhenTold
from hf_hmtl.training.evaluating import Evaluating
from hf_hmtl.training.final import save_final
from hf_hmtl.training.finite_steps import FiniteSteps
from hf_hmtl.training.image_size import image_size_named
from hf_hmtl.training.loading import Loading, checked_datasets
from hf_hmtl.training.log_sums import LogSums
from hf_hmtl.training.optimizing import Optimizing
from hf_hmtl.training.publishing import Publishing
from hf_hmtl.training.schedules import check_schedules, relative_weights, shares
from hf_hmtl.training.smallest_batch import check_smallest_batch
from hf_hmtl.training.step import Step, counts_of, over_processes, sums_of
from hf_hmtl.training.weighting import PastLosses

logger = logging.getLogger(__name__)


class HMTLTrainer(Loading, Optimizing, Evaluating, Publishing, EndsWhenTold):
    """Trains supervised and pretext tasks together: L = sum_t weight_t * L_t (Eq. 1, 2 and 5).

    A model whose config has `loss_weighting: uncertainty` learns further factors, and `dynamic_weights` finds such from
    epoch to epoch (see `weighting`).

    Each L_t is a function of sums over the rows of the whole accumulated, all-process batch, a mean over the labelled
    ones for instance, so that accumulation and distribution change nothing (see `Step`). Evaluation sees clean images
    and the supervised heads only, and reports `eval_<task>_<measure>` and `eval_<task>_loss`, both of the whole split;
    `eval_loss` is a mean over its batches. `predict` gives {head: outputs}.

    Args:
        model: an `HMTLForImageClassification` whose heads fit the tasks, or such a model with adapters of peft.
        args: `HMTLTrainingArguments`, or plain `TrainingArguments`.
        tasks: supervised and pretext tasks; pretexts of weight 0 corrupt images and are not learned.
        augmentation: of the training images: "none" (flips only), "weak" or "strong" (appendix A), a dictionary of a
            level and magnitudes that replace its own, or an `Augmentation`.
        train_collator, eval_collator: in place of those made of the tasks; they are called with {column: list}.
        data_collator: a collator in the manner of transformers, for both; it is called with the rows as the dataset
            gives them, and makes `pixel_values` and `labels` (see `AdoptedCollator`).
        train_dataset, eval_dataset: `datasets.Dataset` with a column of images and one for each supervised task, or any
            torch dataset of dictionaries; `eval_dataset` also a dictionary of such.
        teacher: network whose pooled features perceptual losses compare (Eq. 3). It is frozen, stays in eval mode, and
            is never saved.
        dynamic_weights: whether factors are chosen by dynamic weight averaging.
        compute_metrics: further scores, from the predictions and labels of the first supervised task.
        processing_class: the image processor that is saved with the model; made where it is not given.
        model_init, callbacks, optimizers, ...: as the Trainer's.

    Attributes:
        weights: {task: factor of its loss}, calibrated ones included from the first step on; the largest, of one that
            moves over the training.
        calibrated: {task: weight} of those that were measured.
        factors: {task: further factor of this epoch}; all 1 without `dynamic_weights`.
        seconds: of the training, evaluations during it and, of a resumed run, earlier parts included.
        broken_rows: {"train" or "eval": numbers of the rows whose image was broken}, of this process.
        finite_steps: judges every step; its `left_out` are the numbers of those that were left out.

    Raises:
        ValueError: model, tasks, collators, datasets or arguments do not fit; it says what to type.
    """

    loss_is_scaled_for_ga = True  # it is the batch's share of the loss of the whole step

    def __init__(
        self,
        model=None,
        args: TrainingArguments | None = None,
        tasks: Sequence[Task] = (),
        *,
        augmentation: Augmentation | dict | str | None = None,
        train_collator: Callable | None = None,
        eval_collator: Callable | None = None,
        data_collator: Callable | None = None,
        train_dataset=None,
        eval_dataset=None,
        teacher: torch.nn.Module | None = None,
        dynamic_weights: bool = False,
        compute_metrics: Callable[[EvalPrediction], dict] | None = None,
        processing_class=None,
        **options,
    ):
        args = HMTLTrainingArguments.of(args)
        agreement.check_options(options, augmentation, train_collator, eval_collator, data_collator)
        agreement.check_tasks(tasks)
        check_schedules(args, tasks, dynamic_weights)
        agreement.check_evaluations(args, tasks, eval_dataset, compute_metrics)
        self.all_tasks, self.tasks = list(tasks), [task for task in tasks if task.is_learned]
        self.supervised = [task for task in tasks if isinstance(task, Supervised)]
        self.metrics_of_user = compute_metrics
        self.args = args  # the Trainer sets it too, but later
        if data_collator is not None:
            train_collator = eval_collator = AdoptedCollator(data_collator, self.supervised)
        self.image_column = checked_datasets(train_dataset, eval_dataset, self.supervised, train_collator)
        self._given = ImageHandling(
            self.all_tasks,
            Augmentation.of(augmentation or "none"),
            self.image_column,
            args.sampling_seed,
            processing_class,
            train_collator,
            eval_collator,
        )
        super().__init__(
            model if model is None else self._fitted(model),
            args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            compute_metrics=self.score if self.supervised else None,
            **options,
        )
        self._handle_images(self.model.config.image_size)  # again, because the Trainer has put its defaults there
        self.callback_handler.processing_class = self.processing_class
        self.weights = {task.name: task.largest_weight for task in self.tasks}
        self.calibrated: dict[str, float] = {}
        self.dynamic_weights = dynamic_weights
        self._remember(PastLosses())
        self.current_gradient_accumulation_steps = args.gradient_accumulation_steps
        self.teacher = self._ready_teacher(teacher)
        self.add_callback(BeginEpoch(self))
        self.add_callback(BeginTraining(self))
        self.finite_steps = FiniteSteps(self, leaves_out=args.on_nonfinite == "skip")
        self.add_callback(self.finite_steps)
        if args.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(args.early_stopping_patience))
        if args.log_level != "passive":
            logging.getLogger("hf_hmtl").setLevel(args.get_process_log_level())
        self.broken_rows: dict[str, set[int]] = {"train": set(), "eval": set()}
        self._log_variances: dict[str, torch.Tensor] | None = None
        self._sums = LogSums(since=0)
        check_train_collator(self.train_collator, self.all_tasks, train_dataset)
        agreement.check_collator(self.eval_collator, self.all_tasks, "eval_collator")

    def _fitted(self, model):
        """The model, found to fit the tasks, and laid out as the arguments say."""
        agreement.check_model(model, self.tasks, self.args)
        self._handle_images(model.config.image_size)
        return self._laid_out(model)

    def _laid_out(self, model):
        """The model with the layers and in the memory that the arguments ask for."""
        model = synchronised(model) if self.args.sync_batchnorm else model
        self._decayed = optimization.decayed_parameters(model)
        return model.to(memory_format=torch.channels_last) if self.args.channels_last else model

    def _handle_images(self, image_size: int) -> None:
        self.processing_class, self.train_collator, self.eval_collator = self._given.made_for(image_size)
        self.data_collator = self.eval_collator

    def call_model_init(self, trial=None):
        """As the Trainer's; a model that is made later fits the tasks as one that is given does."""
        return self._fitted(super().call_model_init(trial))

    def _build_accelerator_args(self, **kwargs):
        """As the Trainer's, which lets DistributedDataParallel search each step for parameters without a gradient."""
        built, model = super()._build_accelerator_args(**kwargs), self.model
        adopted = isinstance(self._given.training, AdoptedCollator)
        if self.args.ddp_find_unused_parameters is None and model is not None and not adopted:
            unused = not agreement.every_parameter_learns(model.config.heads, self.tasks)
            built["kwargs_handlers"][0].find_unused_parameters = unused
        return built

    def _ready_teacher(self, teacher: torch.nn.Module | None) -> torch.nn.Module | None:
        pupils = [task.name for task in self.tasks if isinstance(task, Pretext) and task.needs_teacher]
        if not pupils:
            return None
        if teacher is None:
            raise ValueError(
                f"{', '.join(pupils)}: a perceptual loss compares what an offline teacher sees, and none was given. "
                "Train the supervised row at the same augmentation level on the same rows, and pass its folder: "
                "--teacher FOLDER"
            )
        layout = torch.channels_last if self.args.channels_last else torch.preserve_format
        return teacher.to(self.args.device, memory_format=layout).requires_grad_(False).eval()

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Step:
        """What is known of a step before its first backward pass. A pass without gradient over its batches finds the
        sums that losses need at once (RMSE, CCC, Barlow Twins), where it has more than one."""
        present = [task for task in self.tasks if all(task.name in batch["targets"] for batch in batch_samples)]
        counts = over_processes(counts_of(present, batch_samples, device), self.accelerator)
        sums: dict[str, Sums] = {}
        together = [task for task in present if not task.additive]
        if together and len(batch_samples) > 1:
            sums = over_processes(sums_of(self, together, batch_samples), self.accelerator)
        return Step(counts, sums, len(batch_samples), self.accelerator)

    # Loss

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Weighted sum of the tasks' losses; one call of the model a step."""
        split = "train" if model.training else "eval"
        self.broken_rows[split].update(inputs["broken_rows"].tolist())
        outputs = self.answers(model, inputs)
        if model.training and outputs.log_variances is not None:
            self._log_variances = {name: value.detach() for name, value in outputs.log_variances.items()}
        step = num_items_in_batch
        losses = self.task_losses(outputs.learned_from, inputs["targets"], step, log=model.training)
        if outputs.log_variances is None:
            total = weighting.static(losses, self._chosen_weights())
        else:
            # s_t / 2 counts once a step, and not for a task that has no label in the whole accumulated batch.
            share = 1 / self.current_gradient_accumulation_steps
            present = {task: share * step.has_labels(task) for task in losses}
            total = weighting.uncertainty(losses, self._chosen_weights(), outputs.log_variances, present)
        if model.training:
            self._sums.add("loss", total.detach() / self.args.world_size)
            self.finite_steps.look(losses, outputs.learned_from, total, inputs.get("rows"))
        return (total, outputs) if return_outputs else total

    def answers(self, model, inputs: dict) -> HMTLOutput:
        """What the model says of a batch, once."""
        return model(pixel_values=inputs["pixel_values"], views=inputs["views"])

    def training_step(self, *arguments, **options) -> torch.Tensor:
        """As the Trainer's; the loss of a step that is left out is 0 in its own sum, which only `train_loss` shows."""
        return torch.nan_to_num(super().training_step(*arguments, **options), nan=0.0, posinf=0.0, neginf=0.0)

    def task_losses(self, predictions, targets, step: Step, log: bool = False) -> dict[str, torch.Tensor]:
        """{task: this batch's share of its loss in the step}."""
        losses = {}
        for task in self.tasks:
            if task.name not in step.counts:
                continue
            prediction, target = predictions[task.name], targets[task.name]
            seen = task.compared(predictions, targets) if isinstance(task, Pretext) else (prediction, target)
            if isinstance(task, Pretext) and task.needs_teacher:
                seen = self._seen_by_teacher(*seen)
            losses[task.name] = loss = step.share(task, task.statistics(*seen))
            if log:
                share = loss.detach() / self.args.world_size
                if self.dynamic_weights:
                    self._losses_of_epoch[task.name] = self._losses_of_epoch[task.name] + share
                self._add_to_log(task, share, prediction.detach(), target)
        return losses

    def _seen_by_teacher(self, painted: torch.Tensor, original: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The teacher's pooled features of painted images, with their gradient, and of the originals."""
        assert self.teacher is not None  # `_ready_teacher` has seen to it
        backbone = self.teacher.base_model
        with torch.no_grad():
            wanted = backbone(original).pooler_output
        return backbone(painted).pooler_output, wanted

    def calibrate(self) -> None:
        """Scale the weights of the tasks that ask for it and were not measured yet: on the first batches, weight * loss
        is then their own weight times the weighted sum of the supervised losses. The network and the global random
        numbers stay as they are."""
        asking = tasks_to_calibrate(self.tasks, self.calibrated)
        sums = first_losses(self) if asking else {}
        for task in asking:
            self._use_calibrated({task.name: calibrated_weight(task, self.tasks, sums)})
            logger.info("calibrated weight of %s: %g", task.name, self.weights[task.name])

    def take_weights(self, earlier: HybridState) -> None:
        """Go on with the loss weights of an earlier part of this run: calibrated and dynamic ones."""
        self._use_calibrated(earlier.calibrated_weights)
        self._remember(earlier.past_losses)

    def _use_calibrated(self, weights: dict[str, float]) -> None:
        self.calibrated |= weights
        self.weights |= weights

    def over_processes(self, sums: dict[str, torch.Tensor | float]) -> dict[str, float]:
        """Sums over all processes, which must have the same names in the same order."""
        totals = torch.stack([torch.as_tensor(value, device=self.args.device).float() for value in sums.values()])
        if self.args.world_size > 1:
            totals = self.accelerator.reduce(totals, "sum")
        return dict(zip(sums, totals.tolist(), strict=True))

    # Dynamic weights

    def begin_epoch(self, epoch: int) -> None:
        """Before the first batch of an epoch, or the next one of an epoch that is resumed."""
        self.sampler.set_epoch(epoch)
        if self.dynamic_weights and epoch > self._past.epoch:
            losses = self.over_processes(self._losses_of_epoch)
            self._remember(self._past.followed_by(epoch, losses))

    def _remember(self, past: PastLosses) -> None:
        names = [task.name for task in self.tasks]
        here = past.current if self.args.process_index == 0 else {}  # it was summed over the processes
        self._past, self._losses_of_epoch = past, {name: here.get(name, 0.0) for name in names}
        self.factors = weighting.dynamic(past, names) if self.dynamic_weights else dict.fromkeys(names, 1.0)

    def _chosen_weights(self) -> dict[str, float]:
        moved = relative_weights(self.tasks, self.progress)
        return {name: weight * self.factors[name] * moved.get(name, 1) for name, weight in self.weights.items()}

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0..1, in optimiser steps."""
        return self.state.global_step / max(self.state.max_steps, 1)

    def train(self, resume_from_checkpoint: str | Path | bool | None = None, **kwargs) -> TrainOutput:
        """As the Trainer's; a resumed run keeps its calibrated weights and its seconds, and one that was cut off after
        its last checkpoint makes no further step.

        Args:
            resume_from_checkpoint: a folder `checkpoint-N`, or True for the last one of `output_dir`.

        Raises:
            ValueError: there is no such checkpoint, or it cannot be resumed.
        """
        checkpoint = resume_point(resume_from_checkpoint, self.args)
        earlier = HybridState() if checkpoint is None else HybridState.read(checkpoint)
        self.take_weights(earlier)
        self.broken_rows["train"].update(earlier.broken_rows)
        self.finite_steps.left_out = list(earlier.left_out_steps)
        self._take_sums(earlier, 0 if checkpoint is None else trainer_state(checkpoint).global_step)
        if checkpoint is not None:
            # It would be a second evaluation at that step, in the log and in the count of early stopping.
            self.args.eval_on_start = False
            if is_over(trainer_state(checkpoint), self._planned_steps(), self.args.early_stopping_patience):
                return self._take_ended(checkpoint, earlier)
        elif self._planned_steps() == 0:
            self.seconds = 0.0
            return TrainOutput(0, math.nan, {})
        check_smallest_batch(self)
        self._began = time.perf_counter() - earlier.seconds
        with image_size_named(self.accelerator.unwrap_model(self.model).config):
            output = super().train(None if checkpoint is None else str(checkpoint), **kwargs)
        self.seconds = self._seconds_so_far()
        if self.args.push_to_hub:
            self.push_to_hub()
        return output

    def _planned_steps(self) -> int:
        if self.args.max_steps > 0:
            return self.args.max_steps
        return math.ceil(self.args.num_train_epochs * self._updates_of_an_epoch())

    def _take_ended(self, checkpoint: Path, earlier: HybridState) -> TrainOutput:
        self.state, self.seconds = trainer_state(checkpoint), earlier.seconds
        best = self.state.best_model_checkpoint if self.args.load_best_model_at_end else None
        # By its name, because the folder of the run may have been moved.
        self._load_from_checkpoint(str(checkpoint.parent / Path(best).name if best else checkpoint))
        losses = [entry["loss"] for entry in self.state.log_history if "loss" in entry]
        return TrainOutput(self.state.global_step, losses[-1] if losses else math.nan, {})

    def _seconds_so_far(self) -> float:
        return time.perf_counter() - self._began

    def _save_checkpoint(self, model, trial) -> None:
        """As the Trainer's, with our own state; never of a step that is not sound."""
        self.finite_steps.settle()
        past = self._past
        if self.dynamic_weights:
            past = dataclasses.replace(past, current=self.over_processes(self._losses_of_epoch))
        sums = self._sums.over_processes(self.over_processes)
        broken = sorted(self.broken_over_processes("train"))
        folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
        with written_whole(folder, self.is_world_process_zero()):
            if self.is_world_process_zero():
                rest = broken, self.finite_steps.left_out, self.args.world_size
                HybridState(self._seconds_so_far(), self.calibrated, past, sums, self._sums.since, *rest).write(folder)
            super()._save_checkpoint(model, trial)

    # Logging

    def gathered(self) -> tuple[LogSums, dict]:
        """What was gathered of the steps so far."""
        return self._sums.copy(), dict(self._losses_of_epoch)

    def forget_step(self, gathered: tuple[LogSums, dict]) -> None:
        """Go back to what was gathered before a step, which then counts in no mean."""
        self._sums, self._losses_of_epoch = gathered
        self._sums.since += 1

    def _take_sums(self, earlier: HybridState, step: int) -> None:
        """Go on with what an earlier part of this run had gathered, so that a resumed log is the uninterrupted one."""
        here = earlier.sums if self.args.process_index == 0 else {}  # it was summed over the processes
        self._sums = LogSums(step if earlier.sums_since is None else earlier.sums_since, here)

    def _add_to_log(self, task: Task, loss, prediction, target) -> None:
        self._sums.add(f"loss_{task.name}", loss)
        for measure, (total, count) in task.progress(prediction, target).items():
            self._sums.add(f"{task.name}_{measure}", total, count)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds `loss_<task>` (mean over the steps) and `<task>_<measure>` (over the rows) since the last log.

        `loss` is the weighted sum, a mean over the same steps; the Trainer's own forgets the steps before a resume.
        """
        if "loss" in logs:
            logs |= self._sums.means(self.state.global_step, self.over_processes) | self._moving_weights()
            self._sums = LogSums(self.state.global_step)
        super().log(logs, start_time)

    def _moving_weights(self) -> dict[str, float]:
        """`weight_<task>` where weights are calibrated, learned, dynamic or scheduled, and `share_<task>` where it is
        scheduled, as they are now; a recipe's constants are not logged."""
        logged = {f"share_{task}": share for task, share in shares(self.all_tasks, self.progress).items()}
        scheduled = relative_weights(self.tasks, self.progress)
        if self.calibrated or self.dynamic_weights or self._log_variances or scheduled:
            weights = self.effective_weights(self._log_variances)
            logged |= {f"weight_{task}": weight for task, weight in weights.items()}
        return logged

    def effective_weights(self, log_variances: dict[str, torch.Tensor] | None) -> dict[str, float]:
        """{task: what its loss is multiplied by}, dynamic factors and the learned ones of a forward pass included."""
        weights = weighting.effective(self._chosen_weights(), log_variances)
        return {task: float(weight) for task, weight in weights.items()}

    # The finished model

    def save_final(self, folder: str | Path) -> None:
        """Write what is shipped: the model without its training heads, and its image processor."""
        if self.args.should_save:
            save_final(self.accelerator.unwrap_model(self.model), self.processing_class, folder)
