"""Makes the Auto classes of transformers know the model; stays behind when the other files travel to the Hub."""

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

from .configuration_hmtl import HMTLConfig
from .image_processing_hmtl import HMTLImageProcessor
from .modeling_hmtl import HMTLForImageClassification, HMTLModel


def register():
    """Registers config, models and image processor, and lets `save_pretrained` copy their code; may be called twice."""
    AutoConfig.register(HMTLConfig.model_type, HMTLConfig, exist_ok=True)
    AutoModel.register(HMTLConfig, HMTLModel, exist_ok=True)
    AutoModelForImageClassification.register(HMTLConfig, HMTLForImageClassification, exist_ok=True)
    # One class for either backend: transformers asks for "torchvision" where that is installed and else for "pil".
    classes = {"torchvision": HMTLImageProcessor, "pil": HMTLImageProcessor}
    AutoImageProcessor.register(HMTLConfig, image_processor_classes=classes, exist_ok=True)
    HMTLConfig.register_for_auto_class()
    HMTLModel.register_for_auto_class("AutoModel")
    HMTLForImageClassification.register_for_auto_class("AutoModelForImageClassification")
    HMTLImageProcessor.register_for_auto_class()
