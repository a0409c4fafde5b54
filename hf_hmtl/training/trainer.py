"""The one trainer: a `transformers.Trainer` that sums the losses of several tasks.

Batches come from `EpochRowSampler` and `TrainingCollator`; everything else (devices, processes, precision, checkpoints,
logging) is the Trainer's and accelerate's.
"""

import dataclasses
import itertools
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object
from timm.optim import AdaBelief
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback
from transformers.trainer_utils import EvalPrediction

from hf_hmtl.data.collator import EvaluationCollator, TrainingCollator
from hf_hmtl.data.sampler import EpochRowSampler, RowReader
from hf_hmtl.tasks import Pretext, Task
from hf_hmtl.training import weighting
from hf_hmtl.training.arguments import HMTLTrainingArguments
from hf_hmtl.training.checkpoint import HybridState, ended_training, trainer_state
from hf_hmtl.training.log_sums import LogSums
from hf_hmtl.training.weighting import PastLosses

logger = logging.getLogger(__name__)

ADABELIEF = {"eps": 1e-14, "betas": (0.9, 0.999), "rectify": True, "degenerated_to_sgd": True}
"""Defaults of the optimizer package that the authors used (adabelief-tf 0.2.1); timm's own eps is 1e-16."""

CALIBRATION_BATCHES = 4


class _BeginEpoch(TrainerCallback):
    """Tells the sampler its epoch; the Trainer's own call does not reach it behind accelerate's batch skipping."""

    def __init__(self, trainer: "HMTLTrainer"):
        self.trainer = trainer

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.trainer.begin_epoch(int(state.epoch or 0))


class _Calibrate(TrainerCallback):
    """Measures the weights that are to be calibrated, before the first step of a new run."""

    def __init__(self, trainer: "HMTLTrainer"):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        if state.global_step == 0:
            self.trainer.calibrate()


