"""Hybrid learning on clips: pretexts of every frame beside the task in time, and nothing of them after training."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from hf_hmtl import HMTLConfig, HMTLSequenceConfig, HMTLSequenceModel, HMTLTrainingArguments
from hf_hmtl.data.clip_collators import EvaluationClipCollator, TrainingClipCollator
from hf_hmtl.data.clips import Windows
from hf_hmtl.data.drawn_faces.clips import synthetic_clips
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.label_augmentation import LabelAugmentation
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.tasks.rotation import Rotation
from hf_hmtl.training.clips import ClipTrainer

SIDE, FRAMES, WINDOW = 32, 10, 4  # two windows of a clip overlap, so that all are of four frames
AFFECT = Regression("affect", column=("valence", "arousal"), range=(-1, 1), loss="ccc")
PUZZLE = Puzzle(grid=2, weight=0.5, dropout=0.0)


@pytest.fixture(scope="module")
def clips():
    return synthetic_clips(train=8, validation=0, test=8, frames=FRAMES, size=SIDE)


def network(*pretexts):
    torch.manual_seed(0)
    return HMTLSequenceModel(
        HMTLSequenceConfig(
            frame_config=HMTLConfig(backbone="test_resnet", image_size=SIDE).to_dict(), units=8, layers=1, dropout=0.0,
            id2label=dict(enumerate(AFFECT.columns)), problem_type="regression",
            auxiliary={pretext.name: pretext.head() for pretext in pretexts},
        )
    )  # fmt: skip


def trainer_of(clips, folder, *pretexts, model=None, **options):
    settings = {"use_cpu": True, "disable_tqdm": True, "per_device_train_batch_size": 3, "save_strategy": "no"}
    return ClipTrainer(
        model or network(*pretexts),
        HMTLTrainingArguments(str(folder), **{**settings, "report_to": "none", **options}),
        AFFECT,
        pretexts,
        train_collator=TrainingClipCollator([AFFECT], SIDE, pretexts=list(pretexts)),
        eval_collator=EvaluationClipCollator([AFFECT], SIDE),
        train_dataset=Windows(clips["train"], WINDOW),
        eval_dataset=Windows(clips["test"], WINDOW),
    )


def batch_of(clips, *pretexts, windows=(0, 3), length=WINDOW, **options):
    collator = TrainingClipCollator([AFFECT], SIDE, pretexts=list(pretexts), **options)
    rows = Windows(clips["train"], length)
    return collator([{**rows[number], "row": number, "epoch": 0, "progress": 0.0} for number in windows])


def test_a_clip_has_one_permutation_or_every_frame_its_own(clips):
    alike = batch_of(clips, PUZZLE)["targets"]["puzzle"]
    assert alike.shape == (2 * WINDOW, 4)
    first, second = alike.view(2, WINDOW, 4)
    assert (first == first[0]).all() and (second == second[0]).all() and not torch.equal(first[0], second[0])
    each = batch_of(clips, Puzzle(grid=4), corruption="frame")["targets"]["puzzle"]
    assert len({tuple(row.tolist()) for row in each}) == 2 * WINDOW


@pytest.mark.parametrize("corruption", ["clip", "frame"])
def test_the_pixels_are_cut_as_the_target_says(clips, corruption):
    plain = batch_of(clips)["pixel_values"].flatten(0, 1)
    batch = batch_of(clips, PUZZLE, corruption=corruption)
    half = SIDE // 2
    for pixels, cut, places in zip(plain, batch["pixel_values"].flatten(0, 1), batch["targets"]["puzzle"], strict=True):
        tiles = [pixels[:, half * (n // 2) :, half * (n % 2) :][:, :half, :half] for n in range(4)]
        for slot, place in enumerate(places):
            assert torch.equal(cut[:, half * (slot // 2) :, half * (slot % 2) :][:, :half, :half], tiles[place])
    assert torch.equal(batch["targets"]["affect"], batch_of(clips)["targets"]["affect"])


def test_a_share_that_moves_is_that_of_the_clips_progress(clips):
    falling = Puzzle(grid=2, share=((0, 1.0), (1, 0.0)))
    collator = TrainingClipCollator([AFFECT], SIDE, pretexts=[falling])
    window = Windows(clips["train"], WINDOW)[0]
    for progress, missing in ((0.0, False), (1.0, True)):
        target = collator([{**window, "row": 0, "epoch": 0, "progress": progress}])["targets"]["puzzle"]
        assert bool((target == -100).all()) == missing


def test_a_broken_frame_has_no_permutation_to_find(clips):
    window = Windows(clips["train"], WINDOW)[0]
    window["image"] = [{"bytes": b"no image", "path": None} if place == 1 else image
                       for place, image in enumerate(window["image"])]  # fmt: skip
    pretexts = [PUZZLE, InPainting()]
    batch = TrainingClipCollator([AFFECT], SIDE, pretexts=pretexts)([{**window, "row": 0, "epoch": 0, "progress": 0.0}])
    assert (batch["targets"]["puzzle"] == -100).all(1).tolist() == [False, True, False, False]
    assert batch["targets"]["inpainting"].dtype == torch.uint8 and len(batch["broken_rows"]) == 1


def test_the_loss_of_a_step_is_that_of_the_task_and_of_every_frame(clips, tmp_path):
    """Clips of unlike lengths: a pretext never sees the padding."""
    windows = Windows(clips["train"].select(range(14)), None)  # ten frames and four
    batch = TrainingClipCollator([AFFECT], SIDE, pretexts=[PUZZLE])(
        [{**windows[number], "row": number, "epoch": 0, "progress": 0.0} for number in (0, 1)]
    )
    assert batch["attention_mask"].sum(1).tolist() == [10, 4] and batch["targets"]["puzzle"].shape == (14, 4)
    trainer = trainer_of(clips, tmp_path, PUZZLE)
    model = trainer.model.train()
    step = trainer._get_num_items_in_batch([batch], torch.device("cpu"))
    outputs = model(batch["pixel_values"], attention_mask=batch["attention_mask"], with_auxiliary=True)
    real = batch["attention_mask"]
    logits = model.auxiliary["puzzle"].layers[1](outputs.features[real]).view(14, 4, 4)
    torch.testing.assert_close(outputs.auxiliary["puzzle"], logits)
    places = batch["targets"]["puzzle"]
    puzzle = functional.cross_entropy(logits.flatten(0, 1), places.flatten(), reduction="sum") / 14
    alone = trainer_of(clips, tmp_path, model=network()).compute_loss(
        network().train(), {**batch, "targets": {"affect": batch["targets"]["affect"]}}, num_items_in_batch=step
    )
    again = trainer_of(clips, tmp_path, PUZZLE, model=network(PUZZLE))
    loss = again.compute_loss(again.model.train(), batch, num_items_in_batch=step)
    assert loss.item() == pytest.approx(alone.item() + 0.5 * puzzle.item(), rel=1e-4)


def test_a_hybrid_network_starts_as_the_supervised_one_does():
    with_heads, without = network(PUZZLE, Rotation()), network()
    for name, tensor in without.state_dict().items():
        assert torch.equal(with_heads.state_dict()[name], tensor), name
    assert set(with_heads.auxiliary) == {"puzzle", "rotation"}


@pytest.fixture(scope="module")
def trained(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hybrid")
    pretexts = PUZZLE, Rotation(weight=0.1), InPainting(calibrate=True)
    options = {"max_steps": 3, "learning_rate": 1e-2, "logging_steps": 1, "save_strategy": "steps", "save_steps": 1}
    trainer = trainer_of(clips, folder, *pretexts, **options)
    before = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    trainer.train()
    return trainer, before


def test_every_parameter_learns_and_every_task_is_logged(trained):
    trainer, before = trained
    assert [name for name, tensor in trainer.model.named_parameters() if torch.equal(tensor, before[name])] == []
    entry = next(entry for entry in trainer.state.log_history if "loss" in entry)
    assert {"loss_affect", "loss_puzzle", "loss_rotation", "loss_inpainting", "puzzle_tile_accuracy"} <= set(entry)
    assert trainer.calibrated.keys() == {"inpainting"}


def test_an_evaluation_asks_no_training_head(trained):
    trainer, _ = trained
    asked = []
    hook = trainer.model.auxiliary["puzzle"].register_forward_pre_hook(lambda *_: asked.append(True))
    assert np.isfinite(trainer.evaluate()["eval_affect_ccc"]) and not asked
    hook.remove()


def test_the_heads_are_gone_from_what_is_shipped_and_its_answers_are_the_same_to_the_bit(trained, tmp_path):
    trainer, _ = trained
    trainer.save_final(tmp_path)
    # Copies, since weights lie in a file wherever its header ends, and torch's kernels round by how memory is aligned.
    shipped = copy.deepcopy(HMTLSequenceModel.from_pretrained(tmp_path))
    model = copy.deepcopy(HMTLSequenceModel.from_pretrained(f"{trainer.args.output_dir}/checkpoint-3"))
    assert not shipped.auxiliary and shipped.config.auxiliary == {} and len(model.auxiliary) == 3
    pixels = torch.randint(256, (2, 5, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    with torch.no_grad():
        asked = model(pixels, attention_mask=mask, with_auxiliary=True)
        plain = model(pixels, attention_mask=mask)
        assert torch.equal(asked.logits, plain.logits) and plain.auxiliary is None
        assert torch.equal(shipped(pixels, attention_mask=mask).logits, plain.logits)
    assert {name: tuple(each.shape) for name, each in asked.auxiliary.items()} == {
        "puzzle": (7, 4, 4), "rotation": (7, 8), "inpainting": (7, 3, SIDE, SIDE)
    }  # fmt: skip


def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one(trained, clips, tmp_path):
    trainer, _ = trained
    pretexts = PUZZLE, Rotation(weight=0.1), InPainting(calibrate=True)
    options = {"max_steps": 3, "learning_rate": 1e-2, "logging_steps": 1}
    resumed = trainer_of(clips, tmp_path, *pretexts, **options)
    resumed.train(resume_from_checkpoint=f"{trainer.args.output_dir}/checkpoint-1")
    weights = {name: tensor.numpy() for name, tensor in trainer.model.state_dict().items()}
    for name, tensor in resumed.model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name], err_msg=name)


def test_what_does_not_fit_is_refused(clips, tmp_path):
    for pretext in (Puzzle(grid=2, view="own"), LabelAugmentation()):
        with pytest.raises(ValueError, match="looks at images of its own, and on clips a pretext shares the frames"):
            TrainingClipCollator([AFFECT], SIDE, pretexts=[pretext])
    with pytest.raises(ValueError, match="the model has no head for the task 'puzzle'"):
        trainer_of(clips, tmp_path, PUZZLE, model=network())
    with pytest.raises(ValueError, match="auxiliary has the head 'emotion', which is to stay after training"):
        HMTLSequenceConfig(
            frame_config=HMTLConfig(backbone="test_resnet", image_size=SIDE),
            id2label={0: "a", 1: "b"},
            auxiliary={"emotion": {"kind": "linear", "shape": [2]}},
        )
