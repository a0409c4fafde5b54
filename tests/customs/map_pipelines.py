"""A folder of ours in the map pipelines of `datasets`: preprocessed columns, frozen features, a plain Trainer.

python map_pipelines.py MODEL FACES METRIC OUTPUT
"""

import sys

import numpy as np
import torch
from datasets import load_dataset
from sklearn.linear_model import LogisticRegression
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

import hf_hmtl  # noqa: F401  (makes the Auto classes know the folder)

model_name, faces, _, output = sys.argv[1:]
set_seed(0)
dataset = load_dataset("imagefolder", data_dir=faces)
processor = AutoImageProcessor.from_pretrained(model_name)
backbone = AutoModel.from_pretrained(model_name)


def preprocess(rows):
    return {"pixel_values": processor(rows["image"], return_tensors="np")["pixel_values"], "labels": rows["label"]}


def extract_features(rows):
    with torch.no_grad():
        return {"features": backbone(**processor(rows["image"])).pooler_output.numpy()}


features = dataset.map(extract_features, batched=True, batch_size=32)
train, validation = features["train"], features["validation"]
truth = validation["label"][:]
majority = max(truth.count(number) for number in set(truth)) / len(truth)
probe = LogisticRegression(max_iter=2000).fit(np.asarray(train["features"][:]), train["label"][:])
found = probe.score(np.asarray(validation["features"][:]), truth)
assert found > majority + 0.2, (found, majority)

pixels = dataset.map(preprocess, batched=True, remove_columns=["image", "label"]).with_format("torch")
assert pixels["train"][0]["pixel_values"].dtype == torch.int64  # what a table makes of uint8
names = dataset["train"].features["label"].names
model = AutoModelForImageClassification.from_pretrained(
    model_name, id2label=dict(enumerate(names)), ignore_mismatched_sizes=True
)
trainer = Trainer(
    model,
    TrainingArguments(output, num_train_epochs=4, learning_rate=2e-3, use_cpu=True, save_strategy="no", seed=0),
    train_dataset=pixels["train"],
    eval_dataset=pixels["validation"],
    data_collator=default_data_collator,
    compute_metrics=lambda e: {"accuracy": float((np.argmax(e.predictions, axis=1) == e.label_ids).mean())},
)
trainer.train()
metrics = trainer.evaluate()
assert metrics["eval_accuracy"] > majority + 0.2, (metrics, majority)
