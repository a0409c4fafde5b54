"""What a user of transformers types without having read a word of ours, in a fresh interpreter.

Each script is what such a user would write; it runs on a folder trained by this version and on one that version 0.2.0
wrote (`hf-hmtl train drawn/puzzle-2x2-quarter`, 3,000 steps; the code beside it is left out, since the package is
installed), and has to tell apart classes that neither folder knows.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from releases import write_fairface

from hf_hmtl.commands.train import run as train
from hf_hmtl.model.image_processing_hmtl import decode

HERE = Path(__file__).parent
TINTS = {"amber": (255, 180, 60), "blue": (80, 120, 255), "green": (90, 220, 90)}
SCRIPTS = ["image_classification_example", "no_trainer_example", "map_pipelines", "adapters"]


@pytest.fixture(scope="session")
def class_folders(faces, tmp_path_factory):
    """Faces in coloured light, in class folders: 84 train, half of them of one class, and 28 validation."""
    folder = tmp_path_factory.mktemp("faces")
    for split, count in (("train", 84), ("validation", 28)):
        for number in range(count):
            name = ["amber", "blue", "green", "amber"][number % 4]
            pixels = np.asarray(decode(faces[split][number]["image"])) / 255 * np.array(TINTS[name])
            path = folder / split / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder that this version trained, for a few steps."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    options = ["--backbone", "test_efficientnet", "--image_size", "48", "--use_cpu", "--disable_tqdm", "true"]
    options += ["--num_train_epochs", "2", "--set", "source.train=192", "source.validation=32", "source.test=32"]
    train(["quickstart", *options, "source.size=48", "--output_dir", str(folder)])
    return folder


def run(script: Path, *arguments, folder: Path):
    environment = {**os.environ, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *map(str, (script, *arguments))]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_knows_transformers_only(script, class_folders, tmp_path):
    model = HERE / "version_0_2_0"
    run(HERE / f"{script}.py", model, class_folders, HERE / "accuracy", tmp_path / "output", folder=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_knows_transformers_only_with_a_folder_of_this_version(script, trained, class_folders, tmp_path):
    run(HERE / f"{script}.py", trained, class_folders, HERE / "accuracy", tmp_path / "output", folder=tmp_path)


STUBS = """
import datasets
import hf_hmtl

pushed = []
datasets.DatasetDict.push_to_hub = lambda self, name: pushed.append((name, self))
"""
CHECKS = """
assert list(model.config.id2label.values()) == ["sleepy", "awake"]
assert pixels["train"][0]["pixel_values"].shape == (3, 48, 48)
((name, dataset),) = pushed
assert name == "user/my-faces-with-features" and len(dataset["train"][0]["features"]) == backbone.pooled_channels
assert len(faces["train"]) > len(faces["validation"]) > 0 and "gender" in features["train"].column_names
assert clips(video, attention_mask=mask).logits.shape == (2, 2)
assert frames(video, attention_mask=mask).logits.shape == (2, 32, 2)
again = clips(features=per_frame, attention_mask=mask).logits
torch.testing.assert_close(again, clips(video, attention_mask=mask).logits)
assert 0 < adapted.get_nb_trainable_parameters()[0] < sum(parameter.numel() for parameter in model.parameters())
"""


def test_what_the_readme_shows_of_transformers(class_folders, tmp_path):
    section = (HERE.parents[1] / "README.md").read_text().split("## At home in transformers")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "my_faces").symlink_to(class_folders)
    (tmp_path / "DIR").mkdir()
    write_fairface(tmp_path / "DIR")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "quickstart").symlink_to(HERE / "version_0_2_0")
    (tmp_path / "readme.py").write_text("\n".join([STUBS, *blocks, CHECKS]))
    run(tmp_path / "readme.py", folder=tmp_path)


SMALLER = {
    'backbone="efficientnet_b0", image_size=96': 'backbone="test_efficientnet", image_size=48',
    'HMTLTrainingArguments("out", num_train_epochs=10)': 'HMTLTrainingArguments("out", num_train_epochs=10, '
    "learning_rate=5e-3, use_cpu=True, report_to='none')",
}
TRAINED = """
import numpy as np
from transformers import AutoModelForImageClassification, pipeline
truth = np.array(faces["validation"]["label"][:])
majority = np.bincount(truth).max() / len(truth)
assert trainer.evaluate()["eval_label_accuracy"] > majority + 0.2, trainer.evaluate()
shipped = AutoModelForImageClassification.from_pretrained("my_model")
assert list(shipped.config.heads) == ["label"] and "auxiliary" not in str(shipped.state_dict().keys())
answers = [one[0]["label"] for one in pipeline("image-classification", "my_model")(faces["validation"]["image"][:])]
wanted = np.array(faces["validation"].features["label"].names)[truth]
assert (np.array(answers) == wanted).mean() == trainer.evaluate()["eval_label_accuracy"]
"""


def test_what_the_readme_shows_of_the_trainer(class_folders, tmp_path):
    section = (HERE.parents[1] / "README.md").read_text().split("## The trainer as a library")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    for shown, smaller in SMALLER.items():
        assert shown in block
        block = block.replace(shown, smaller)
    (tmp_path / "my_faces").symlink_to(class_folders)
    (tmp_path / "readme.py").write_text("\n".join(["import transformers; transformers.set_seed(0)", block, TRAINED]))
    run(tmp_path / "readme.py", folder=tmp_path)
