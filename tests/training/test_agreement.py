"""What does not fit together is found at construction, in one sentence with what to type."""

from types import SimpleNamespace

import pytest
import torch
from trainers import SIDE, weights

from hf_hmtl import (
    Augmentation,
    BarlowTwins,
    Classification,
    EvaluationCollator,
    HMTLForImageClassification,
    HMTLImageProcessor,
    HMTLModel,
    HMTLTrainer,
    HMTLTrainingArguments,
    InPainting,
    Puzzle,
    Rotation,
    TrainingCollator,
)
from hf_hmtl.training.agreement import every_parameter_learns


def emotion(faces, **options):
    return Classification.of(faces["train"], "emotion", **options)


def model_for(*tasks, backbone="test_efficientnet"):
    return HMTLForImageClassification.for_tasks(tasks, backbone=backbone, image_size=SIDE)


def trainer_of(faces, folder, made_for, tasks, arguments=None, **options):
    arguments = {"use_cpu": True, "disable_tqdm": True, **(arguments or {})}
    options = {"train_dataset": faces["train"], "eval_dataset": faces["validation"], **options}
    return HMTLTrainer(model_for(*made_for), HMTLTrainingArguments(str(folder), **arguments), tasks, **options)


PAIRS = {
    "no tasks": ([Puzzle()], [], "nothing to learn.*tasks=\\["),
    "weight 0": ([Puzzle()], [Puzzle(weight=0.0)], "nothing to learn"),
    "twice": ([Puzzle()], [Puzzle(grid=2), Puzzle(grid=3)], "two tasks are called 'puzzle'.*Puzzle\\(name="),
    "another grid": ([Puzzle(grid=2)], [Puzzle(grid=3)], "'puzzle' needs a head with shape \\[9, 9\\].*\\[4, 4\\]"),
    "another kind": ([Rotation()], [Rotation(hidden=32)], "'rotation' needs a head with kind mlp.*linear"),
    "another width": ([Rotation(hidden=64)], [Rotation(hidden=32)], "'rotation' needs a head with hidden 32.*64"),
    "a head that stays": (
        [Classification(name="rotation", labels=tuple("abcdefgh"), dropout=Rotation().dropout)],
        [Rotation()],
        "'rotation' needs a head with auxiliary True, and that of the model has False",
    ),
    "another dropout": ([Puzzle()], [Puzzle(dropout=0.5)], "'puzzle' needs a head with dropout 0.5.*0.2"),
    "missing head": ([Puzzle()], [Puzzle(), Rotation()], "no head for the task 'rotation'; its heads are: .*for_tasks"),
    "forgotten task": ([Puzzle(), Rotation()], [Puzzle()], "training task 'rotation'.*never learn.*model.slim\\(\\)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PAIRS)
def test_heads_and_tasks_are_the_same(faces, tmp_path, kind):
    made_for, tasks, sentence = PAIRS[kind]
    with pytest.raises(ValueError, match=sentence):
        trainer_of(faces, tmp_path, [emotion(faces), *made_for], [*([emotion(faces)] if tasks[1:] else []), *tasks])
    assert list(tmp_path.iterdir()) == []


def test_classes_of_task_and_head_are_the_same(faces, tmp_path):
    other = Classification(name="emotion", labels=("awake", "tired"))
    with pytest.raises(ValueError, match="'emotion' needs a head with shape \\[8\\].*\\[2\\]"):
        trainer_of(faces, tmp_path, [other], [emotion(faces)])
    named = Classification(name="emotion", labels=emotion(faces).labels[::-1])
    with pytest.raises(ValueError, match="'emotion' needs a head with labels \\['neutral'.*\\['contempt'"):
        trainer_of(faces, tmp_path, [named], [emotion(faces)])


def test_a_head_that_stays_may_rest(faces, tmp_path):
    resting = Classification(name="mood", labels=("good", "bad"))
    arguments = {"max_steps": 1, "learning_rate": 0.1, "weight_decay": 0.1, "save_strategy": "no"}
    trainer = trainer_of(faces, tmp_path, [emotion(faces), resting], [emotion(faces)], arguments)
    before = weights(trainer)
    trainer.train()
    moved = {name for name, tensor in weights(trainer).items() if not torch.equal(tensor, before[name])}
    assert any("emotion" in name for name in moved) and not any("mood" in name for name in moved)


@pytest.mark.parametrize("model, kind", [(torch.nn.Linear(2, 2), "Linear"), (None, "HMTLModel")])
def test_another_network_is_refused(faces, tmp_path, model, kind):
    model = HMTLModel(model_for(emotion(faces)).config) if model is None else model
    with pytest.raises(ValueError, match=f"networks with heads for its tasks, not a {kind}.*for_tasks"):
        HMTLTrainer(model, HMTLTrainingArguments(str(tmp_path), use_cpu=True), [emotion(faces)])


def test_a_collator_made_for_other_tasks_is_refused(faces, tmp_path):
    task = emotion(faces)
    for collator, tasks in (
        (TrainingCollator([task], SIDE), [task, Puzzle()]),  # a pretext that no collator makes
        (TrainingCollator([task], SIDE, pretexts=[Puzzle(share=0.5)]), [task, Puzzle()]),
        (TrainingCollator([], SIDE, pretexts=[Puzzle()]), [task, Puzzle()]),
    ):
        with pytest.raises(
            ValueError, match="train_collator was made for the (pretexts|supervised tasks).*leave train_c"
        ):
            trainer_of(faces, tmp_path, tasks, tasks, train_collator=collator)
    with pytest.raises(ValueError, match="eval_collator was made for the supervised tasks \\[\\]"):
        trainer_of(faces, tmp_path, [task], [task], eval_collator=EvaluationCollator([], SIDE))
    fitting = TrainingCollator([task], SIDE, pretexts=[Puzzle()])
    assert (
        trainer_of(faces, tmp_path, [task, Puzzle()], [task, Puzzle()], train_collator=fitting).train_collator
        is fitting
    )


def test_a_function_in_place_of_a_collator_is_tried_on_the_first_rows(faces, tmp_path):
    task = emotion(faces)
    made = TrainingCollator([task], SIDE)
    with pytest.raises(ValueError, match="train_collator makes no targets for 'puzzle', only for emotion"):
        trainer_of(faces, tmp_path, [task, Puzzle()], [task, Puzzle()], train_collator=lambda rows: made(rows))
    with pytest.raises(ValueError, match="data_collator makes no targets for 'puzzle', only for emotion"):
        trainer_of(faces, tmp_path, [task, Puzzle()], [task, Puzzle()], data_collator=plain_collator)
    for batch, kind in (
        ({"pixels": 1}, "\\['pixels'\\]"),
        ({"pixel_values": torch.zeros(2, 3, SIDE, SIDE)}, "\\['pixel_values'\\]"),
        (torch.zeros(2, 3, SIDE, SIDE), "Tensor"),
    ):
        with pytest.raises(ValueError, match=f"data_collator makes a batch of {kind}, which lacks 'pixel_values'"):
            trainer_of(faces, tmp_path, [task], [task], data_collator=lambda rows, batch=batch: batch)


def plain_collator(rows):
    pixels = HMTLImageProcessor(size=SIDE)([row["image"] for row in rows])["pixel_values"]
    return {"pixel_values": pixels, "labels": torch.tensor([row["emotion"] for row in rows])}


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"compute_loss_func": lambda *_: 0}, "compute_loss_func would never be called"),
        ({"preprocess_logits_for_metrics": lambda *_: 0}, "preprocess_logits_for_metrics would never be called"),
        ({"augmentation": "weak", "data_collator": plain_collator}, "augmentation belongs to the collator"),
        ({"augmentation": "weak", "train_collator": plain_collator}, "augmentation belongs to the collator"),
        ({"eval_collator": plain_collator, "data_collator": plain_collator}, "the one or the other"),
        ({"train_collator": plain_collator, "data_collator": plain_collator}, "the one or the other"),
        ({"augmentation": "wek"}, "did you mean 'weak'"),
        ({"processing_class": HMTLImageProcessor(size=96)}, "images of 96 px, and the model is for 48 px"),
        ({"processing_class": SimpleNamespace(size={"shortest_edge": 96})}, "images of 96 px, and the model"),
    ],
)
def test_arguments_that_exclude_each_other(faces, tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        trainer_of(faces, tmp_path, [emotion(faces)], [emotion(faces)], **options)


def test_datasets_are_looked_at(faces, tmp_path):
    task = emotion(faces)
    with pytest.raises(ValueError, match="eval_dataset\\['test'\\] has no column 'emotion'"):
        bare = {"validation": faces["validation"], "test": faces["test"].select_columns("image")}
        trainer_of(faces, tmp_path, [task], [task], eval_dataset=bare)
    with pytest.raises(ValueError, match="choose one: train_dataset=faces\\['train'\\]"):
        trainer_of(faces, tmp_path, [task], [task], train_dataset=faces)


EVALUATING = {"eval_strategy": "epoch", "save_strategy": "epoch"}


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"metric_for_best_model": "f1"}, "f1 is none of the scores.*eval_emotion_accuracy, .*recall_happy"),
        ({"early_stopping_patience": 2}, "--early_stopping_patience counts.*--metric_for_best_model"),
        ({"metric_for_best_model": "eval_loss", "early_stopping_patience": 2, "eval_strategy": "no"}, "needs --eval"),
        ({"include_for_metrics": ["inputs"]}, "--include_for_metrics inputs is for compute_metrics"),
        (
            {"metric_for_best_model": "emotion_accuracy", "lr_scheduler_type": "reduce_lr_on_plateau"},
            "more is better, with mode min. Add --lr_scheduler_kwargs '{\"mode\": \"max\"}'",
        ),
        (
            {"metric_for_best_model": "loss", "lr_scheduler_type": "greedy", "lr_scheduler_kwargs": {"mode": "max"}},
            "less is better, with mode max",
        ),
    ],
)  # fmt: skip
def test_scores_are_known_before_the_training(faces, tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        trainer_of(faces, tmp_path, [emotion(faces)], [emotion(faces)], {**EVALUATING, **arguments})


def test_the_scores_that_are_named_are_those_that_there_are(faces, tmp_path):
    with pytest.raises(ValueError) as refused:
        trainer_of(faces, tmp_path, [emotion(faces)], [emotion(faces)], {**EVALUATING, "metric_for_best_model": "f1"})
    named = set(str(refused.value).split(": ", 1)[1].split(", "))
    trainer = trainer_of(faces, tmp_path, [emotion(faces)], [emotion(faces)])
    timing = {
        "epoch",
        "eval_runtime",
        "eval_samples_per_second",
        "eval_steps_per_second",
        "eval_model_preparation_time",
    }
    assert named == set(trainer.evaluate()) - timing
    several = {"near": faces["validation"], "far": faces["test"]}
    arguments = {**EVALUATING, "metric_for_best_model": "eval_emotion_accuracy"}
    with pytest.raises(ValueError, match="eval_near_loss, eval_near_emotion_accuracy"):
        trainer_of(faces, tmp_path, [emotion(faces)], [emotion(faces)], arguments, eval_dataset=several)
    arguments["metric_for_best_model"] = "near_emotion_macro_f1"
    trainer_of(faces, tmp_path, [emotion(faces)], [emotion(faces)], arguments, eval_dataset=several)


def test_pretexts_alone_have_nothing_to_evaluate(faces, tmp_path):
    with pytest.raises(ValueError, match="--eval_strategy epoch: these tasks learn from images alone.*--probe linear"):
        trainer_of(faces, tmp_path, [Puzzle()], [Puzzle()], {"eval_strategy": "epoch"})
    with pytest.raises(ValueError, match="compute_metrics: these tasks learn from images alone"):
        trainer_of(faces, tmp_path, [Puzzle()], [Puzzle()], compute_metrics=lambda e: {})


def test_a_backbone_that_cannot_be_checkpointed_is_refused_at_once(faces, tmp_path):
    task, arguments = emotion(faces), HMTLTrainingArguments(str(tmp_path), use_cpu=True, activation_checkpointing=True)
    with pytest.raises(ValueError, match="timm cannot checkpoint 'vgg11'"):
        HMTLTrainer(model_for(task, backbone="vgg11"), arguments, [task])
    HMTLTrainer(model_for(task), arguments, [task])


def test_the_augmentation_is_given_in_any_form(faces, tmp_path):
    task = emotion(faces)
    for given in ("weak", {"level": "weak"}, Augmentation.level("weak")):
        trainer = trainer_of(faces, tmp_path, [task], [task], augmentation=given)
        assert trainer.train_collator.augmentation == Augmentation.level("weak")
    assert trainer_of(faces, tmp_path, [task], [task]).train_collator.augmentation == Augmentation.level("none")


@pytest.mark.parametrize(
    "tasks, resting, expected",
    [
        ([Puzzle(), Rotation()], [], True),
        ([InPainting(), Puzzle()], [], True),
        ([BarlowTwins(hidden=32, features=16)], [], True),
        ([Puzzle()], [Classification(name="mood", labels=("good", "bad"))], False),
        ([InPainting()], [], False),  # what pools the features may have weights
    ],
    ids=["all", "decoder and more", "projector", "resting head", "decoder alone"],
)
def test_processes_search_for_unused_parameters_only_where_there_may_be_some(
    faces, tmp_path, monkeypatch, tasks, resting, expected
):
    assert every_parameter_learns([task.name for task in (*tasks, *resting)], tasks) is expected
    built = []
    original = HMTLTrainer._build_accelerator_args

    def recording(self, **kwargs):
        built.append(original(self, **kwargs))
        return built[-1]

    monkeypatch.setattr(HMTLTrainer, "_build_accelerator_args", recording)
    for given, wanted in ((None, not expected), (True, True), (False, False)):
        trainer = trainer_of(
            faces, tmp_path, [*tasks, *resting], tasks, {"ddp_find_unused_parameters": given}, eval_dataset=None
        )
        assert built[-1]["kwargs_handlers"][0].find_unused_parameters is wanted
    if expected:
        trainer.train_dataset = faces["train"].select(range(16))
        batch = trainer.train_collator(trainer.training_rows().__getitems__(range(8)))
        step = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
        trainer.model.train()
        trainer.compute_loss(trainer.model, batch, num_items_in_batch=step).backward()
        assert all(parameter.grad is not None for parameter in trainer.model.parameters())


def test_processes_search_where_a_collator_of_somebody_else_may_leave_a_task_out(faces, tmp_path):
    task = emotion(faces)
    for collator, wanted in ((None, False), (plain_collator, True)):
        trainer = trainer_of(faces, tmp_path, [task], [task], data_collator=collator)
        assert trainer._build_accelerator_args()["kwargs_handlers"][0].find_unused_parameters is wanted
