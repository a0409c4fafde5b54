"""Whether model, tasks, collators and scores mean the same: found out before the first step, in one sentence each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from transformers import TrainingArguments
from transformers.trainer_utils import IntervalStrategy, SchedulerType

from hf_hmtl.data.collator import Collator, TrainingCollator
from hf_hmtl.tasks import Pretext, Supervised, Task

NOTHING_TO_SCORE = (
    "these tasks learn from images alone, so an evaluation has nothing to score. Leave it out, and probe the finished "
    "model: hf-hmtl train RECIPE --pretrained FOLDER --probe linear"
)

_MADE_FOR = "model = HMTLForImageClassification.for_tasks(tasks, backbone=..., image_size=...)"
_COMPARED = (
    "kind", "shape", "labels", "auxiliary", "hidden", "dropout", "names", "unit", "range", "tanh", "bins",
)  # fmt: skip


def check_options(
    options: Mapping, augmentation: Any, train_collator: Any, eval_collator: Any, data_collator: Any
) -> None:
    """Raise when arguments of the trainer exclude each other, or are the Trainer's and would never be used.

    Raises:
        ValueError: it says what to give instead.
    """
    unused = {
        "compute_loss_func": "the losses are the tasks' own; write a task (hf_hmtl.tasks.Supervised or Pretext)",
        "preprocess_logits_for_metrics": "the tasks score whole predictions; reduce them in compute_metrics",
    }
    for name, reason in unused.items():
        if options.get(name) is not None:
            raise ValueError(f"{name} would never be called: {reason}")
    if data_collator is not None and not (train_collator is None and eval_collator is None):
        raise ValueError(
            "data_collator is for training and evaluation, so train_collator and eval_collator would never be called; "
            "give the one or the other"
        )
    if augmentation is not None and not (train_collator is None and data_collator is None):
        raise ValueError(
            "augmentation belongs to the collator that is made of the tasks, and one was given; leave one of them out, "
            "or give it to yours: TrainingCollator(..., augmentation=Augmentation.level('weak'))"
        )


def check_tasks(tasks: Sequence[Task]) -> None:
    """Raise when there is nothing to learn, or two tasks would share a head.

    Raises:
        ValueError: it says so.
    """
    if not any(task.is_learned for task in tasks):
        raise ValueError(
            "there is nothing to learn; give HMTLTrainer tasks of a weight above 0: tasks=[Classification.of(dataset, "
            "'label'), Puzzle(grid=2)]"
        )
    names = [task.name for task in tasks]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two tasks are called {twice[0]!r}; give one another name: Puzzle(name='small_puzzle')")


def check_model(model: Any, tasks: Sequence[Task], args: TrainingArguments) -> None:
    """Raise when the model is none that has heads for tasks, or its heads are not those of the tasks.

    Raises:
        ValueError: as `check_heads`; or it says what the model is.
    """
    if not hasattr(model, "slim"):
        raise ValueError(
            f"HMTLTrainer trains networks with heads for its tasks, not a {type(model).__name__}: {_MADE_FOR}"
        )
    check_heads(model.config.heads, tasks)
    check_checkpointing(model, model.config.backbone, args)


def check_checkpointing(model: Any, backbone: str, args: TrainingArguments) -> None:
    """Raise when activations are to be computed twice, of a backbone that timm cannot do so with.

    Raises:
        ValueError: it says what to do instead.
    """
    if args.activation_checkpointing and not model.supports_gradient_checkpointing:
        raise ValueError(
            f"--activation_checkpointing true: timm cannot checkpoint {backbone!r}. Leave it out, or use "
            "a smaller --per_device_train_batch_size with --gradient_accumulation_steps"
        )


def check_heads(heads: Mapping[str, Mapping], tasks: Sequence[Task]) -> None:
    """Raise when a task has no head that fits it, or a training head no task, so that it would never learn.

    Args:
        heads: as the model's configuration describes them.
        tasks: those with a weight above 0.

    Raises:
        ValueError: it names the difference and what to type.
    """
    for task in tasks:
        if task.name not in heads:
            raise ValueError(
                f"the model has no head for the task {task.name!r}; its heads are: {', '.join(heads) or 'none'}. Make "
                f"it for its tasks: {_MADE_FOR}"
            )
        described, given = task.head(), heads[task.name]
        for key in (key for key in _COMPARED if key in described):
            if described[key] != given.get(key):
                raise ValueError(
                    f"the task {task.name!r} needs a head with {key} {described[key]}, and that of the model has "
                    f"{given.get(key)}. Make both with the same options, or the model for its tasks: {_MADE_FOR}"
                )
    idle = [name for name, head in heads.items() if head["auxiliary"] and name not in {task.name for task in tasks}]
    if idle:
        raise ValueError(
            f"the model has a head for the training task {idle[0]!r}, which is not among the tasks, so it would never "
            f"learn. Add the task, as in tasks=[..., Puzzle(grid=2)], or leave the head out: model = model.slim()"
        )


def check_collator(collator: Any, tasks: Sequence[Task], argument: str) -> None:
    """Raise when a collator of ours makes other targets than the tasks are to learn.

    Args:
        collator: of any kind; what others make is seen in their batches.
        tasks: all of the trainer.
        argument: how the trainer was given it.

    Raises:
        ValueError: it shows both.
    """
    if not isinstance(collator, Collator):
        return
    pairs: list[tuple[str, Sequence, Sequence]]
    pairs = [("supervised tasks", collator.supervised, [task for task in tasks if isinstance(task, Supervised)])]
    if isinstance(collator, TrainingCollator):
        pairs.append(("pretexts", collator.pretexts, [task for task in tasks if isinstance(task, Pretext)]))
    for kind, made, wanted in pairs:
        if list(made) != list(wanted):
            raise ValueError(
                f"{argument} was made for the {kind} {_named(made)}, and the trainer's are {_named(wanted)}. Make both "
                f"of the same tasks, or leave {argument} out: it is then made of the trainer's tasks"
            )


def check_batch(batch: Any, tasks: Sequence[Task], argument: str) -> None:
    """Raise when a batch that a collator of somebody else has made lacks what the tasks need.

    Raises:
        ValueError: it says what the batch has.
    """
    if not isinstance(batch, Mapping) or "pixel_values" not in batch or "targets" not in batch:
        keys = sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__
        raise ValueError(
            f"{argument} makes a batch of {keys}, which lacks 'pixel_values' (rows, 3, side, side) or the labels: "
            "'labels' of the first supervised task, or {task: labels}"
        )
    missing = [task.name for task in tasks if task.name not in batch["targets"]]
    if missing:
        raise ValueError(
            f"{argument} makes no targets for {', '.join(map(repr, missing))}, only for "
            f"{', '.join(batch['targets']) or 'nothing'}, so nothing would be learned there. Leave {argument} out, and "
            "a collator is made of the tasks; transforms belong into augmentation=..."
        )


def check_processor(processor: Any, image_size: int) -> None:
    """Raise when the image processor makes images of another size than the model is for.

    Raises:
        ValueError: it says both sizes.
    """
    size = getattr(processor, "size", None)
    side = dict(size).get("height") or dict(size).get("shortest_edge") if size else None
    if side is not None and side != image_size:
        raise ValueError(
            f"the image processor makes images of {side} px, and the model is for {image_size} px. Make them alike: "
            f"HMTLImageProcessor(size={image_size}), or leave processing_class out"
        )


def check_evaluations(
    args: TrainingArguments, tasks: Sequence[Task], eval_dataset: Any, compute_metrics: Callable | None
) -> None:
    """Raise when evaluations would have nothing to score, or nothing that chooses or stops by it.

    Raises:
        ValueError: it says what there will be.
    """
    supervised = [task for task in tasks if isinstance(task, Supervised)]
    evaluates = args.eval_strategy != IntervalStrategy.NO
    if not supervised and (evaluates or compute_metrics is not None):
        asked = f"--eval_strategy {args.eval_strategy.value}" if evaluates else "compute_metrics"
        raise ValueError(f"{asked}: {NOTHING_TO_SCORE}")
    if args.include_for_metrics and compute_metrics is None:
        raise ValueError(
            f"--include_for_metrics {' '.join(args.include_for_metrics)} is for compute_metrics=..., which was not "
            "given: the tasks' own scores need nothing of it. Leave it out"
        )
    if strange := set(args.include_for_metrics) - {"inputs", "loss"}:
        raise ValueError(f"--include_for_metrics {' '.join(sorted(strange))}: allowed are inputs and loss")
    if args.early_stopping_patience is not None and not (evaluates and args.metric_for_best_model):
        raise ValueError(
            "--early_stopping_patience counts evaluations without a better score, so it needs --eval_strategy epoch "
            "(or steps) and --metric_for_best_model, in recipes --load_best_model_at_end true"
        )
    if args.metric_for_best_model is None:
        return
    splits = [f"eval_{name}_" for name in eval_dataset] if isinstance(eval_dataset, Mapping) else ["eval_"]
    scores = ["loss", *(f"{task.name}_{name}" for task in supervised for name in (*task.measures, "loss"))]
    known = [prefix + score for prefix in splits for score in scores]
    given = args.metric_for_best_model
    if compute_metrics is None and given not in known and f"eval_{given}" not in known:
        raise ValueError(
            f"--metric_for_best_model {given} is none of the scores that there will be: {', '.join(known)}"
        )
    _check_direction(args)


def _check_direction(args: TrainingArguments) -> None:
    """A schedule that watches a score lowers the rate when the score stands still, which depends on its direction."""
    watching = args.lr_scheduler_type in (SchedulerType.REDUCE_ON_PLATEAU, SchedulerType.GREEDY)
    wanted = "max" if args.greater_is_better else "min"
    given = (args.lr_scheduler_kwargs or {}).get("mode", "min")
    if watching and given != wanted:
        raise ValueError(
            f"--lr_scheduler_type {args.lr_scheduler_type.value} watches {args.metric_for_best_model}, of which "
            f"{'more' if wanted == 'max' else 'less'} is better, with mode {given}. Add --lr_scheduler_kwargs "
            f'\'{{"mode": "{wanted}"}}\''
        )


def every_parameter_learns(heads: Collection[str], tasks: Sequence[Task]) -> bool:
    """Whether each step gives every parameter a gradient: all heads learn, and one looks at the pooled features."""
    pooled = any(task.head()["kind"] != "decoder" for task in tasks)
    return pooled and set(heads) <= {task.name for task in tasks}


def _named(tasks: Sequence[Task]) -> str:
    return "[" + ", ".join(map(repr, tasks)) + "]"
