"""LoRA adapters of peft on a folder of ours: trained, saved, loaded, merged.

python adapters.py MODEL FACES METRIC OUTPUT
"""

import sys

import numpy as np
import torch
from datasets import load_dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoImageProcessor,
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
labels = {"id2label": dict(enumerate(dataset["train"].features["label"].names)), "ignore_mismatched_sizes": True}


def preprocess(rows):
    return {"pixel_values": processor(rows["image"])["pixel_values"], "labels": rows["label"]}


dataset = dataset.map(preprocess, batched=True, remove_columns=["image", "label"]).with_format("torch")
model = AutoModelForImageClassification.from_pretrained(model_name, **labels)
frozen = {name: tensor.clone() for name, tensor in model.hmtl.backbone.state_dict().items()}
model = get_peft_model(model, LoraConfig(r=8, **model.lora_modules()))
trainable, total = model.get_nb_trainable_parameters()
assert trainable < total / 2, (trainable, total)
trainer = Trainer(
    model,
    TrainingArguments(output, num_train_epochs=4, learning_rate=5e-3, use_cpu=True, save_strategy="no", seed=0),
    train_dataset=dataset["train"],
    eval_dataset=dataset["validation"],
    data_collator=default_data_collator,
    compute_metrics=lambda e: {"accuracy": float((np.argmax(e.predictions, axis=1) == e.label_ids).mean())},
)
trainer.train()
truth = dataset["validation"]["labels"][:].tolist()
majority = max(truth.count(number) for number in set(truth)) / len(truth)
metrics = trainer.evaluate()
assert metrics["eval_accuracy"] > majority + 0.2, (metrics, majority)
model.save_pretrained(output + "/adapter")

pixels = torch.stack([row["pixel_values"] for row in dataset["validation"]])
wanted = model.eval()(pixel_values=pixels).logits
base = AutoModelForImageClassification.from_pretrained(model_name, **labels)
loaded = PeftModel.from_pretrained(base, output + "/adapter").eval()
torch.testing.assert_close(loaded(pixel_values=pixels).logits, wanted)
merged = loaded.merge_and_unload()
torch.testing.assert_close(merged.eval()(pixels).logits, wanted, rtol=1e-4, atol=1e-4)
merged.slim().save_pretrained(output + "/merged")
plain = AutoModelForImageClassification.from_pretrained(output + "/merged")
torch.testing.assert_close(plain(pixels).logits, wanted, rtol=1e-4, atol=1e-4)
for name, tensor in base.hmtl.backbone.state_dict().items():
    convolution = tensor.ndim == 4
    moved = name in frozen and not torch.equal(tensor, frozen[name])
    assert not moved or convolution or "bn" in name, name  # merged into the convolutions, and the batch norms' own
