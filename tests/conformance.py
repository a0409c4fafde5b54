"""Runs the common tests of the installed transformers on our classes: `make test-conformance`.

The source distribution of transformers carries its common tests, but not the few modules of its test tree that they
import; those are replaced by empty ones here. Nothing of transformers is copied into the project: it is unpacked below
`outputs/conformance`.

A failure counts on the version that is recorded in `CONFORMING` only; another version is reported, since its tests may
ask for something new. Without a connection to the package index nothing can be tested, which is said, and is a failure
unless `--skip-when-unreachable` is given.
"""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
from pathlib import Path

CONFORMING = "5.24.0"
"""The version of transformers whose common tests all pass."""

WORK_FOLDER = Path("outputs/conformance")

STUBS = {
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/test_configuration_utils.py": "config_common_kwargs = {}\n",
}

TESTS = '''
import copy
import unittest

import torch
from torch import nn
from transformers.models.auto import modeling_auto
from transformers.testing_utils import torch_device

from hf_hmtl import HMTLConfig, HMTLForImageClassification, HMTLModel
from tests import test_modeling_common
from tests.test_configuration_common import ConfigTester
from tests.test_modeling_common import ModelTesterMixin

# The models of transformers itself stand in these lists, by which the tests know what each can be given.
modeling_auto.MODEL_MAPPING_NAMES["hmtl"] = "HMTLModel"
modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES["hmtl"] = "HMTLForImageClassification"

# The tests make every "..._std" of a configuration tiny, taking it for one of the initialisation.
zeroed = test_modeling_common._config_zero_init


def all_but_the_pixels(config):
    configuration = zeroed(config)
    configuration.pixel_std = config.pixel_std
    return configuration


test_modeling_common._config_zero_init = all_but_the_pixels

EMOTION = {"kind": "linear", "shape": [8], "labels": [f"emotion {number}" for number in range(8)]}
PUZZLE = {"kind": "linear", "shape": [9, 9], "auxiliary": True}
STAGES = 5  # of the backbone below


class ModelTester:
    """What the common tests ask of a model's own tester."""

    batch_size, num_channels, image_size, num_labels, seq_length = 3, 3, 48, 8, 1
    is_training, hidden_size, num_hidden_layers, num_attention_heads = True, 32, 1, 1

    def __init__(self, parent):
        self.parent = parent

    def get_config(self):
        return HMTLConfig(backbone="test_resnet", image_size=48, heads={"emotion": EMOTION, "puzzle": PUZZLE})

    def prepare_config_and_inputs_for_common(self):
        pixels = torch.rand(self.batch_size, 3, self.image_size, self.image_size, device=torch_device)
        return self.get_config(), {"pixel_values": pixels}


class HMTLCommonTest(ModelTesterMixin, unittest.TestCase):
    all_model_classes = (HMTLModel, HMTLForImageClassification)
    pipeline_model_mapping = {"image-feature-extraction": HMTLModel, "image-classification": HMTLForImageClassification}
    test_resize_embeddings, has_attentions, is_encoder_decoder = False, False, False

    def setUp(self):
        self.model_tester = ModelTester(self)
        self.config_tester = ConfigTester(self, config_class=HMTLConfig, has_text_modality=False, common_properties=[])

    def test_config(self):
        self.config_tester.run_common_tests()

    def test_model_get_set_embeddings(self):
        """The common test wants a table of token embeddings. Vision models replace it (ViT), and wrappers of timm and
        convolutional ones have none (ResNet skips it); here it is the stem, which can be replaced."""
        for model_class in self.all_model_classes:
            model = model_class(self.model_tester.get_config())
            self.assertIsInstance(model.get_input_embeddings(), nn.Conv2d)
            stem = copy.deepcopy(model.get_input_embeddings())
            model.set_input_embeddings(stem)
            self.assertIs(model.get_input_embeddings(), stem)
            self.assertIsNone(model.get_output_embeddings())

    def test_hidden_states_output(self):
        """The common test wants (sequence, channels); convolutional models replace it (ResNet), since theirs are maps,
        one a stage, each half as large as the one before."""
        for model_class in self.all_model_classes:
            config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
            for asked_by_config in (False, True):
                config.output_hidden_states = asked_by_config
                model = model_class(config).to(torch_device).eval()
                with torch.no_grad():
                    outputs = model(**inputs, **({} if asked_by_config else {"output_hidden_states": True}))
                sides = [tuple(maps.shape[-2:]) for maps in outputs.hidden_states]
                self.assertEqual(sides, [(48 // 2**stage, 48 // 2**stage) for stage in range(1, STAGES)] + [(2, 2)])
'''


def unpacked(folder: Path, version: str) -> Path | None:
    """The tests of this version of transformers, unpacked below `folder`; None when they cannot be fetched."""
    archive = folder / f"transformers-{version}.tar.gz"
    if not archive.is_file():
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        if subprocess.run([*fetch, "--dest", str(folder), f"transformers=={version}"]).returncode:
            return None
    with tarfile.open(archive) as tar:
        tar.extractall(folder, [member for member in tar.getmembers() if "/tests/" in member.name], filter="data")
    return folder / f"transformers-{version}"


def main() -> int:
    """Fetch, unpack and run; the exit code of pytest where it counts."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--skip-when-unreachable"]
    version = importlib.metadata.version("transformers")
    WORK_FOLDER.mkdir(parents=True, exist_ok=True)
    root = unpacked(WORK_FOLDER.resolve(), version)
    if root is None:
        print(f"NOT TESTED: the source distribution of transformers {version} cannot be fetched.")
        return 0 if "--skip-when-unreachable" in sys.argv else 1
    for name, text in {**STUBS, "test_hmtl.py": TESTS}.items():
        path = root / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # not this project's settings
    command = [sys.executable, "-m", "pytest", "tests/test_hmtl.py", "-q", "-W", "ignore", "-p", "no:cacheprovider"]
    code = subprocess.run([*command, *arguments], cwd=root, env={**os.environ, "HF_HUB_OFFLINE": "1"}).returncode
    if code and version != CONFORMING:
        print(f"REPORTED ONLY: transformers {version} is installed; the version that conforms is {CONFORMING}.")
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
