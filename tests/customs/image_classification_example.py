"""The calls of transformers' `run_image_classification.py`, one after the other, on a folder of ours and other classes.

python image_classification_example.py MODEL FACES METRIC OUTPUT
"""

import os
import sys

import evaluate
import numpy as np
import torch
from datasets import load_dataset
from torchvision.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    ToTensor,
)
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
    pipeline,
    set_seed,
)

import hf_hmtl  # noqa: F401  (makes the Auto classes know the folder)

model_name, faces, metric_folder, output = sys.argv[1:]
set_seed(0)

files = {split: os.path.join(faces, split, "**") for split in ("train", "validation")}
dataset = load_dataset("imagefolder", data_files=files)
labels = dataset["train"].features["label"].names
label2id, id2label = {}, {}
for number, label in enumerate(labels):
    label2id[label] = str(number)
    id2label[str(number)] = label
metric = evaluate.load(metric_folder)


def compute_metrics(evaluation):
    return metric.compute(predictions=np.argmax(evaluation.predictions, axis=1), references=evaluation.label_ids)


def collate(examples):
    pixel_values = torch.stack([example["pixel_values"] for example in examples])
    return {"pixel_values": pixel_values, "labels": torch.tensor([example["label"] for example in examples])}


here = {"cache_dir": None, "revision": "main", "token": None, "trust_remote_code": False}
config = AutoConfig.from_pretrained(
    model_name,
    num_labels=len(labels),
    label2id=label2id,
    id2label=id2label,
    finetuning_task="image-classification",
    **here,
)
model = AutoModelForImageClassification.from_pretrained(model_name, config=config, ignore_mismatched_sizes=True, **here)
image_processor = AutoImageProcessor.from_pretrained(model_name, **here)
if "shortest_edge" in image_processor.size:
    size = image_processor.size["shortest_edge"]
else:
    size = (image_processor.size["height"], image_processor.size["width"])
normalize = Normalize(mean=image_processor.image_mean, std=image_processor.image_std)
for_training = Compose([RandomResizedCrop(size), RandomHorizontalFlip(), ToTensor(), normalize])
for_validation = Compose([Resize(size), CenterCrop(size), ToTensor(), normalize])
for split, transforms in (("train", for_training), ("validation", for_validation)):

    def transform(batch, transforms=transforms):
        batch["pixel_values"] = [transforms(image.convert("RGB")) for image in batch["image"]]
        return batch

    dataset[split].set_transform(transform)

args = TrainingArguments(
    output_dir=output,
    remove_unused_columns=False,
    num_train_epochs=4,
    learning_rate=2e-3,
    eval_strategy="epoch",
    save_strategy="epoch",
    load_best_model_at_end=True,
    logging_steps=5,
    use_cpu=True,
    seed=0,
)
trainer = Trainer(
    model=model,
    args=args,
    train_dataset=dataset["train"],
    eval_dataset=dataset["validation"],
    compute_metrics=compute_metrics,
    processing_class=image_processor,
    data_collator=collate,
)
train_result = trainer.train(resume_from_checkpoint=None)
trainer.save_model()
trainer.log_metrics("train", train_result.metrics)
trainer.save_metrics("train", train_result.metrics)
trainer.save_state()
metrics = trainer.evaluate()
trainer.save_metrics("eval", metrics)
trainer.create_model_card(finetuned_from=model_name, tasks="image-classification", tags=["image-classification"])

truth = dataset["validation"]["label"][:]
majority = max(truth.count(number) for number in set(truth)) / len(truth)
assert metrics["eval_accuracy"] > majority + 0.2, (metrics, majority)
folder = os.path.join(faces, "validation", labels[0])
answers = pipeline("image-classification", model=output)(os.path.join(folder, os.listdir(folder)[0]))
assert {answer["label"] for answer in answers} == set(labels), answers
