"""Makes the Auto classes of transformers know the model; stays behind when the other files travel to the Hub."""

import functools

from transformers import AutoConfig

from .configuration_hmtl import HMTLConfig
from .configuration_sequence_hmtl import HMTLSequenceConfig

TASK = "face-analysis"


def register_on_first_use():
    """Registers the configuration at once, and models, image processor and pipeline with the first configuration.

    Every Auto class begins with a configuration. The classes of the models need most of transformers, timm and
    torchvision, which cost seconds to import: a script pays them when it loads something, not for `import hf_hmtl`.
    """
    AutoConfig.register(HMTLConfig.model_type, HMTLConfig, exist_ok=True)
    AutoConfig.register(HMTLSequenceConfig.model_type, HMTLSequenceConfig, exist_ok=True)  # it holds an HMTLConfig
    HMTLConfig.pipelines_are_registered = True
    make = HMTLConfig.__init__

    @functools.wraps(make)
    def make_first(self, *arguments, **options):
        HMTLConfig.__init__ = make
        register()
        make(self, *arguments, **options)

    HMTLConfig.__init__ = make_first


def register():
    """Registers configuration, models, image processor and pipeline; may be called twice."""
    from transformers import (
        AutoImageProcessor,
        AutoModel,
        AutoModelForImageClassification,
        AutoModelForVideoClassification,
    )
    from transformers.pipelines import PIPELINE_REGISTRY

    from .image_processing_hmtl import HMTLImageProcessor
    from .modeling_hmtl import HMTLForImageClassification, HMTLModel
    from .modeling_sequence_hmtl import HMTLSequenceForVideoClassification, HMTLSequenceModel
    from .pipeline_hmtl import FaceAnalysisPipeline

    AutoConfig.register(HMTLConfig.model_type, HMTLConfig, exist_ok=True)
    AutoConfig.register(HMTLSequenceConfig.model_type, HMTLSequenceConfig, exist_ok=True)
    AutoModel.register(HMTLSequenceConfig, HMTLSequenceModel, exist_ok=True)
    AutoModelForVideoClassification.register(HMTLSequenceConfig, HMTLSequenceForVideoClassification, exist_ok=True)
    AutoModel.register(HMTLConfig, HMTLModel, exist_ok=True)
    AutoModelForImageClassification.register(HMTLConfig, HMTLForImageClassification, exist_ok=True)
    # One class for either backend: transformers asks for "torchvision" where that is installed and else for "pil".
    classes = {"torchvision": HMTLImageProcessor, "pil": HMTLImageProcessor}
    for config in (HMTLConfig, HMTLSequenceConfig):
        AutoImageProcessor.register(config, image_processor_classes=classes, exist_ok=True)
    if TASK not in PIPELINE_REGISTRY.get_supported_tasks():
        kinds = {"pt_model": AutoModelForImageClassification, "type": "image"}
        PIPELINE_REGISTRY.register_pipeline(TASK, FaceAnalysisPipeline, **kinds)
