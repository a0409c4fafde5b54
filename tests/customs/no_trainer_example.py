"""The calls of transformers' `run_image_classification_no_trainer.py` on a folder of ours and other classes.

python no_trainer_example.py MODEL FACES METRIC OUTPUT
"""

import os
import sys

import evaluate
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import load_dataset
from torch.utils.data import DataLoader
from torchvision.transforms import CenterCrop, Compose, Normalize, RandomHorizontalFlip, Resize, ToTensor
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification, get_scheduler

import hf_hmtl  # noqa: F401  (makes the Auto classes know the folder)

model_name, faces, metric_folder, output = sys.argv[1:]
accelerator = Accelerator(cpu=True)
set_seed(0)
files = {split: os.path.join(faces, split, "**") for split in ("train", "validation")}
dataset = load_dataset("imagefolder", data_files=files)
labels = dataset["train"].features["label"].names
label2id = {label: str(number) for number, label in enumerate(labels)}
id2label = {str(number): label for number, label in enumerate(labels)}
config = AutoConfig.from_pretrained(
    model_name,
    num_labels=len(labels),
    i2label=id2label,  # so it stands there
    label2id=label2id,
    finetuning_task="image-classification",
    trust_remote_code=False,
)
image_processor = AutoImageProcessor.from_pretrained(model_name, trust_remote_code=False)
model = AutoModelForImageClassification.from_pretrained(
    model_name,
    config=config,
    ignore_mismatched_sizes=True,
    trust_remote_code=False,
)
assert list(model.config.id2label.values()) == labels
if "shortest_edge" in image_processor.size:
    size = image_processor.size["shortest_edge"]
else:
    size = (image_processor.size["height"], image_processor.size["width"])
normalize = (
    Normalize(mean=image_processor.image_mean, std=image_processor.image_std)
    if hasattr(image_processor, "image_mean") and hasattr(image_processor, "image_std")
    else None
)
transforms = Compose([Resize(size), CenterCrop(size), RandomHorizontalFlip(), ToTensor(), normalize])


def preprocess(batch):
    batch["pixel_values"] = [transforms(image.convert("RGB")) for image in batch["image"]]
    return batch


def collate(examples):
    pixel_values = torch.stack([example["pixel_values"] for example in examples])
    return {"pixel_values": pixel_values, "labels": torch.tensor([example["label"] for example in examples])}


train, validation = (dataset[split].with_transform(preprocess) for split in ("train", "validation"))
train_loader = DataLoader(train, shuffle=True, collate_fn=collate, batch_size=16)
eval_loader = DataLoader(validation, collate_fn=collate, batch_size=16)
no_decay = ["bias", "LayerNorm.weight"]
named = list(model.named_parameters())
groups = [
    {"params": [p for n, p in named if not any(each in n for each in no_decay)], "weight_decay": 0.01},
    {"params": [p for n, p in named if any(each in n for each in no_decay)], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=2e-3)
epochs = 3
scheduler = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=epochs * len(train_loader))
model, optimizer, train_loader, eval_loader, scheduler = accelerator.prepare(
    model, optimizer, train_loader, eval_loader, scheduler
)
metric = evaluate.load(metric_folder)
for _ in range(epochs):
    model.train()
    for batch in train_loader:
        with accelerator.accumulate(model):
            outputs = model(**batch)
            accelerator.backward(outputs.loss)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    model.eval()
    for batch in eval_loader:
        with torch.no_grad():
            outputs = model(**batch)
        predictions = outputs.logits.argmax(dim=-1)
        predictions, references = accelerator.gather_for_metrics((predictions, batch["labels"]))
        metric.add_batch(predictions=predictions, references=references)
    found = metric.compute()
accelerator.wait_for_everyone()
unwrapped = accelerator.unwrap_model(model)
unwrapped.save_pretrained(output, is_main_process=accelerator.is_main_process, save_function=accelerator.save)
image_processor.save_pretrained(output)

truth = dataset["validation"]["label"][:]
majority = max(truth.count(number) for number in set(truth)) / len(truth)
assert found["accuracy"] > majority + 0.2, (found, majority)
again = AutoModelForImageClassification.from_pretrained(output)
pixels = torch.rand(2, 3, 48, 48)
assert torch.equal(again(pixels).logits, unwrapped.eval()(pixels).logits)
