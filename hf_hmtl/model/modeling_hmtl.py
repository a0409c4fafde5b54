"""The HMTL network: one timm backbone that takes pixels, and one head per task on top of it."""

import copy
import os
from dataclasses import dataclass
from typing import NamedTuple

import timm
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from .backbone_hmtl import feature_pyramid, new_backbone, published_weights, weights_from_file
from .configuration_hmtl import LOSS_WEIGHTS, HMTLConfig
from .heads_hmtl import Features, build_head

_RANGE_TOLERANCE = 1e-3  # resampling and attacks overshoot [0, 1] by rounding errors, other scalings by far more
_AUTO_MAP = {
    "AutoModel": "modeling_hmtl.HMTLModel",
    "AutoModelForImageClassification": "modeling_hmtl.HMTLForImageClassification",
    "AutoImageProcessor": "image_processing_hmtl.HMTLImageProcessor",
}


@dataclass
class HMTLOutput(ModelOutput):
    """What the network says about a batch.

    Args:
        loss: cross-entropy of the primary head, when `labels` were given.
        logits: output of the primary head, (rows, classes); None when it was not computed.
        predictions: {head: (rows, *shape)}, for decoders (rows, 3, height, width) in [0, 1].
        log_variances: {head: scalar}, learned loss weights of the computed heads, when the config asks for them and
            `views` were given, as they are in training.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    predictions: ModelOutput | None = None
    log_variances: dict | None = None


class BackboneReport(NamedTuple):
    """Names of the tensors that were taken over, and of those of the source that were not (its heads)."""

    taken: list
    not_taken: list

    def __str__(self) -> str:
        heads = sorted({".".join(name.split(".")[:2]) for name in self.not_taken})
        return f"taken over: {len(self.taken)} backbone tensors; not taken: {', '.join(heads) or 'nothing'}"


class HMTLPreTrainedModel(PreTrainedModel):
    """What the two models share: initialisation, saving with their code, and taking over backbones."""

    config_class = HMTLConfig
    base_model_prefix = "hmtl"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    accepts_loss_kwargs = False  # the loss is a plain mean: the Trainer has to divide it when it accumulates gradients

    def _init_weights(self, module: nn.Module):
        """Initialises one module of ours; timm's own modules are marked as done and never come here.

        Heads start as the authors' Keras layers do: Glorot uniform weights and zero biases.
        """
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.ParameterDict):
            for log_variance in module.values():
                init.zeros_(log_variance)
        elif isinstance(module, HMTLModel):
            module.complete_after_loading()
        else:
            super()._init_weights(module)

    @classmethod
    def from_pretrained(cls, *arguments, **options):
        """Loads a saved model, to compute what it computed before to the last bit; see the base class."""
        loaded = super().from_pretrained(*arguments, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        for tensor in (*model.parameters(), *model.buffers()):
            # Tensors of a safetensors file lie where it says, not at multiples of 64 bytes as torch allocates them, and
            # CPU kernels choose by that how they add up. A copy is laid out like the tensor that was saved.
            if tensor.data_ptr() % 64:
                tensor.data = tensor.data.clone()
        return loaded

    def save_pretrained(self, save_directory, **kwargs):
        """Saves config, safetensors and the code that loads them anywhere; see the base class."""
        # The base class names the saved class only: AutoModel would refuse the folder of a classifier. The image
        # processor stands here and not in its own file because there pipeline() takes the name for that of a video
        # processor as well, and asks whether it may run code although the class is installed.
        self.config.auto_map = dict(_AUTO_MAP)
        super().save_pretrained(save_directory, **kwargs)

    def load_pretrained_backbone(self, source: str | os.PathLike | None = None):
        """Loads ImageNet weights into the backbone, and takes over the pixel statistics they were trained with.

        Args:
            source: a local .safetensors or .pth file with the weights of this timm model (with or without its
                classifier); None for timm's own, from the Hub or its cache.

        Raises:
            OSError: the weights cannot be had; the message names two remedies.
            ValueError: timm publishes none for this backbone, or the file does not fit it.
        """
        name = self.config.backbone
        weights = published_weights(name) if source is None else weights_from_file(source, self.base_model.backbone)
        trained_with = timm.get_pretrained_cfg(name)
        self._take_backbone(weights, source or f"timm's {name}", trained_with.mean, trained_with.std)

    def load_backbone_from(self, source) -> BackboneReport:
        """Takes over the backbone of another HMTL network, by name; heads stay as they are.

        Args:
            source: a folder or Hub name that one of our models was saved to, or such a model.

        Returns:
            What was taken and what was not.

        Raises:
            ValueError: a tensor of the backbone is missing in the source or has another shape.
        """
        if not isinstance(source, HMTLPreTrainedModel):
            source = HMTLForImageClassification.from_pretrained(source)
        weights = source.base_model.backbone.state_dict()
        name = f"{source.config.name_or_path or 'the given model'} (backbone {source.config.backbone!r})"
        self._take_backbone(weights, name, source.config.pixel_mean, source.config.pixel_std)
        return BackboneReport(
            taken=list(weights),
            not_taken=[key for key in source.state_dict() if key.startswith(("heads.", "auxiliary."))],
        )

    def _take_backbone(self, weights: dict, name, mean, std):
        model = self.base_model
        wanted = model.backbone.state_dict()
        missing = [key for key in wanted if key not in weights]
        differing = [
            f"{key} {tuple(weights[key].shape)} instead of {tuple(tensor.shape)}"
            for key, tensor in wanted.items()
            if key in weights and weights[key].shape != tensor.shape
        ]
        if missing or differing:
            raise ValueError(
                f"The weights of {name} do not fit the backbone {self.config.backbone!r}: of its {len(wanted)} tensors "
                f"{len(missing)} are missing {missing[:3]} and {len(differing)} have another shape {differing[:3]}. "
                f"Nothing was loaded. Choose the backbone that the weights belong to."
            )
        model.backbone.load_state_dict({key: weights[key] for key in wanted})
        self.config.pixel_mean, self.config.pixel_std = list(mean), list(std)
        model.set_pixel_statistics()


class HMTLModel(HMTLPreTrainedModel):
    """A timm backbone that takes pixels and normalises them itself.

    Its weights at construction are timm's own initialisation, drawn as `timm.create_model` would draw them.
    """

    _auto_class = "AutoModel"

    def __init__(self, config: HMTLConfig):
        super().__init__(config)
        config.resolve()
        self.backbone = new_backbone(config.backbone, config.image_size)
        for module in self.backbone.modules():
            module._is_hf_initialized = True
        for tensor in (*self.backbone.parameters(), *self.backbone.buffers()):
            tensor._is_hf_initialized = not tensor.is_meta
        self.pooled_channels = getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features
        self.deepest_channels = self.backbone.num_features
        self.pyramid = feature_pyramid(self.backbone)
        # Not saved, because the config says them, and not as attributes, because they have to follow the device.
        self.register_buffer("pixel_scale", torch.empty(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_offset", torch.empty(1, 3, 1, 1), persistent=False)
        self._range_checked = False
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, output_hidden_states: bool = False) -> BaseModelOutputWithPooling:
        """Runs the backbone once.

        Args:
            pixel_values: (rows, 3, height, width): uint8 0..255, or floats 0..1.
            output_hidden_states: also give the feature pyramid, of backbones that have one.

        Returns:
            last_hidden_state: the map before pooling, in the layout of the backbone; pooler_output: (rows, channels);
            hidden_states: the maps of strides 16, 8, 4 and 2, as far as the backbone has them, in the order of
            `self.pyramid`.

        Raises:
            ValueError: the pixels have another type or shape, or, looked at in the first call only because it makes
                the host wait for the device, floats outside [0, 1].
        """
        pixels = self.normalised(pixel_values)
        if not output_hidden_states:
            deepest, skips = self.backbone.forward_features(pixels), None
        else:
            indices = [index for index, _ in self.pyramid.values()]
            deepest, skips = self.backbone.forward_intermediates(pixels, indices=sorted(indices))
            skips = tuple(skips[sorted(indices).index(index)] for index in indices)
        pooled = self.backbone.forward_head(deepest)
        return BaseModelOutputWithPooling(last_hidden_state=deepest, pooler_output=pooled, hidden_states=skips)

    def features(self, pixel_values: torch.Tensor, with_skips: bool) -> Features:
        """Runs the backbone once and gives what heads look at; see `forward`."""
        outputs = self(pixel_values, output_hidden_states=with_skips)
        deepest = outputs.last_hidden_state
        if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC":
            deepest = deepest.permute(0, 3, 1, 2)
        skips = dict(zip(self.pyramid, outputs.hidden_states, strict=True)) if with_skips else {}
        return Features(outputs.pooler_output, deepest, skips, tuple(pixel_values.shape[-2:]))

    def normalised(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(pixels / 255 - mean) / std in float32, then in the type of the parameters; strides are kept."""
        if pixel_values.ndim != 4 or pixel_values.shape[1] != 3:
            raise ValueError(
                f"pixel_values has the shape (rows, 3, height, width), got {tuple(pixel_values.shape)}. For one image "
                f"alone type image[None], and images.permute(0, 3, 1, 2) where the colours come last."
            )
        if pixel_values.dtype == torch.uint8:
            # Divided, not multiplied by 1/255: so uint8 and the floats that everybody makes of it agree to the bit.
            pixels = pixel_values.float().div_(255)
        elif pixel_values.is_floating_point():
            self._check_range_once(pixel_values)
            pixels = pixel_values.to(torch.float32, copy=True)
        else:
            raise ValueError(
                f"pixel_values is uint8 (0 to 255) or floats (0 to 1), got {pixel_values.dtype}. "
                f"Type pixel_values.to(torch.uint8) if the values are 0 to 255."
            )
        if self.pixel_scale.dtype != torch.float32:  # after model.half() or model.to(torch.bfloat16)
            self.set_pixel_statistics()
        return pixels.mul_(self.pixel_scale).add_(self.pixel_offset).to(next(self.backbone.parameters()).dtype)

    def _check_range_once(self, pixels: torch.Tensor):
        if self._range_checked or torch.compiler.is_compiling() or pixels.numel() == 0:
            return
        low, high = pixels.aminmax()
        if not (low >= -_RANGE_TOLERANCE and high <= 1 + _RANGE_TOLERANCE):
            raise ValueError(
                f"Float pixel_values must lie in [0, 1], and these lie in [{low.item():g}, {high.item():g}]: the model "
                f"normalises its pixels itself. For 0..255 type pixel_values.to(torch.uint8); for pixels that were "
                f"already normalised leave that step out (do_normalize=False in an image processor)."
            )
        self._range_checked = True

    def set_pixel_statistics(self):
        """Computes the constants of the normalisation from the config, in float32 whatever the model's type is."""
        device = self.pixel_scale.device
        mean = torch.tensor(self.config.pixel_mean, dtype=torch.float64).view(1, 3, 1, 1)
        std = torch.tensor(self.config.pixel_std, dtype=torch.float64).view(1, 3, 1, 1)
        self.pixel_scale = (1 / std).float().to(device)
        self.pixel_offset = (-mean / std).float().to(device)

    def complete_after_loading(self):
        """Sets what no checkpoint brought: our constants, and timm's own start for all that is missing.

        Without it, `from_pretrained` leaves tensors that a checkpoint lacks, and buffers that timm computes and never
        saves, as uninitialised memory.
        """
        self.set_pixel_statistics()
        tensors = {**dict(self.backbone.named_parameters()), **dict(self.backbone.named_buffers())}
        missing = [name for name, tensor in tensors.items() if not getattr(tensor, "_is_hf_initialized", False)]
        if missing:
            fresh = new_backbone(self.config.backbone, self.config.image_size)
            fresh = {**dict(fresh.named_parameters()), **dict(fresh.named_buffers())}
            for name in missing:
                init.copy_(tensors[name], fresh[name])


