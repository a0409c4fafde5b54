"""Trainers of drawn faces, and what tests look at in them."""

import torch
from transformers import set_seed

from hf_hmtl import HMTLConfig, HMTLForImageClassification, HMTLTrainer, HMTLTrainingArguments
from hf_hmtl.tasks.classification import Classification

SIDE = 48


def make(
    faces, folder, *pretexts, backbone="test_efficientnet", dropout=0.3, level="weak", weighting="static", teacher=None,
    supervised=True, dynamic=False, **options,
):  # fmt: skip
    """A trainer on drawn faces; batch 16, 6 steps an epoch."""
    labels = tuple(faces["validation"].features["emotion"].names)
    emotion = Classification(name="emotion", labels=labels, dropout=dropout)
    supervised = [emotion] if supervised else []
    learned = [task for task in (*supervised, *pretexts) if task.is_learned]
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 16,
        "num_train_epochs": 1,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "seed": 7,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        **options,
    }
    set_seed(settings["seed"])
    heads = {task.name: task.head() for task in learned}
    config = HMTLConfig(backbone=backbone, image_size=SIDE, heads=heads, loss_weighting=weighting)
    return HMTLTrainer(
        HMTLForImageClassification(config),
        HMTLTrainingArguments(**settings),
        [*supervised, *pretexts],
        augmentation=level,
        train_dataset=faces["train"],
        eval_dataset=faces["validation"],
        teacher=teacher,
        dynamic_weights=dynamic,
    )


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def first_batch(trainer):
    trainer.get_train_dataloader()
    trainer.sampler.set_epoch(0)
    rows = trainer.training_rows().__getitems__(next(iter(trainer.sampler)))
    return trainer.train_collator(rows)


def loss_of(trainer, batches):
    """Gradients of one optimizer step over these batches, as the Trainer would accumulate them."""
    step = trainer._get_num_items_in_batch(batches, torch.device("cpu"))
    trainer.model.train().zero_grad()
    losses = []
    for batch in batches:
        loss = trainer.compute_loss(trainer.model, batch, num_items_in_batch=step)
        loss.backward()
        losses.append(loss.item())
    return sum(losses), {
        name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None
    }  # fmt: skip
