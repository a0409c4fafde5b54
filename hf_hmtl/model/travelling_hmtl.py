"""What a saved configuration says about the code beside it, so that Auto classes and pipelines find it anywhere."""

from .configuration_hmtl import HMTLConfig

_AUTO_MAP = {
    "AutoModel": "modeling_hmtl.HMTLModel",
    "AutoModelForImageClassification": "modeling_hmtl.HMTLForImageClassification",
    "AutoImageProcessor": "image_processing_hmtl.HMTLImageProcessor",
}


def name_code(config: HMTLConfig):
    """Writes into a configuration where its classes and its pipeline stand.

    The base class names the saved class only: AutoModel would refuse the folder of a classifier. The image processor
    stands here and not in its own file because there pipeline() takes the name for that of a video processor as well,
    and asks whether it may run code although the class is installed.
    """
    from .pipeline_hmtl import FaceAnalysisPipeline  # its file is saved because it is imported here, in words

    config.auto_map = dict(_AUTO_MAP)
    implementation = f"pipeline_hmtl.{FaceAnalysisPipeline.__name__}"
    kinds = {"pt": ["AutoModelForImageClassification"], "type": "image"}
    config.custom_pipelines = {"face-analysis": {"impl": implementation, **kinds}}
