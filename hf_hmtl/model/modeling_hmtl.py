"""The HMTL network: one timm backbone that takes pixels, and one head per task on top of it."""

import os

import timm
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from .adapters_hmtl import lora_modules
from .backbone_hmtl import (
    can_checkpoint,
    checkpoint_activations,
    computed_buffers,
    feature_pyramid,
    new_backbone,
    published_weights,
    stem,
    weights_from_file,
)
from .configuration_hmtl import LOSS_WEIGHTS, HMTLConfig
from .heads_hmtl import Features, build_head
from .loading_hmtl import BackboneReport, copy_without_auxiliary, match_labels, saved_config, take_backbone
from .losses_hmtl import head_loss
from .numbers_hmtl import expectation
from .outputs_hmtl import AnswerCheck, HMTLOutput
from .pixels_hmtl import PixelNormalisation
from .publishing_hmtl import Publishing
from .strangers_hmtl import readable_weights
from .travelling_hmtl import name_code


class HMTLPreTrainedModel(Publishing, PreTrainedModel):
    """What the two models share: initialisation, saving with their code, and taking over backbones."""

    config_class = HMTLConfig
    base_model_prefix = "hmtl"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    model_tags = ["hmtl", "hybrid-multi-task-learning"]
    accepts_loss_kwargs = False  # the loss is a plain mean: the Trainer has to divide it when it accumulates gradients
    _supports_sdpa = True  # timm's attention is torch's scaled dot product
    _no_split_modules = ["HMTLModel"]  # timm's modules pass tensors on by themselves, in ways accelerate cannot follow

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
        elif isinstance(module, PixelNormalisation):
            module.set_statistics(module.mean, module.std)
        else:
            super()._init_weights(module)

    def post_init(self):
        self.supports_gradient_checkpointing = can_checkpoint(self.base_model.backbone)
        super().post_init()

    @torch.no_grad()
    def initialize_weights(self):
        """As the base class's, and timm's own start for what is missing of the backbone."""
        super().initialize_weights()
        self.base_model.complete_backbone()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *arguments, **options):
        """Loads a saved model, to compute what it computed before to the last bit; see the base class.

        Labels may be asked for that differ from the saved ones (`id2label`, `label2id`, `num_labels`, `heads`, or a
        `config`). The same names in another order put the rows of the head into that order. Other labels need
        `ignore_mismatched_sizes=True`, and that head starts afresh; the backbone and the other heads are as they were.

        Raises:
            ValueError: other labels, of another number or of the same, without that permission.
            OSError: the weights are damaged.
        """
        saved = saved_config(pretrained_model_name_or_path, options)
        with readable_weights(pretrained_model_name_or_path):
            loaded = super().from_pretrained(pretrained_model_name_or_path, *arguments, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        if saved is not None and isinstance(model, HMTLForImageClassification):
            match_labels(model, saved, options.get("ignore_mismatched_sizes", False))
        for tensor in (*model.parameters(), *model.buffers()):
            # Tensors of a safetensors file lie where it says, not at multiples of 64 bytes as torch allocates them, and
            # CPU kernels choose by that how they add up. A copy is laid out like the tensor that was saved.
            if not tensor.is_meta and tensor.data_ptr() % 64:
                tensor.data = tensor.data.clone()
        return loaded

    def save_pretrained(self, save_directory, **kwargs):
        """Saves config, safetensors and the code that loads them anywhere, the pipeline's too; see the base class.

        All heads are saved, those that serve training only as well; `slim().save_pretrained(...)` leaves these out.
        """
        name_code(self.config)
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
        take_backbone(self, weights, source or f"timm's {name}", trained_with.mean, trained_with.std)

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
        take_backbone(self, weights, name, source.config.pixel_mean, source.config.pixel_std)
        return BackboneReport(
            taken=list(weights),
            not_taken=[key for key in source.state_dict() if key.startswith(("heads.", "auxiliary."))],
        )

    @property
    def num_labels(self) -> int:
        """Number of outputs of the primary head."""
        return self.config.num_labels

    def get_input_embeddings(self) -> nn.Module:
        """The first layer of the backbone, whose output is made to need a gradient where all else is frozen."""
        return stem(self.base_model.backbone)

    def set_input_embeddings(self, value: nn.Module):
        """Replaces the first layer of the backbone."""
        backbone = self.base_model.backbone
        backbone.set_submodule(next(name for name, each in backbone.named_modules() if each is stem(backbone)), value)

    def _set_gradient_checkpointing(self, enable=True, gradient_checkpointing_func=None, every_n_layers=1):
        """By way of timm's own switch; results, gradients and batch norm statistics stay the same."""
        if every_n_layers != 1:
            raise ValueError(
                f"timm checkpoints every block or none, so every_n_layers is 1, got {every_n_layers}. Leave it out."
            )
        checkpoint_activations(self.base_model.backbone, enable)
        self.base_model.gradient_checkpointing = enable  # what `is_gradient_checkpointing` looks at

    def _wants_dict(self, return_dict: bool | None) -> bool:
        return self.config.return_dict if return_dict is None else return_dict


class HMTLModel(HMTLPreTrainedModel):
    """A timm backbone that takes pixels and normalises them itself.

    Its weights at construction are timm's own initialisation, drawn as `timm.create_model` would draw them.
    """

    _auto_class = "AutoModel"
    # A folder with heads is opened as a bare backbone on purpose.
    _keys_to_ignore_on_load_unexpected = [r"^heads\.", r"^auxiliary\."]

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
        self.pixels = PixelNormalisation(config.pixel_mean, config.pixel_std)
        self.register_load_state_dict_post_hook(_complete_after_load_state_dict)
        self.gradient_checkpointing = False
        self.post_init()

    def forward(
        self,
        pixel_values: torch.Tensor,
        output_hidden_states: bool | list | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling | tuple:
        """Runs the backbone once.

        Args:
            pixel_values: (rows, 3, height, width): integers 0..255, best as uint8, or floats 0..1.
            output_hidden_states: also give the maps of the backbone: all, or those of these numbers; by the config if
                not given.
            return_dict: False for a plain tuple; by the config if not given.

        Returns:
            last_hidden_state: the map before pooling, in the layout of the backbone; pooler_output: (rows, channels);
            hidden_states: the maps that timm calls intermediates, from the finest to the deepest.

        Raises:
            ValueError: pixels that `PixelNormalisation` refuses, or the backbone gives no maps.
        """
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        pixels = self.normalised(pixel_values)
        if wanted is False or wanted is None:
            deepest, maps = self.backbone.forward_features(pixels), None
        elif not hasattr(self.backbone, "forward_intermediates"):
            raise ValueError(f"timm's {self.config.backbone!r} gives no hidden states. Leave output_hidden_states out.")
        else:
            indices = None if wanted is True else sorted(wanted)
            deepest, maps = self.backbone.forward_intermediates(pixels, indices=indices)
        outputs = BaseModelOutputWithPooling(
            last_hidden_state=deepest,
            pooler_output=self.backbone.forward_head(deepest),
            hidden_states=None if maps is None else tuple(maps),
        )
        return outputs if self._wants_dict(return_dict) else outputs.to_tuple()

    def features(self, pixel_values: torch.Tensor, with_skips: bool, with_hidden_states: bool = False) -> Features:
        """Runs the backbone once and gives what heads look at; see `forward`."""
        needed = sorted(index for index, _ in self.pyramid.values()) if with_skips else []
        outputs = self(pixel_values, output_hidden_states=with_hidden_states or needed or False, return_dict=True)
        deepest = outputs.last_hidden_state
        if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC":
            deepest = deepest.permute(0, 3, 1, 2)
        skips = {}
        if with_skips:
            place = {index: index if with_hidden_states else needed.index(index) for index in needed}
            skips = {stride: outputs.hidden_states[place[index]] for stride, (index, _) in self.pyramid.items()}
        hidden_states = outputs.hidden_states if with_hidden_states else None
        return Features(outputs.pooler_output, deepest, skips, tuple(pixel_values.shape[-2:]), hidden_states)

    def new_head(self, head: dict) -> nn.Module:
        """A head over this backbone that a config describes.

        Raises:
            ValueError: a decoder is asked of a backbone that has no feature pyramid.
        """
        if head["kind"] == "decoder" and not self.pyramid:
            raise ValueError(
                f"The backbone {self.config.backbone!r} has no feature pyramid (maps of strides 4, 8 and 16), which a "
                f"decoder head is connected to. Choose a convolutional backbone, like 'efficientnet_b0' or 'resnet50'."
            )
        skip_channels = {stride: channels for stride, (_, channels) in self.pyramid.items()}
        return build_head(head, self.pooled_channels, self.deepest_channels, skip_channels)

    def normalised(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """What the backbone is given for these pixels, in the type of its parameters; see `PixelNormalisation`."""
        return self.pixels(pixel_values).to(next(self.backbone.parameters()).dtype)

    def set_pixel_statistics(self):
        """Takes the constants of the normalisation from the config."""
        self.pixels.set_statistics(self.config.pixel_mean, self.config.pixel_std)

    def complete_backbone(self):
        """Sets what is not initialised yet of the backbone to timm's own start.

        Without it, `from_pretrained` leaves tensors that a checkpoint lacks, and buffers that timm computes and never
        saves, as uninitialised memory.
        """
        tensors = {**dict(self.backbone.named_parameters()), **dict(self.backbone.named_buffers())}
        missing = [name for name, tensor in tensors.items() if not getattr(tensor, "_is_hf_initialized", False)]
        if missing:
            fresh = new_backbone(self.config.backbone, self.config.image_size)
            fresh = {**dict(fresh.named_parameters()), **dict(fresh.named_buffers())}
            for name in missing:
                init.copy_(tensors[name], fresh[name])


def _complete_after_load_state_dict(model: HMTLModel, incompatible_keys):
    """Sets again what a state_dict does not hold: after `to_empty()` it is uninitialised memory."""
    if model.device.type == "meta":
        return
    model.set_pixel_statistics()
    computed_buffers(model.backbone)


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
        self.answer_check = AnswerCheck()
        self.heads = nn.ModuleDict({name: self.hmtl.new_head(head) for name, head in config.supervised_heads.items()})
        # Apart from the others' random numbers: with one seed, a hybrid network starts as the supervised one does.
        with torch.random.fork_rng(devices=[]):
            self.auxiliary = nn.ModuleDict(
                {name: self.hmtl.new_head(head) for name, head in config.auxiliary_heads.items()}
            )
        if config.loss_weighting == "uncertainty":
            # Of shape (1,), since what has no dimension cannot be sharded.
            self.auxiliary[LOSS_WEIGHTS] = nn.ParameterDict({name: torch.zeros(1) for name in config.heads})
        self.post_init()
        self._keys_to_ignore_on_load_unexpected = None  # those of the bare backbone, which has no heads

    @classmethod
    def for_tasks(cls, tasks, **config) -> "HMTLForImageClassification":
        """A new network with the heads of these tasks.

        Args:
            tasks: the supervised and pretext tasks that it is to learn; those of weight 0 get no head.
            config: everything else that `HMTLConfig` takes, like `backbone` and `image_size`.
        """
        heads = {task.name: task.head() for task in tasks if task.is_learned}
        return cls(HMTLConfig(heads=heads, **config))

    def forward(
        self,
        pixel_values: torch.Tensor,
        views: dict[str, tuple[int, int]] | None = None,
        labels: torch.Tensor | dict[str, torch.Tensor] | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> HMTLOutput | tuple:
        """Computes heads on the rows that they are to see.

        Args:
            pixel_values: (rows, 3, height, width): integers 0..255, best as uint8, or floats 0..1.
            views: {head: (first row, end row)}; heads that are not named are not computed. None: every head that the
                network has sees every row.
            labels: those of the primary head, or {head: labels} of several; see `head_loss`.
            output_hidden_states: also give the maps of the backbone; by the config if not given.
            return_dict: False for a plain tuple; by the config if not given.
            num_items_in_batch: rows to divide the loss by, instead of the labelled ones of this batch.

        Raises:
            ValueError: pixels that `HMTLModel` refuses, a head that does not exist, rows that do not exist, labels of a
                head that was not computed or that do not fit it; or nothing is named and no head stays after training;
                answers that are not finite, in evaluation mode and without `views` (see `AnswerCheck`).
        """
        if views is None and labels is None and not self.config.supervised_heads:
            raise ValueError(
                f"This network has no head that stays after training, so it has nothing to show; its heads serve "
                f"training only: {', '.join(self.config.heads) or 'none'}. Fine-tune it first, for example with "
                f"from_pretrained(folder, id2label=...); use AutoModel for its features, or name heads in views."
            )
        seen = self._checked_views(views, pixel_values.shape[0])
        with_skips = any(self.config.heads[name]["kind"] == "decoder" for name in seen)
        with_maps = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        features = self.hmtl.features(pixel_values, with_skips, bool(with_maps))
        predictions = {name: self.head(name)(features.rows(*view)) for name, view in seen.items()}
        bins = {name: self.config.heads[name]["bins"] for name in seen if self.config.heads[name].get("bins")}
        bin_logits = ModelOutput({name: predictions[name] for name in bins})
        predictions |= {name: expectation(logits, bins[name]) for name, logits in bin_logits.items()}
        if views is None and not self.training:
            self.answer_check(predictions)
        outputs = HMTLOutput(
            loss=None if labels is None else self._loss(predictions, labels, num_items_in_batch),
            logits=predictions.get(self.config.primary),
            # Not a plain dict: pipeline() could not cut that into its rows when it is given a batch size.
            predictions=ModelOutput(predictions),
            log_variances=None if views is None else self._log_variances(views),
            hidden_states=features.hidden_states,
            bin_logits=bin_logits or None,
        )
        return outputs if self._wants_dict(return_dict) else outputs.to_tuple()

    def lora_modules(self) -> dict:
        """The arguments of `peft.LoraConfig` that say where adapters go; see `adapters_hmtl.py`."""
        return lora_modules(self)

    def slim(self) -> "HMTLForImageClassification":
        """A copy with the supervised heads only: the same tensors, the same mode, the same logits to the last bit.

        Raises:
            RuntimeError: modules were put into this network (adapters) that its configuration does not know.
        """
        return copy_without_auxiliary(self)

    def head(self, name: str) -> nn.Module:
        """The module of a head, supervised or auxiliary."""
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

    def _loss(self, predictions: dict, labels: torch.Tensor | dict, rows: torch.Tensor | int | None) -> torch.Tensor:
        if not isinstance(labels, dict):
            labels = {self.config.primary: labels}
        missing = [name for name in labels if name not in predictions]
        if missing:
            raise ValueError(
                f"labels are given for {', '.join(map(repr, missing))}, and the heads that were computed are "
                f"{', '.join(map(repr, predictions)) or 'none'}. A tensor of labels is for the primary head "
                f"({self.config.primary!r}); for others give {{head: labels}}, and name them in views, if you give any."
            )
        return sum(
            head_loss(name, self.config.loss_kind(name, target), predictions[name], target, rows)
            for name, target in labels.items()
        )

    @property
    def log_variances(self) -> dict | None:
        """{head: learned log-variance} with `loss_weighting: uncertainty`, else None."""
        return dict(self.auxiliary[LOSS_WEIGHTS]) if LOSS_WEIGHTS in self.auxiliary else None

    def _log_variances(self, names) -> dict | None:
        if self.log_variances is None:
            return None
        # As scalars, which are no parameters: DistributedDataParallel follows the outputs back to the parameters, and a
        # bare parameter has no past.
        return {name: self.log_variances[name].sum() for name in names}
