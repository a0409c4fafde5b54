"""Two processes of torch's own launcher: one network, one set of batch-norm statistics in every evaluation."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, torch
from pathlib import Path
from transformers import TrainerCallback, set_seed
from hf_hmtl import Classification, HMTLForImageClassification, HMTLTrainer, HMTLTrainingArguments, Puzzle
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces

faces = synthetic_faces(train=64, validation=32, test=8, size=48, seed=0)
tasks = [Classification.of(faces["train"], "emotion"), Puzzle(grid=2)]
set_seed(0)
model = HMTLForImageClassification.for_tasks(tasks, backbone="test_efficientnet", image_size=48)
folder = Path(sys.argv[1])
args = HMTLTrainingArguments(
    str(folder / "out"), use_cpu=True, per_device_train_batch_size=8, max_steps=4, eval_strategy="steps", eval_steps=2,
    save_strategy="no", report_to="none", disable_tqdm=True, ddp_broadcast_buffers=json.loads(sys.argv[2]),
)
seen = []

class Watch(TrainerCallback):
    def on_evaluate(self, args, state, control, **kwargs):
        statistics = [float(each.double().sum()) for name, each in trainer.model.named_buffers() if "running" in name]
        seen.append({"statistics": statistics, "weights": sum(float(p.double().sum()) for p in model.parameters())})

trainer = HMTLTrainer(
    model, args, tasks, train_dataset=faces["train"], eval_dataset=faces["validation"], callbacks=[Watch()]
)
trainer.train()
assert args.world_size == 2 and not trainer.model_wrapped.find_unused_parameters
content = {"scores": trainer.evaluate(), "seen": seen}
(folder / f"{args.process_index}.json").write_text(json.dumps(content))
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("broadcast", ["null", "false"], ids=["by default", "each its own"])
def test_every_process_evaluates_the_statistics_that_are_saved(tmp_path, broadcast):
    (tmp_path / "script.py").write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, str(tmp_path / "script.py"), str(tmp_path), broadcast]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["seen"] == second["seen"] and len(first["seen"]) == 3
    assert first["scores"]["eval_emotion_accuracy"] == second["scores"]["eval_emotion_accuracy"]
    assert first["scores"]["eval_emotion_count"] == 32
