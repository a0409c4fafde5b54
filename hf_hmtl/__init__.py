"""Hybrid Multi-Task Learning (arXiv 2105.06421) for the Hugging Face ecosystem.

`import hf_hmtl` registers the model, its configuration and its image processor with the Auto classes of transformers.
Everything else is imported when it is first used.
"""

import importlib

from hf_hmtl._version import __version__

_PUBLIC = {
    "HMTLConfig": "hf_hmtl.model.configuration_hmtl",
    "HMTLForImageClassification": "hf_hmtl.model.modeling_hmtl",
    "HMTLModel": "hf_hmtl.model.modeling_hmtl",
    "HMTLOutput": "hf_hmtl.model.modeling_hmtl",
    "HMTLImageProcessor": "hf_hmtl.model.image_processing_hmtl",
    "HMTLTrainer": "hf_hmtl.training.trainer",
    "HMTLTrainingArguments": "hf_hmtl.training.arguments",
    "Recipe": "hf_hmtl.recipe",
    "Result": "hf_hmtl.results.result",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register() -> None:
    from hf_hmtl.model.registration import register

    register()


_register()
