"""Label augmentation against the definitions of Lee, Hwang and Shin (arXiv 1910.05872), row by row."""

import numpy as np
import pytest
import torch

from hf_hmtl.data.collator import TrainingCollator
from hf_hmtl.data.rows import RowReader
from hf_hmtl.tasks.base import MISSING
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.head_pose import HeadPose
from hf_hmtl.tasks.label_augmentation import LabelAugmentation, aggregated
from hf_hmtl.tasks.puzzle import Puzzle

EMOTION = Classification(name="emotion", labels=("calm", "glad", "sad"), column="emotion")
ROWS, CLASSES, TURNS = 5, 3, 4


@pytest.fixture
def task():
    return LabelAugmentation().with_tasks([HeadPose(), EMOTION])


@pytest.fixture
def answers():
    generator = torch.Generator().manual_seed(2)
    joint = torch.randn(TURNS * ROWS, CLASSES * TURNS, generator=generator, requires_grad=True)
    plain = torch.randn(ROWS, CLASSES, generator=generator, requires_grad=True)
    return joint, plain, torch.tensor([2, 0, MISSING, 1, 2])


def by_hand(joint, plain, target, class_weights=(1.0, 1.0, 1.0)):
    """Each labelled row's loss as the paper writes it: sums over turns j and classes i, logits u_ij(t_j(x))."""
    losses = {}
    for row in range(ROWS):
        label = int(target[row])
        if label == MISSING:
            continue
        cross_entropy, mean_answer = 0.0, torch.zeros(CLASSES)
        for turn in range(TURNS):
            logits = joint[turn * ROWS + row]
            weight = class_weights[label]
            cross_entropy = cross_entropy - weight * logits.log_softmax(0)[label * TURNS + turn] / TURNS
            for each in range(CLASSES):
                mean_answer[each] += logits[each * TURNS + turn].detach() / TURNS
        taught, own = mean_answer.softmax(0), plain[row].softmax(0)
        losses[row] = cross_entropy + (taught * (taught.log() - own.log())).sum()
    return losses


def test_its_loss_is_joint_cross_entropy_and_what_the_mean_answer_teaches_the_plain_head(task, answers):
    joint, plain, target = answers
    compared = task.compared({"label_augmentation": joint, "emotion": plain}, {"label_augmentation": target})
    losses, expected = task.losses(*compared), by_hand(joint, plain, target)
    assert losses[2] == 0
    for row, loss in expected.items():
        torch.testing.assert_close(losses[row], loss)
    loss = task.loss_of(task.statistics(*compared))
    mean = sum(expected.values()) / len(expected)
    torch.testing.assert_close(loss, mean)
    ours = torch.autograd.grad(loss, [joint, plain])
    theirs = torch.autograd.grad(mean, [joint, plain])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_class_weights_of_the_task_weigh_its_pairs(answers):
    joint, plain, target = answers
    weighted = Classification(name="emotion", labels=EMOTION.labels, class_weights=(1.0, 3.0, 0.5))
    task = LabelAugmentation().with_tasks([weighted])
    losses = task.losses(*task.compared({"label_augmentation": joint, "emotion": plain}, {task.name: target}))
    for row, loss in by_hand(joint, plain, target, (1.0, 3.0, 0.5)).items():
        torch.testing.assert_close(losses[row], loss)


def test_the_mean_answer_takes_of_each_turn_what_is_said_of_that_turn():
    joint = torch.zeros(1, TURNS, CLASSES * TURNS)
    joint[0, 2, 1 * TURNS + 2] = 8.0  # "class 1, turned twice" of the image that is turned twice
    joint[0, 2, 0 * TURNS + 1] = 9.0  # "class 0, turned once" of the same: says nothing of the class
    assert aggregated(joint).tolist() == [[0.0, 2.0, 0.0]]


def test_a_batch_holds_the_image_and_its_three_turns_with_the_label_of_the_image(faces):
    labels = tuple(faces["train"].features["emotion"].names)
    emotion = Classification(name="emotion", labels=labels)
    task = LabelAugmentation().with_tasks([emotion])
    collator = TrainingCollator(
        [emotion], image_size=16, pretexts=[Puzzle(grid=2, view="own", share=0.5), task], seed=3
    )
    batch = collator(RowReader(faces["train"]).__getitems__([(1, row) for row in range(12)]))
    assert batch["views"]["emotion"] == (0, 12) and batch["views"]["label_augmentation"] == (0, 48)
    assert batch["views"]["puzzle"][0] == 48
    assert torch.equal(batch["targets"]["label_augmentation"], batch["targets"]["emotion"])
    plain = batch["pixel_values"][:12].numpy()
    for quarters in (1, 2, 3):
        turned = batch["pixel_values"][12 * quarters : 12 * (quarters + 1)].numpy()
        assert np.array_equal(turned, np.rot90(plain, quarters, (2, 3)))


def test_running_scores_count_pairs_and_mean_answers(task):
    joint = torch.full((TURNS * 2, CLASSES * TURNS), -1.0)
    for turn in range(TURNS):
        joint[turn * 2, 1 * TURNS + turn] = 5.0  # the first row is right in every turn
        joint[turn * 2 + 1, 0 * TURNS + (turn + 1) % TURNS] = 5.0  # the second in the class, never in the turn
    scores = task.progress(joint, torch.tensor([1, 2]))
    assert [float(scores["accuracy"][0]), float(scores["accuracy"][1])] == [4, 8]
    assert task.score(joint.numpy(), np.array([1, MISSING])) == {"mean_answer_accuracy": 1.0}


def test_what_it_cannot_do_is_refused(task):
    assert task.head()["shape"] == [12] and task.of == "emotion" and task.head()["auxiliary"]
    for options in ({"share": 0.5}, {"view": "own"}):
        with pytest.raises(ValueError, match="seen in its 4 turns"):
            LabelAugmentation(**options)
    with pytest.raises(ValueError, match=r"with_tasks\(\[task\]\)"):
        LabelAugmentation().head()
    with pytest.raises(ValueError, match="there is none"):
        LabelAugmentation().with_tasks([HeadPose()])
    other = Classification(name="gender", labels=("f", "m"))
    with pytest.raises(ValueError, match="of is '', allowed is .*: emotion, gender"):
        LabelAugmentation().with_tasks([EMOTION, other])
    assert LabelAugmentation(of="gender").with_tasks([EMOTION, other]).classes == 2
    with pytest.raises(ValueError, match="both copy the image"):
        TrainingCollator([EMOTION], image_size=16, pretexts=[task, LabelAugmentation(name="second", of="emotion")])
