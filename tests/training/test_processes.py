"""Processes of torch's own launcher: the losses of one, one network, one set of batch-norm statistics in every
evaluation, and one verdict on every step."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from processes import EVALUATED, LEAVE, STEPS, launched
from runs import TINY, tells_of_a_lost_worker

from hf_hmtl.data.sampler import EpochRowSampler
from hf_hmtl.training.checkpoint import resume_point

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
"""


@pytest.mark.slow
@pytest.mark.parametrize("broadcast", ["null", "false"], ids=["by default", "each its own"])
def test_every_process_evaluates_the_statistics_that_are_saved(tmp_path, broadcast):
    (tmp_path / "script.py").write_text(SCRIPT + LEAVE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, str(tmp_path / "script.py"), str(tmp_path), broadcast]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["seen"] == second["seen"] and len(first["seen"]) == 3
    assert first["scores"]["eval_emotion_accuracy"] == second["scores"]["eval_emotion_accuracy"]
    assert first["scores"]["eval_emotion_count"] == 32


SPOILED = """
import json, sys, torch
import datasets
from pathlib import Path
from transformers import set_seed
from hf_hmtl import HMTLForImageClassification, HMTLTrainer, HMTLTrainingArguments
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.tasks.regression import Regression

faces, bad = synthetic_faces(train=64, validation=8, test=8, size=48, seed=0)["train"], 17
valence = [3e38 if row == bad else value for row, value in enumerate(faces["valence"][:])]
faces = faces.remove_columns("valence").add_column("valence", valence, feature=datasets.Value("float32"))
tasks = [Regression(name="valence", loss="mse")]
set_seed(0)
model = HMTLForImageClassification.for_tasks(tasks, backbone="test_resnet", image_size=48)
folder = Path(sys.argv[1])
args = HMTLTrainingArguments(
    str(folder / "out"), use_cpu=True, per_device_train_batch_size=8, max_steps=4, save_strategy="no", seed=7,
    report_to="none", disable_tqdm=True, on_nonfinite=sys.argv[2],
)
trainer, said = HMTLTrainer(model, args, tasks, train_dataset=faces), ""
try:
    trainer.train()
except ValueError as error:
    said = str(error)
content = {"said": said, "left out": trainer.finite_steps.left_out, "processes": args.world_size}
content["weights"] = [float(each.double().sum()) for each in model.parameters()]
(folder / f"{args.process_index}.json").write_text(json.dumps(content))
"""


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["skip", "stop"])
def test_a_step_that_is_not_finite_in_one_process_is_judged_by_all(tmp_path, policy):
    (tmp_path / "script.py").write_text(SPOILED + LEAVE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "script.py"), str(tmp_path), policy], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["processes"] == 2 and first["weights"] == second["weights"]
    batches = EpochRowSampler(64, 16, 7).order(0).reshape(-1, 16)  # of both processes together
    step = next(number for number, rows in enumerate(batches, 1) if 17 in rows)
    assert np.isfinite(first["weights"]).all()
    if policy == "skip":
        assert first["left out"] == second["left out"] == [step] and not first["said"]
    else:
        assert first["said"] == second["said"] and first["said"].startswith(
            f"step {step}: the loss of valence is inf; "
        )
        shown = first["said"].partition("rows: ")[2].partition(". No weight")[0].split(", ")
        rank = list(batches[step - 1]).index(17) % 2  # every second row of a batch is a process's
        assert shown == [f"drawn-train-{row:06}.jpg" for row in batches[step - 1][rank::2]]


TOLD = """
import json, os, signal, sys, torch
from pathlib import Path
from transformers import set_seed
from hf_hmtl import Classification, HMTLForImageClassification, HMTLTrainer, HMTLTrainingArguments
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.ending import ToldToEnd, told

faces = synthetic_faces(train=64, validation=8, test=8, size=48, seed=0)
tasks = [Classification.of(faces["train"], "emotion")]
set_seed(0)
model = HMTLForImageClassification.for_tasks(tasks, backbone="test_resnet", image_size=48)
folder = Path(sys.argv[1])
args = HMTLTrainingArguments(
    str(folder / "out"), use_cpu=True, per_device_train_batch_size=8, max_steps=4, save_strategy="no",
    report_to="none", disable_tqdm=True,
)
trainer, said, steps = HMTLTrainer(model, args, tasks, train_dataset=faces["train"]), "", []
make_step = trainer.training_step

def training_step(*arguments, **options):
    steps.append(1)
    if args.process_index == 1 and len(steps) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return make_step(*arguments, **options)

trainer.training_step = training_step
try:
    with told():
        trainer.train()
except ToldToEnd as end:
    said = str(end)
(folder / f"{args.process_index}.json").write_text(json.dumps({"said": said, "steps": len(steps)}))
"""


@pytest.mark.slow
def test_all_processes_end_behind_the_same_step_when_one_was_told_to(tmp_path):
    """The one after that in which they learned of it together, as no step waits for what a device has to say."""
    (tmp_path / "script.py").write_text(TOLD + LEAVE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launcher, str(tmp_path / "script.py"), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        left = json.loads((tmp_path / f"{rank}.json").read_text())
        assert left == {"said": "checkpoint-3 is written", "steps": 3}
    args = SimpleNamespace(output_dir=str(tmp_path / "out"), world_size=2, precision="float32")
    args.load_best_model_at_end = False
    assert resume_point("last", args) == tmp_path / "out" / "checkpoint-3"


@pytest.mark.slow
def test_two_and_four_processes_lose_what_one_loses_of_every_task_and_pretext(tmp_path):
    """And each of the evaluated rows counts once, of which four processes cannot have equally many."""
    assert EVALUATED % 4
    one, two, four = (launched(processes, tmp_path / f"{processes}.json") for processes in (1, 2, 4))
    for several in (two, four):
        for alone, together in zip(one, several, strict=True):
            assert len(together["losses"]) == STEPS
            for expected, found in zip(alone["losses"], together["losses"], strict=True):
                assert len(found) >= 5 and found == pytest.approx(expected, rel=1e-5)
            scores = {name: value for name, value in alone["scores"].items() if name.endswith(("_count", "_loss"))}
            del scores["eval_loss"]  # a mean over batches, which are others
            assert {name: together["scores"][name] for name in scores} == pytest.approx(scores, rel=1e-5)
            assert {value for name, value in scores.items() if name.endswith("_count")} == {EVALUATED}


DIES = """
import os, sys
from hf_hmtl.commands import main
from hf_hmtl.data.collator import TrainingCollator

collate, calls = TrainingCollator.__call__, []

def dies(self, rows):
    calls.append(1)
    if os.environ["RANK"] == "1" and len(calls) == 2:
        os._exit(3)
    return collate(self, rows)

TrainingCollator.__call__ = dies
sys.argv = ["hf-hmtl", "train", "quickstart", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_a_loader_worker_of_one_process_that_dies_ends_them_all(tmp_path):
    """The other process waits for its sums, and would for ever."""
    (tmp_path / "script.py").write_text(DIES)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    options = [*TINY, "--output_dir", str(tmp_path / "out"), "--dataloader_num_workers", "1"]
    command = [*launcher, str(tmp_path / "script.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and tells_of_a_lost_worker(done.stderr), done.stderr[-3000:]
    assert not (tmp_path / "out" / "result.json").exists()