class HMTLForImageClassification(HMTLPreTrainedModel):
    """The backbone with all its heads: supervised ones under `heads`, training-only ones under `auxiliary`.

    One call is one pass through the backbone, whatever the number of heads.

    Raises:
        ValueError: a decoder is asked of a backbone that has no feature pyramid.
    """

    _auto_class = "AutoModelForImageClassification"

    def __init__(self, config: HMTLConfig):
        super().__init__(config)
        self.hmtl = HMTLModel(config)
        self.heads = nn.ModuleDict({name: self._build(head) for name, head in config.supervised_heads.items()})
        # Apart from the others' random numbers: with one seed, a hybrid network starts as the supervised one does.
        with torch.random.fork_rng(devices=[]):
            self.auxiliary = nn.ModuleDict({name: self._build(head) for name, head in config.auxiliary_heads.items()})
        if config.loss_weighting == "uncertainty":
            self.auxiliary[LOSS_WEIGHTS] = nn.ParameterDict({name: torch.zeros(()) for name in config.heads})
        self.post_init()

    def _build(self, head: dict) -> nn.Module:
        hmtl = self.hmtl
        if head["kind"] == "decoder" and not hmtl.pyramid:
            raise ValueError(
                f"The backbone {self.config.backbone!r} has no feature pyramid (maps of strides 4, 8 and 16), which a "
                f"decoder head is connected to. Choose a convolutional backbone, like 'efficientnet_b0' or 'resnet50'."
            )
        skip_channels = {stride: channels for stride, (_, channels) in hmtl.pyramid.items()}
        return build_head(head, hmtl.pooled_channels, hmtl.deepest_channels, skip_channels)

    def forward(
        self,
        pixel_values: torch.Tensor,
        views: dict[str, tuple[int, int]] | None = None,
        labels: torch.Tensor | None = None,
    ) -> HMTLOutput:
        """Computes heads on the rows that they are to see.

        Args:
            pixel_values: (rows, 3, height, width): uint8 0..255, or floats 0..1.
            views: {head: (first row, end row)}; heads that are not named are not computed. None: every head that the
                network has sees every row.
            labels: (rows,) classes of the primary head, -100 where there is none; gives the plain cross-entropy.

        Raises:
            ValueError: pixels that `HMTLModel` refuses, a head that does not exist, rows that do not exist, or labels
                without a classification that was computed.
        """
        seen = self._checked_views(views, pixel_values.shape[0])
        with_skips = any(self.config.heads[name]["kind"] == "decoder" for name in seen)
        features = self.hmtl.features(pixel_values, with_skips)
        predictions = {name: self._head(name)(features.rows(*view)) for name, view in seen.items()}
        logits = predictions.get(self.config.primary)
        return HMTLOutput(
            loss=None if labels is None else self._cross_entropy(logits, labels),
            logits=logits,
            # Not a plain dict: pipeline() could not cut that into its rows when it is given a batch size.
            predictions=ModelOutput(predictions),
            log_variances=None if views is None else self._log_variances(views),
        )

    def slim(self) -> "HMTLForImageClassification":
        """A copy with the supervised heads only: the same tensors, the same mode, the same logits to the last bit."""
        replaced = {id(self.config): self.config.without_auxiliary(), id(self.auxiliary): nn.ModuleDict()}
        return copy.deepcopy(self, replaced)

    def _head(self, name: str) -> nn.Module:
        return self.heads[name] if name in self.heads else self.auxiliary[name]

    def _checked_views(self, views, rows: int) -> dict:
        if views is None:
            return dict.fromkeys(self.config.heads, (0, rows))
        for name, (first, end) in views.items():
            if name not in self.config.heads:
                raise ValueError(f"views names the head {name!r}, and this model has: {', '.join(self.config.heads)}.")
            if not 0 <= first <= end <= rows:
                raise ValueError(f"views gives {name!r} the rows {first} to {end} of a batch of {rows} rows.")
        return views

    def _cross_entropy(self, logits: torch.Tensor | None, labels: torch.Tensor) -> torch.Tensor:
        if logits is None or self.config.problem_type != "single_label_classification":
            raise ValueError(
                f"labels need a primary head that is a classification and is computed; the primary head is "
                f"{self.config.primary!r}. Name it in views, or compute the loss from predictions yourself."
            )
        return functional.cross_entropy(logits.float(), labels, ignore_index=-100)

    @property
    def log_variances(self) -> dict | None:
        """{head: learned log-variance} with `loss_weighting: uncertainty`, else None."""
        return dict(self.auxiliary[LOSS_WEIGHTS]) if LOSS_WEIGHTS in self.auxiliary else None

    def _log_variances(self, names) -> dict | None:
        if self.log_variances is None:
            return None
        # Copies: DistributedDataParallel follows the outputs back to the parameters, and a bare parameter has no past.
        return {name: self.log_variances[name].clone() for name in names}
