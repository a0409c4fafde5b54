import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import TrainingCollator
from hf_hmtl.data.drawn_faces.dataset import draw, face_parameters
from hf_hmtl.tasks.head_pose import HeadPose
from hf_hmtl.tasks.rotation import Rotation

EDGES = np.array(range(-99, 102, 3))  # as HopeNet's code lists them: 67 edges


def hopenet(logits, angles, alpha):
    """The loss of HopeNet's training script, angle by angle, with numpy's digitize for the bins."""
    total = 0.0
    for column in range(3):
        labels = torch.from_numpy(np.digitize(angles[:, column].numpy(), EDGES) - 1)
        expected = (logits[:, column].softmax(1) * torch.arange(66.0)).sum(1) * 3 - 99
        total = total + F.cross_entropy(logits[:, column], labels) + alpha * F.mse_loss(expected, angles[:, column])
    return total


@pytest.mark.parametrize("alpha", [0.001, 1.0, 2.0])
def test_the_loss_is_hopenets(alpha):
    generator = torch.Generator().manual_seed(0)
    logits, angles = torch.randn(32, 3, 66, generator=generator), torch.rand(32, 3, generator=generator) * 197.9 - 99
    angles[0] = torch.tensor([-99.0, -96.0, 0.0])  # on edges
    task = HeadPose(alpha=alpha)
    ours = task.loss_of(task.statistics(logits, angles))
    torch.testing.assert_close(ours, hopenet(logits, angles, alpha), rtol=1e-5, atol=0)


def test_the_numbers_keep_hopenets_range_and_centres_take_the_bias_away():
    certain = torch.eye(66)[:, None].expand(66, 3, 66) * 1000
    edges = HeadPose().numbers_of(certain)[:, 0]
    assert (edges[0].item(), edges[-1].item()) == (-99, 96)
    torch.testing.assert_close(HeadPose(bin_values="centres").numbers_of(certain)[:, 0], edges + 1.5)


def test_rows_with_an_angle_beyond_99_are_left_out():
    target = HeadPose().target([10.0, 99.5, -99.0], [0.0, 0.0, 99.0], [0.0, 0.0, 5.0])
    assert target.isnan().tolist() == [[False] * 3, [True] * 3, [False] * 3]
    assert HeadPose().labelled(target).tolist() == [True, False, True]


def test_one_angle_may_be_missing():
    task, logits = HeadPose(), torch.randn(2, 3, 66)
    target = task.target([10.0, None], [0.0, 4.0], [math.nan, 2.0])
    assert task.counts(target)["numbers"].tolist() == [1, 2, 1]
    assert torch.isfinite(task.loss_of(task.statistics(logits, target)))
    assert task.labels_of(target.numpy())["label_yaw"] == [10.0, None]


def test_scores_are_mean_absolute_errors():
    truth = np.array([[10.0, -5.0, 1.0], [np.nan] * 3, [20.0, 5.0, 3.0]])
    found = HeadPose().score(np.array([[11.0, -5.0, 1.0], [0.0] * 3, [17.0, 6.0, 0.0]]), truth)
    assert found == {"mae": pytest.approx(4 / 3), "mae_yaw": 2.0, "mae_pitch": 0.5, "mae_roll": 1.5, "count": 2.0}
    assert HeadPose().headline.unit == "degrees" and not HeadPose().headline.greater_is_better


def rows_of(image, count=16, **labels):
    names = {name: [value] * count for name, value in labels.items()}
    return {"image": [image] * count, "row": list(range(count)), "epoch": [0] * count, **names}


def test_a_mirror_negates_yaw_and_roll_where_it_mirrors_the_pixels():
    image = draw(face_parameters(0, "train", 5)[0], 48)
    collate = TrainingCollator([HeadPose()], 48, augmentation=Augmentation.level("none"))
    batch = collate(rows_of(image, yaw=30.0, pitch=20.0, roll=10.0))
    straight = torch.from_numpy(image).permute(2, 0, 1)
    seen = set()
    for pixels, pose in zip(batch["pixel_values"], batch["targets"]["pose"].tolist(), strict=True):
        flipped = torch.equal(pixels, straight.flip(2))
        assert flipped or torch.equal(pixels, straight)
        assert pose == ([-30.0, 20.0, -10.0] if flipped else [30.0, 20.0, 10.0])
        seen.add(flipped)
    assert seen == {True, False}


def test_turns_of_the_image_are_refused_when_the_collator_is_made():
    with pytest.raises(ValueError, match="augmentation .up to 15 degrees. turns the images of pose.*rotation=0"):
        TrainingCollator([HeadPose()], 48, augmentation=Augmentation.level("weak"))
    with pytest.raises(ValueError, match="pretext 'rotation' turns the images of pose.*auxiliary.rotation.view=own"):
        TrainingCollator([HeadPose()], 48, pretexts=[Rotation()])
    with pytest.raises(ValueError, match="pretext 'rotation'"):
        TrainingCollator([HeadPose()], 48, pretexts=[Rotation(weight=0.0)])
    TrainingCollator([HeadPose()], 48, pretexts=[Rotation(view="own"), Rotation(name="tiles", tiles=3)])
    TrainingCollator([HeadPose()], 48, augmentation=Augmentation.level("weak", rotation=0))


def test_columns_are_three_angles():
    with pytest.raises(ValueError, match="three, of yaw, pitch and roll"):
        HeadPose(column=("yaw", "pitch"))
    assert HeadPose(column=["Yaw", "Pitch", "Roll"]).head()["names"] == ["Yaw", "Pitch", "Roll"]