class HMTLTrainer(Trainer):
    """Trains supervised and pretext tasks together: L = sum_t weight_t * L_t (Eq. 1, 2 and 5).

    A model whose config has `loss_weighting: uncertainty` learns further factors, and `dynamic_weights` finds such from
    epoch to epoch (see `weighting`).

    Each L_t is the sum of the task's row losses divided by the number of its labelled rows in the whole accumulated,
    all-process batch, so that accumulation and distribution change nothing. Evaluation sees clean images and the
    supervised heads only, and reports `eval_<task>_<measure>` and `eval_<task>_loss`.

    Args:
        model: an `HMTLForImageClassification` whose heads fit the tasks.
        args: the training arguments.
        tasks: supervised and pretext tasks; pretexts of weight 0 corrupt images and are not learned.
        train_collator, eval_collator: collators of the two kinds of batches.
        train_dataset, eval_dataset: `datasets.Dataset` with `image` and one column per supervised task.
        teacher: network whose pooled features perceptual losses compare (Eq. 3). It is frozen, stays in eval mode, and
            is never saved.
        dynamic_weights: whether factors are chosen by dynamic weight averaging.

    Attributes:
        weights: {task: factor of its loss}, calibrated ones included from the first step on.
        calibrated: {task: weight} of those that were measured.
        factors: {task: further factor of this epoch}; all 1 without `dynamic_weights`.
        seconds: of the training, evaluations during it and, of a resumed run, earlier parts included.
    """

    loss_is_scaled_for_ga = True  # divided by the labelled rows of the whole accumulated batch

    def __init__(
        self,
        model,
        args: HMTLTrainingArguments,
        tasks: Sequence[Task],
        train_collator: TrainingCollator,
        eval_collator: EvaluationCollator,
        train_dataset=None,
        eval_dataset=None,
        teacher: torch.nn.Module | None = None,
        dynamic_weights: bool = False,
        **kwargs,
    ):
        self.tasks = [task for task in tasks if task.weight > 0]
        self.train_collator = train_collator
        if args.channels_last:
            model = model.to(memory_format=torch.channels_last)
        super().__init__(
            model,
            args,
            data_collator=eval_collator,
            train_dataset=None if train_dataset is None else RowReader(train_dataset),
            eval_dataset=None if eval_dataset is None else RowReader(eval_dataset),
            compute_metrics=self.score if any(not task.auxiliary for task in self.tasks) else None,
            **kwargs,
        )
        self.model_accepts_loss_kwargs = True  # the same as loss_is_scaled_for_ga, in the words of transformers 5.17
        self._check_accumulation()
        self.weights = {task.name: task.weight for task in self.tasks}
        self.calibrated: dict[str, float] = {}
        self.dynamic_weights = dynamic_weights
        self._remember(PastLosses())
        self.current_gradient_accumulation_steps = args.gradient_accumulation_steps
        self.teacher = self._ready_teacher(teacher)
        self.add_callback(_BeginEpoch(self))
        self.add_callback(_Calibrate(self))
        if args.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(args.early_stopping_patience))
        self.broken_rows: dict[str, set[int]] = {"train": set(), "eval": set()}
        self._sums = LogSums(since=0)

    def _check_accumulation(self) -> None:
        batched = [task.name for task in self.tasks if not task.per_row]
        if batched and self.args.gradient_accumulation_steps > 1:
            raise ValueError(
                f"{', '.join(batched)}: this loss is a statistic of the batch, not a sum over rows, so accumulating "
                f"{self.args.gradient_accumulation_steps} small batches is not one large batch. Use "
                "--gradient_accumulation_steps 1 and the batch size you mean"
            )

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
        return teacher.to(self.args.device).requires_grad_(False).eval()

    # Data

    def get_train_dataloader(self) -> DataLoader:
        """Loader of this process's share of every global batch.

        It is not handed to accelerate: the sampler already knows the processes. The loader has a generator of its own,
        so that starting workers takes nothing from the global one and a resumed run stays bit-identical.
        """
        args, self.sampler = self.args, self._new_sampler()
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.sampler,
            collate_fn=self.train_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
            generator=torch.Generator(),
        )

    def _new_sampler(self) -> EpochRowSampler:
        args = self.args
        return EpochRowSampler(
            len(self.train_dataset),
            self._train_batch_size,
            args.data_seed if args.data_seed is not None else args.seed,
            args.process_index,
            args.world_size,
            args.dataloader_drop_last,
        )

    def broken_over_processes(self, kind: str) -> set[int]:
        """Numbers of the rows whose image was broken, in all processes: of training ("train") or evaluation ("eval").

        All processes have to call it.
        """
        return set(gather_object(sorted(self.broken_rows[kind])))

    def get_eval_dataloader(self, eval_dataset=None) -> DataLoader:
        """As the Trainer's, without its cache: with persistent workers that would hand back the loader of validation
        for any other dataset, test included."""
        self._eval_dataloaders: dict = {}
        return super().get_eval_dataloader(eval_dataset)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> dict[str, torch.Tensor]:
        """Labelled rows of each task over the accumulated batches of all processes: {task: count}."""
        present = [task for task in self.tasks if all(task.name in batch["targets"] for batch in batch_samples)]
        counts = torch.stack(
            [sum(task.labelled(batch["targets"][task.name]).sum() for batch in batch_samples) for task in present]
        ).to(device)
        if self.args.world_size > 1:
            counts = self.accelerator.reduce(counts, "sum")
        return {task.name: count for task, count in zip(present, counts, strict=True)}

    # Loss

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Weighted sum of the tasks' losses; one call of the model a step."""
        split = "train" if model.training else "eval"
        self.broken_rows[split].update(inputs["broken_rows"].tolist())
        outputs = model(pixel_values=inputs["pixel_values"], views=inputs["views"])
        losses = self.task_losses(outputs.predictions, inputs["targets"], num_items_in_batch, log=model.training)
        if outputs.log_variances is None:
            total = weighting.static(losses, self._chosen_weights())
        else:
            # s_t / 2 counts once a step, and not for a task that has no label in the whole accumulated batch.
            share = 1 / self.current_gradient_accumulation_steps
            present = {task: share * (num_items_in_batch[task] > 0) for task in losses}
            total = weighting.uncertainty(losses, self._chosen_weights(), outputs.log_variances, present)
        if model.training:
            self._sums.add("loss", total.detach() / self.args.world_size)
        return (total, outputs) if return_outputs else total

    def task_losses(self, predictions, targets, counts, log: bool = False) -> dict[str, torch.Tensor]:
        """{task: its loss}: summed over this batch's rows, divided by `counts`, the rows of the whole step.

        Several processes share a step, and DDP averages their gradients: each loss is multiplied by their number.
        """
        losses = {}
        for task in self.tasks:
            if task.name not in counts:
                continue
            prediction, target = predictions[task.name], targets[task.name]
            seen = prediction, target
            if isinstance(task, Pretext) and task.needs_teacher:
                seen = self._seen_by_teacher(prediction, target)
            loss = task.losses(*seen)
            if task.per_row:  # the others come all-reduced, with their gradient
                loss = loss.sum() / counts[task.name].clamp_min(1) * self.args.world_size
            losses[task.name] = loss
            if log:
                share = loss.detach() / self.args.world_size
                if self.dynamic_weights:
                    self._losses_of_epoch[task.name] += share
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
        is then `task.weight` times the weighted sum of the supervised losses. The network and the global random numbers
        stay as they are."""
        pretexts = [task for task in self.tasks if isinstance(task, Pretext)]
        asking = [task for task in pretexts if task.calibrate and task.name not in self.calibrated]
        if not asking:
            return
        supervised = [task for task in self.tasks if not task.auxiliary]
        if not supervised:
            raise ValueError(f"{asking[0].name}: calibrate needs a supervised loss to compare with; set weight")
        sums = self._first_losses()
        wanted = sum(task.weight * sums[task.name] for task in supervised)
        for task in asking:
            if not (sums[task.name] > 0 and wanted > 0):
                raise ValueError(
                    f"{task.name}: its loss is {sums[task.name]:g} and the supervised one {wanted:g} on the first "
                    f"batches, so no weight makes them equal; give one: --set auxiliary.{task.name}.calibrate=false "
                    f"auxiliary.{task.name}.weight=..."
                )
            self._use_calibrated({task.name: task.weight * wanted / sums[task.name]})
            logger.info("calibrated weight of %s: %g", task.name, self.weights[task.name])

    def take_weights(self, earlier: HybridState) -> None:
        """Go on with the loss weights of an earlier part of this run: calibrated and dynamic ones."""
        self._use_calibrated(earlier.calibrated_weights)
        self._remember(earlier.past_losses)

    def _use_calibrated(self, weights: dict[str, float]) -> None:
        self.calibrated |= weights
        self.weights |= weights

    def _first_losses(self) -> dict[str, float]:
        """{task: its loss}, summed over the first batches of training and over all processes."""
        sums = dict.fromkeys([task.name for task in self.tasks], 0.0)
        model = self.accelerator.unwrap_model(self.model).train()
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}  # batch norm counts what it sees
        first = itertools.islice(self._new_sampler(), CALIBRATION_BATCHES)
        with torch.no_grad(), torch.random.fork_rng():
            for rows in first:
                batch = self.train_collator(self.train_dataset.__getitems__(rows))
                counts = self._get_num_items_in_batch([batch], self.args.device)
                batch = self._prepare_inputs(batch)
                outputs = model(pixel_values=batch["pixel_values"], views=batch["views"])
                for task, loss in self.task_losses(outputs.predictions, batch["targets"], counts).items():
                    sums[task] += loss
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        return self._over_processes(sums)

    def _over_processes(self, sums: dict[str, torch.Tensor | float]) -> dict[str, float]:
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
            losses = self._over_processes(self._losses_of_epoch)
            self._remember(self._past.followed_by(epoch, losses))

    def _remember(self, past: PastLosses) -> None:
        names = [task.name for task in self.tasks]
        here = past.current if self.args.process_index == 0 else {}  # it was summed over the processes
        self._past, self._losses_of_epoch = past, {name: here.get(name, 0.0) for name in names}
        self.factors = weighting.dynamic(past, names) if self.dynamic_weights else dict.fromkeys(names, 1.0)

    def _chosen_weights(self) -> dict[str, float]:
        return {name: weight * self.factors[name] for name, weight in self.weights.items()}

    def train(self, resume_from_checkpoint: str | None = None, **kwargs):
        """As the Trainer's; a resumed run keeps its calibrated weights and its seconds, and one that was cut off after
        its last checkpoint makes no further step."""
        earlier = HybridState()
        if resume_from_checkpoint is not None:
            earlier = HybridState.read(Path(resume_from_checkpoint))
        self.take_weights(earlier)
        step = 0 if resume_from_checkpoint is None else trainer_state(Path(resume_from_checkpoint)).global_step
        self._take_sums(earlier, step)
        if resume_from_checkpoint is not None and ended_training(trainer_state(Path(resume_from_checkpoint))):
            return self._take_ended(Path(resume_from_checkpoint), earlier)
        self._began = time.perf_counter() - earlier.seconds
        output = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        self.seconds = self._seconds_so_far()
        return output

    def _take_ended(self, checkpoint: Path, earlier: HybridState) -> None:
        self.state, self.seconds = trainer_state(checkpoint), earlier.seconds
        best = self.state.best_model_checkpoint if self.args.load_best_model_at_end else None
        # By its name, because the folder of the run may have been moved.
        self._load_from_checkpoint(str(checkpoint.parent / Path(best).name if best else checkpoint))

    def _seconds_so_far(self) -> float:
        return time.perf_counter() - self._began

    def _save_checkpoint(self, model, trial) -> None:
        """As the Trainer's, with our own state."""
        past = self._past
        if self.dynamic_weights:
            past = dataclasses.replace(past, current=self._over_processes(self._losses_of_epoch))
        sums = self._sums.over_processes(self._over_processes)
        if self.is_world_process_zero():
            folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
            HybridState(self._seconds_so_far(), self.calibrated, past, sums, self._sums.since).write(folder)
        super()._save_checkpoint(model, trial)

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """As the Trainer's, but gathers nothing except the heads' predictions."""
        unused = ["logits", "log_variances", "hidden_states"]
        return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys=unused)

    def score(self, evaluation: EvalPrediction) -> dict[str, float]:
        """Scores and losses of every supervised task: {"<task>_<measure>": value}."""
        metrics = {}
        for task in self.tasks:
            if task.auxiliary or task.name not in evaluation.label_ids:
                continue
            predictions, targets = evaluation.predictions[task.name], evaluation.label_ids[task.name]
            for measure, value in task.score(predictions, targets).items():
                metrics[f"{task.name}_{measure}"] = value
            target = torch.from_numpy(np.asarray(targets))
            losses = task.losses(torch.from_numpy(np.asarray(predictions)), target)
            metrics[f"{task.name}_loss"] = (losses.sum() / task.labelled(target).sum().clamp_min(1)).item()
        return metrics

    # Logging

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
            logs |= self._sums.means(self.state.global_step, self._over_processes) | self._moving_weights()
            self._sums = LogSums(self.state.global_step)
        super().log(logs, start_time)

    def _moving_weights(self) -> dict[str, float]:
        """`weight_<task>` where weights are calibrated, learned or dynamic; a recipe's constants are not logged."""
        model = self.accelerator.unwrap_model(self.model)
        if not (self.calibrated or self.dynamic_weights or model.config.loss_weighting == "uncertainty"):
            return {}
        return {f"weight_{task}": weight for task, weight in self.effective_weights().items()}

    def effective_weights(self) -> dict[str, float]:
        """{task: what its loss is multiplied by at this moment}, learned and dynamic factors included."""
        learned = self.accelerator.unwrap_model(self.model).log_variances
        weights = weighting.effective(self._chosen_weights(), learned)
        return {task: float(weight) for task, weight in weights.items()}

    # Optimizer and schedule

    def create_optimizer(self, model=None):
        """As the Trainer's, with AdaBelief among the optimizers."""
        if self.args.optim == "adabelief":
            self.optimizer_cls_and_kwargs = (AdaBelief, {"lr": self.args.learning_rate, **ADABELIEF})
        return super().create_optimizer(model) if model is not None else super().create_optimizer()

    def get_decay_parameter_names(self, model) -> list[str]:
        """Weight decay is for matrices and filters; the Trainer's own rule would decay timm's batch norms as well."""
        return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        """As the Trainer's, or the paper's step decay: the learning rate is divided by 10 at each milestone epoch."""
        milestones = self.args.milestones
        if milestones and self.lr_scheduler is None:  # type: ignore[has-type]
            updates = -(-len(self.sampler) // self.args.gradient_accumulation_steps)
            self.lr_scheduler = torch.optim.lr_scheduler.MultiStepLR(
                optimizer or self.optimizer, [round(epoch * updates) for epoch in milestones], gamma=0.1
            )
            self._created_lr_scheduler = True
            return self.lr_scheduler
        return super().create_scheduler(num_training_steps, optimizer)
