"""Training in time: the loss of a whole step, scores of every frame, and what does not fit."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_squared_error

from hf_hmtl import HMTLConfig, HMTLSequenceConfig, HMTLSequenceModel, HMTLTrainingArguments
from hf_hmtl.data.clip_collators import EvaluationClipCollator, FeatureClipCollator, TrainingClipCollator
from hf_hmtl.data.clips import Windows
from hf_hmtl.data.drawn_faces.clips import synthetic_clips
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.head_pose import HeadPose
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.training.clips import ClipTrainer

SIDE = 32
AFFECT = Regression("affect", column=("valence", "arousal"), range=(-1, 1), loss="ccc")


@pytest.fixture(scope="module")
def clips():
    return synthetic_clips(train=8, validation=0, test=8, frames=10, size=SIDE)


def network(task=AFFECT, **options):
    numbers = isinstance(task, Regression)
    names = task.columns if numbers else task.labels
    torch.manual_seed(0)
    return HMTLSequenceModel(
        HMTLSequenceConfig(
            frame_config=HMTLConfig(backbone="test_resnet", image_size=SIDE).to_dict(),
            units=8,
            layers=1,
            dropout=0.0,
            id2label=dict(enumerate(names)),
            problem_type="regression" if numbers else None,
            **options,
        )
    )


def trainer_of(clips, folder, task=AFFECT, window=4, model=None, **options):
    settings = {
        "use_cpu": True,
        "disable_tqdm": True,
        "per_device_train_batch_size": 6,
        "save_strategy": "no",
        **options,
    }
    return ClipTrainer(
        model or network(task),
        HMTLTrainingArguments(str(folder), **settings),
        task,
        train_collator=TrainingClipCollator([task], SIDE),
        eval_collator=EvaluationClipCollator([task], SIDE),
        train_dataset=Windows(clips["train"], window),
        eval_dataset=Windows(clips["test"], window),
    )


def concordance(answers, labels):
    """Lin's, from numpy's own covariances."""
    ((x, xy), (_, y)) = np.cov(answers, labels, ddof=0)
    return 2 * xy / (x + y + (answers.mean() - labels.mean()) ** 2)


@pytest.fixture(scope="module")
def scored(clips, tmp_path_factory):
    """Trainer, scores, and answers of the network to each window by itself, laid together in the order of the rows."""
    trainer = trainer_of(clips, tmp_path_factory.mktemp("scored"))
    scores = trainer.evaluate()
    collator, by_hand = trainer.eval_collator, []
    for clip in range(8):
        rows = clips["test"].select(range(10 * clip, 10 * clip + 10))
        for window in Windows(rows, 4):
            with torch.no_grad():
                by_hand.append(trainer.model.eval()(collator([window])["pixel_values"]).logits[0].numpy())
    return trainer, scores, np.concatenate(by_hand)


def test_every_frame_of_every_video_is_scored_once_over_all_frames_together(scored, clips):
    trainer, scores, by_hand = scored
    answers = trainer.predict(trainer.eval_dataset).predictions["affect"]
    np.testing.assert_allclose(answers, by_hand, atol=1e-5)
    for place, name in enumerate(AFFECT.columns):
        labels = np.array(clips["test"][name])
        assert scores[f"eval_affect_ccc_{name}"] == pytest.approx(concordance(by_hand[:, place], labels), abs=1e-5)
        assert scores[f"eval_affect_mse_{name}"] == pytest.approx(mean_squared_error(labels, by_hand[:, place]))
    assert scores["eval_affect_count"] == 80
    assert scores["eval_affect_mse"] == pytest.approx(
        (scores["eval_affect_mse_valence"] + scores["eval_affect_mse_arousal"]) / 2
    )


def test_each_video_is_also_scored_by_itself(scored, clips):
    _, scores, by_hand = scored
    each = []
    for clip in np.arange(80).reshape(8, 10):
        labels = np.stack([clips["test"][name] for name in AFFECT.columns], axis=1)[clip]
        pairs = zip(by_hand[clip].T, labels.T, strict=True)
        each.append([0.0 if np.ptp(true) == 0 else concordance(found, true) for found, true in pairs])
    assert scores["eval_affect_ccc_of_clips"] == pytest.approx(np.mean(each), abs=1e-5)
    assert scores["eval_affect_mse_of_clips"] == pytest.approx(scores["eval_affect_mse"])  # all are of one length


def test_the_loss_of_windows_is_one_concordance_over_all_their_frames(clips, tmp_path):
    """However the step is cut into batches, with features, which pass no batch norm."""
    features = np.random.default_rng(0).normal(size=(80, 512)).astype(np.float32)
    model = network(frozen=True)
    features = features[:, : model.hmtl.pooled_channels]
    windows = Windows(clips["train"], 4, features=features)
    collator = FeatureClipCollator([AFFECT], SIDE)

    def gradients(cuts):
        trainer = ClipTrainer(
            model, HMTLTrainingArguments(str(tmp_path), use_cpu=True, gradient_accumulation_steps=len(cuts)), AFFECT,
            train_collator=collator, eval_collator=collator, train_dataset=windows,
        )  # fmt: skip
        batches = [collator([windows[number] for number in part]) for part in cuts]
        step = trainer._get_num_items_in_batch(batches, torch.device("cpu"))
        model.train().zero_grad()
        losses = [trainer.compute_loss(model, batch, num_items_in_batch=step) for batch in batches]
        sum(losses).backward()
        return sum(losses).item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    loss, whole = gradients([range(6)])
    parts = gradients([[0, 1], [2], [3, 4, 5]])
    assert parts[0] == pytest.approx(loss, rel=1e-5) and not any(name.startswith("hmtl.") for name in whole)
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[1][name], gradient, rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        frames = np.concatenate([windows.windows[number] for number in range(6)])
        answers = np.concatenate([model(features=torch.tensor(features[rows][None])).logits[0]
                                  for rows in windows.windows[:6]])  # fmt: skip
    labels = np.stack([clips["train"][name] for name in AFFECT.columns], axis=1)[frames]
    expected = sum(1 - concordance(answers[:, place], labels[:, place]) for place in range(2))
    assert loss == pytest.approx(expected, rel=1e-4)


def test_every_parameter_learns_end_to_end(clips, tmp_path):
    trainer = trainer_of(clips, tmp_path, max_steps=2, learning_rate=1e-2)  # the second: a zero gain hid some
    before = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    trainer.train()
    still = [name for name, tensor in trainer.model.named_parameters() if torch.equal(tensor, before[name])]
    assert still == []


def test_clips_with_one_answer_are_rows_of_their_own(clips, tmp_path):
    emotion = Classification.of(clips["train"], "emotion")
    args = HMTLTrainingArguments(str(tmp_path), use_cpu=True, disable_tqdm=True)
    collator = EvaluationClipCollator([emotion], SIDE, whole=True)
    trainer = ClipTrainer(
        network(emotion, answers="clip"), args, emotion,
        train_collator=TrainingClipCollator([emotion], SIDE, whole=True), eval_collator=collator,
        train_dataset=Windows(clips["train"], None), eval_dataset=Windows(clips["test"], None),
    )  # fmt: skip
    output = trainer.predict(trainer.eval_dataset)
    assert output.predictions["emotion"].shape == (8, 8)
    right = output.predictions["emotion"].argmax(1) == np.array(clips["test"]["emotion"])[9::10]
    assert output.metrics["test_emotion_accuracy"] == right.mean()


def test_models_and_tasks_that_do_not_fit_are_refused(clips, tmp_path):
    with pytest.raises(ValueError, match="classes or plain numbers, and 'pose' is HeadPose"):
        trainer_of(clips, tmp_path, HeadPose("pose", column=("yaw", "pitch", "roll")), model=network())
    binned = Regression("affect", column=("valence", "arousal"), range=(-1, 1), bins=20)
    with pytest.raises(ValueError, match="without bins and tanh"):
        trainer_of(clips, tmp_path, binned, model=network())
    emotion = Classification.of(clips["train"], "emotion")
    with pytest.raises(
        ValueError, match="regression of valence, arousal, and the task 'emotion' learns neutral, happy"
    ):
        trainer_of(clips, tmp_path, emotion, model=network())
    wanting = {split: rows.remove_columns("arousal") for split, rows in clips.items()}
    with pytest.raises(ValueError, match="train_dataset has no column 'arousal'"):
        trainer_of(wanting, tmp_path)
