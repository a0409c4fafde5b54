"""Short trainings of every task and pretext, in one process or as many as torch's launcher starts: what they lose.

    python -m torch.distributed.run --standalone --nproc_per_node 4 tests/processes.py FILE cpu frozen

As many processes as there are, a step has 16 rows, of an epoch of 40; 30 rows are evaluated. Dropout is 0, and batch
norm is `frozen`, or it sees the rows of its `own` process or of `all`. The first process writes FILE.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from transformers import set_seed

from hf_hmtl import HMTLForImageClassification, HMTLTrainer, HMTLTrainingArguments
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces
from hf_hmtl.tasks.attributes import Attributes
from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.head_pose import HeadPose
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.label_augmentation import LabelAugmentation
from hf_hmtl.tasks.localizable_rotation import LocalizableRotation
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.regression import Regression
from hf_hmtl.tasks.rotation import Rotation
from hf_hmtl.tasks.votes import Votes
from hf_hmtl.training.batch_norm import is_batch_norm

ROWS, EVALUATED, STEP, STEPS = 40, 30, 16, 3


def groups_of(faces):
    """[tasks that can be learned together]: all there are, those that compare the rows of a step among them."""
    emotion = Classification.of(faces["train"], "emotion")
    votes = Votes(name="votes", column="emotion", shares="votes", labels=emotion.labels)
    units = Attributes(name="units", column=("au1", "au12"), threshold=0.3)
    twins = BarlowTwins(hidden=16, features=8, weight=0.01)
    joint = LabelAugmentation(of="emotion", classes=len(emotion.labels))
    groups = [
        [emotion, Regression(name="arousal", loss="ccc"), Puzzle(grid=2), Rotation(tiles=2), InPainting(), twins],
        [votes, units, HeadPose(), Puzzle(grid=3, view="own", share=0.5), LocalizableRotation()],
        [emotion, Regression(name="valence"), joint, Rotation()],
    ]
    return [[dataclasses.replace(task, dropout=0.0) for task in tasks] for tasks in groups]


def rows():
    """Drawn faces with votes beside their emotion."""
    faces = synthetic_faces(train=ROWS, validation=EVALUATED, test=0, size=48, seed=0, action_units=True)

    def voted(row):
        return {"votes": [float(3 * (place == row["emotion"]) + (place == row["emotion"] // 2)) for place in range(8)]}

    return faces.map(voted)


def trained(faces, tasks, folder, device, norm):
    """{"losses": of each step, "scores": of the evaluation} of a short training."""
    set_seed(0)
    model = HMTLForImageClassification.for_tasks(tasks, backbone="test_resnet", image_size=48)
    if norm == "frozen":
        for layer in filter(is_batch_norm, model.modules()):
            layer.eval().train = lambda mode=True, layer=layer: layer
    processes = int(os.environ.get("WORLD_SIZE", 1))
    args = HMTLTrainingArguments(
        str(folder), use_cpu=device == "cpu", per_device_train_batch_size=STEP // processes, max_steps=STEPS, seed=7,
        per_device_eval_batch_size=4, logging_steps=1, optim="sgd", learning_rate=0.01, save_strategy="no",
        report_to="none", disable_tqdm=True, sync_batchnorm=norm == "all",
        ddp_backend="gloo" if processes > 1 else None,
    )  # fmt: skip
    assert args.world_size == processes
    trainer = HMTLTrainer(model, args, tasks, train_dataset=faces["train"], eval_dataset=faces["validation"])
    trainer.train()
    losses = [{name: value for name, value in entry.items() if "loss" in name} for entry in trainer.state.log_history]
    return {"losses": losses[:STEPS], "scores": trainer.evaluate()}


def launched(processes, file, device="cpu", norm="frozen"):
    """What so many processes have written, each of one thread."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), __file__, str(file), device, norm]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text())


# One of two or four was seen to abort while Python took down the threads of gloo, which networks still refer to.
LEAVE = """
if torch.distributed.is_initialized():
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
import os
sys.stdout.flush()
os._exit(0)
"""
"""How a script of one of several processes ends when all that it had to say is said."""


def main(file, device, norm):
    """Train each group in turn; processes on GPUs share the first."""
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # products of float32 proper
    if device != "cpu" and "LOCAL_RANK" in os.environ:
        os.environ["LOCAL_RANK"] = "0"
    faces = rows()
    content = [trained(faces, tasks, f"{file}.out", device, norm) for tasks in groups_of(faces)]
    if int(os.environ.get("RANK", 0)) == 0:
        Path(file).write_text(json.dumps(content))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
        sys.stdout.flush()
        os._exit(0)  # as LEAVE


if __name__ == "__main__":
    main(*sys.argv[1:])
