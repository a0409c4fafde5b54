"""Hybrid Multi-Task Learning (arXiv 2105.06421) for the Hugging Face ecosystem.

`import hf_hmtl` makes the Auto classes of transformers know the model, its configuration and its image processor.
Everything else is imported when it is first used.
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hf_hmtl._version import __version__

if TYPE_CHECKING:  # for editors and type checkers; at run time `__getattr__` imports a name when it is first used
    from hf_hmtl.data.augmentation import Augmentation
    from hf_hmtl.data.collator import EvaluationCollator, TrainingCollator
    from hf_hmtl.data.mixture import Mixture
    from hf_hmtl.model.configuration_hmtl import HMTLConfig
    from hf_hmtl.model.configuration_sequence_hmtl import HMTLSequenceConfig
    from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
    from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification, HMTLModel
    from hf_hmtl.model.modeling_sequence_hmtl import HMTLSequenceForVideoClassification, HMTLSequenceModel
    from hf_hmtl.model.outputs_hmtl import HMTLOutput
    from hf_hmtl.model.pipeline_hmtl import FaceAnalysisPipeline
    from hf_hmtl.recipe import Recipe
    from hf_hmtl.results.result import Result
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
    from hf_hmtl.training.arguments import HMTLTrainingArguments
    from hf_hmtl.training.trainer import HMTLTrainer

_PUBLIC = {
    "Attributes": "hf_hmtl.tasks.attributes",
    "Augmentation": "hf_hmtl.data.augmentation",
    "BarlowTwins": "hf_hmtl.tasks.barlow_twins",
    "Classification": "hf_hmtl.tasks.classification",
    "EvaluationCollator": "hf_hmtl.data.collator",
    "FaceAnalysisPipeline": "hf_hmtl.model.pipeline_hmtl",
    "HMTLConfig": "hf_hmtl.model.configuration_hmtl",
    "HMTLForImageClassification": "hf_hmtl.model.modeling_hmtl",
    "HMTLImageProcessor": "hf_hmtl.model.image_processing_hmtl",
    "HMTLModel": "hf_hmtl.model.modeling_hmtl",
    "HMTLOutput": "hf_hmtl.model.outputs_hmtl",
    "HMTLSequenceConfig": "hf_hmtl.model.configuration_sequence_hmtl",
    "HMTLSequenceForVideoClassification": "hf_hmtl.model.modeling_sequence_hmtl",
    "HMTLSequenceModel": "hf_hmtl.model.modeling_sequence_hmtl",
    "HMTLTrainer": "hf_hmtl.training.trainer",
    "HMTLTrainingArguments": "hf_hmtl.training.arguments",
    "HeadPose": "hf_hmtl.tasks.head_pose",
    "InPainting": "hf_hmtl.tasks.inpainting",
    "LabelAugmentation": "hf_hmtl.tasks.label_augmentation",
    "LocalizableRotation": "hf_hmtl.tasks.localizable_rotation",
    "Mixture": "hf_hmtl.data.mixture",
    "Puzzle": "hf_hmtl.tasks.puzzle",
    "Recipe": "hf_hmtl.recipe",
    "Regression": "hf_hmtl.tasks.regression",
    "Result": "hf_hmtl.results.result",
    "Rotation": "hf_hmtl.tasks.rotation",
    "TrainingCollator": "hf_hmtl.data.collator",
    "Votes": "hf_hmtl.tasks.votes",
}
__all__ = [
    "Attributes",
    "Augmentation",
    "BarlowTwins",
    "Classification",
    "EvaluationCollator",
    "FaceAnalysisPipeline",
    "HMTLConfig",
    "HMTLForImageClassification",
    "HMTLImageProcessor",
    "HMTLModel",
    "HMTLOutput",
    "HMTLSequenceConfig",
    "HMTLSequenceForVideoClassification",
    "HMTLSequenceModel",
    "HMTLTrainer",
    "HMTLTrainingArguments",
    "HeadPose",
    "InPainting",
    "LabelAugmentation",
    "LocalizableRotation",
    "Mixture",
    "Puzzle",
    "Recipe",
    "Regression",
    "Result",
    "Rotation",
    "TrainingCollator",
    "Votes",
    "__version__",
]


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _is_the_command() -> bool:
    """Whether this process is `hf-hmtl` or `python -m hf_hmtl`, which lists its commands without waiting for torch; a
    command that needs the model imports it."""
    script = sys.argv[0] if sys.argv else ""
    if script == "-m":  # so it is while Python looks for the module
        return sys.orig_argv[sys.orig_argv.index("-m") + 1] == "hf_hmtl"
    return Path(script).stem == "hf-hmtl"


if not _is_the_command():
    importlib.import_module("hf_hmtl.model")  # registers
    importlib.import_module("hf_hmtl.hub")  # publishes what `push_to_hub` is called on
