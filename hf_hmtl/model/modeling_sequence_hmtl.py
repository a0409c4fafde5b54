"""Faces in time: a backbone for every frame, and a recurrent network over them (section 4.7 of the paper)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .backbone_hmtl import can_checkpoint, checkpoint_activations, stem
from .configuration_sequence_hmtl import CLIP, HMTLSequenceConfig
from .heads_hmtl import DecoderHead
from .image_processing_hmtl import HMTLImageProcessor
from .loading_hmtl import copy_without_auxiliary, take_backbone
from .losses_hmtl import head_loss
from .modeling_hmtl import HMTLModel, HMTLPreTrainedModel
from .outputs_hmtl import AnswerCheck
from .publishing_hmtl import Publishing
from .strangers_hmtl import readable_weights

_AUTO_MAP = {
    "AutoModel": "modeling_sequence_hmtl.HMTLSequenceModel",
    "AutoModelForVideoClassification": "modeling_sequence_hmtl.HMTLSequenceForVideoClassification",
    "AutoImageProcessor": f"image_processing_hmtl.{HMTLImageProcessor.__name__}",
}


@dataclass
class HMTLSequenceOutput(ModelOutput):
    """What the network says about clips.

    Args:
        loss: of the frames or clips whose label is known, when `labels` were given.
        logits: (clips, time, outputs) where frames are answered, (clips, outputs) where clips are; numbers of a
            regression. Those of padding mean nothing.
        last_hidden_state: (clips, time, channels) of the recurrent network, 0 where there is padding.
        features: (clips, time, backbone channels) that it read, 0 where there is padding.
        auxiliary: {training head: (frames, ...)} when asked, of the frames that are no padding, clip after clip.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    features: torch.Tensor | None = None
    auxiliary: ModelOutput | None = None


class HMTLSequenceModel(Publishing, PreTrainedModel):
    """A backbone for every frame, dropout, a recurrent network, and one linear layer that answers; beside the recurrent
    network, heads over each frame that serve training only (`auxiliary`), and are gone in `slim()`.

    The recurrent network starts as in Keras: Glorot uniform weights of its inputs, orthogonal ones of its states, zero
    biases; the backbone as timm's own, or from weights (`for_backbone`, `load_backbone_from`).
    """

    config_class = HMTLSequenceConfig
    _auto_class = "AutoModel"
    main_input_name = "pixel_values"
    input_modalities = ("video",)
    accepts_loss_kwargs = False
    _no_split_modules = ["HMTLModel"]
    _supports_sdpa = True

    def __init__(self, config: HMTLSequenceConfig):
        super().__init__(config)
        self.hmtl = HMTLModel(config.frame_config)  # type: ignore[arg-type]  # a finished config holds an HMTLConfig
        self.dropout = nn.Dropout(config.dropout)
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[config.recurrent]
        self.recurrent = kind(
            self.hmtl.pooled_channels,
            config.units,
            config.layers,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        self.head = nn.Linear(config.channels, config.num_labels)
        # Apart from the others' random numbers, as in HMTLForImageClassification.
        with torch.random.fork_rng(devices=[]):
            self.auxiliary = nn.ModuleDict(
                {name: self.hmtl.new_head(head) for name, head in (config.auxiliary or {}).items()}
            )
        self.answer_check = AnswerCheck()
        self.gradient_checkpointing = False
        self.supports_gradient_checkpointing = can_checkpoint(self.hmtl.backbone)
        self.post_init()
        if config.frozen:
            self.hmtl.requires_grad_(False)

    def _init_weights(self, module: nn.Module):
        if isinstance(module, nn.RNNBase):
            for name, tensor in module.named_parameters():
                if "bias" in name:
                    init.zeros_(tensor)
                else:
                    init.xavier_uniform_(tensor) if "_ih_" in name else init.orthogonal_(tensor)
        else:
            HMTLPreTrainedModel._init_weights(self.hmtl, module)

    @torch.no_grad()
    def initialize_weights(self):
        """As the base class's, and timm's own start for what is missing of the backbone."""
        super().initialize_weights()
        self.hmtl.complete_backbone()

    @classmethod
    def for_backbone(cls, source, **options) -> "HMTLSequenceModel":
        """A new network over the backbone of an HMTL network, with its weights.

        Args:
            source: a folder or Hub name that one of our image models was saved to, or such a model.
            options: of `HMTLSequenceConfig`.
        """
        if not isinstance(source, HMTLPreTrainedModel):
            source = HMTLModel.from_pretrained(source)
        model = cls(HMTLSequenceConfig(frame_config=source.config.to_dict(), **options))
        model.load_backbone_from(source)
        return model

    def load_backbone_from(self, source: HMTLPreTrainedModel):
        """Takes over the backbone of an HMTL network and its pixel statistics.

        Raises:
            ValueError: a tensor of the backbone is missing in the source or has another shape.
        """
        statistics = source.config.pixel_mean, source.config.pixel_std
        name = source.config.name_or_path or "the given model"
        take_backbone(self.hmtl, source.base_model.backbone.state_dict(), name, *statistics)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *arguments, **options):
        """As the base class's; raises OSError where the weights are damaged, ValueError where they do not fit."""
        with readable_weights(pretrained_model_name_or_path):
            return super().from_pretrained(pretrained_model_name_or_path, *arguments, **options)

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **options):
        """Saves config, safetensors and the code that loads them anywhere; see the base class. With `push_to_hub` as
        private as by the method of that name."""
        self.config.auto_map = dict(_AUTO_MAP)
        if push_to_hub:
            options.setdefault("private", True)
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **options)

    def push_to_hub(self, repo_id: str, private: bool = True, **options):
        """As that of the image models, but private unless `private=False` is given: clips of faces are on terms, as a
        rule, and so is what learned from them."""
        return super().push_to_hub(repo_id, private=private, **options)

    def train(self, mode: bool = True) -> "HMTLSequenceModel":
        """As the base class's; a frozen backbone stays in evaluation mode, whose batch norms learn nothing."""
        super().train(mode)
        if self.config.frozen:
            self.hmtl.eval()
        return self

    def get_input_embeddings(self) -> nn.Module:
        """The first layer of the backbone."""
        return stem(self.hmtl.backbone)

    def _set_gradient_checkpointing(self, enable=True, gradient_checkpointing_func=None, every_n_layers=1):
        if every_n_layers != 1:
            raise ValueError(f"timm checkpoints every block or none, so every_n_layers is 1, got {every_n_layers}.")
        checkpoint_activations(self.hmtl.backbone, enable)
        self.gradient_checkpointing = enable

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        features: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        with_auxiliary: bool = False,
    ) -> HMTLSequenceOutput | tuple:
        """Reads clips.

        Args:
            pixel_values: (clips, time, 3, height, width) frames as `HMTLModel` takes them; (time, 3, height, width) is
                one clip.
            features: (clips, time, channels) that `frame_features` gave, in place of frames.
            attention_mask: (clips, time), 1 of frames and 0 of the padding behind them; all frames if not given.
            labels: classes, -100 where there is none, or numbers, NaN where there is none; of frames (clips, time) or
                (clips, time, outputs), of clips (clips,) or (clips, outputs).
            return_dict: False for a plain tuple; by the config if not given.
            with_auxiliary: also compute the training heads, which look at frames and not at features.

        Raises:
            ValueError: neither or both of frames and features, shapes that do not fit, a mask with holes, or answers
                that are not finite, in evaluation mode.
        """
        auxiliary = None
        if features is None and pixel_values is not None:
            frames = pixel_values[None] if pixel_values.ndim == 4 else pixel_values
            features, auxiliary = self._seen(frames, attention_mask, self.auxiliary if with_auxiliary else {})
        elif features is not None and pixel_values is None:
            self._check_features(features)
        else:
            raise ValueError("Give pixel_values, the frames of clips, or features that were made of them; one of both.")
        lengths = _lengths(attention_mask, features.shape[:2], features.device)
        states = self._read(features, lengths)
        logits = self.head(states if self.config.answers != CLIP else self._summary(states, lengths))
        real = torch.arange(logits.shape[1], device=logits.device) < lengths[:, None]
        if not self.training:
            self.answer_check({"clips": logits if self.config.answers == CLIP else logits[real]})
        loss = None if labels is None else self._loss(logits, labels, real)
        outputs = HMTLSequenceOutput(
            loss=loss,
            logits=logits,
            last_hidden_state=states,
            features=features,
            auxiliary=ModelOutput(auxiliary) if auxiliary else None,
        )
        wants_dict = self.config.return_dict if return_dict is None else return_dict
        return outputs if wants_dict else outputs.to_tuple()

    def frame_features(self, pixel_values: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """(clips, time, channels) pooled features of (clips, time, 3, height, width) frames, 0 for padding, which does
        not go through the backbone."""
        return self._seen(pixel_values, attention_mask, {})[0]

    def slim(self) -> "HMTLSequenceModel":
        """A copy without the training heads: the same tensors, the same mode, the same answers to the last bit."""
        return copy_without_auxiliary(self)

    def _seen(
        self, pixel_values: torch.Tensor, attention_mask: torch.Tensor | None, heads: Mapping[str, nn.Module]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The features of `frame_features`, and what these heads say of the frames that are no padding."""
        if pixel_values.ndim != 5:
            raise ValueError(
                f"pixel_values has the shape (clips, time, 3, height, width), got {tuple(pixel_values.shape)}"
            )
        clips, time = pixel_values.shape[:2]
        lengths = _lengths(attention_mask, pixel_values.shape[:2], pixel_values.device)
        real = (torch.arange(time, device=pixel_values.device) < lengths[:, None]).flatten()
        frames = pixel_values.flatten(0, 1)
        frames = frames if bool(real.all()) else frames[real]
        with_skips = any(isinstance(head, DecoderHead) for head in heads.values())
        pooled: list[torch.Tensor] = []
        said: dict[str, list[torch.Tensor]] = {name: [] for name in heads}
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.frozen):
            for part in frames.split(self.config.frames_at_once):
                of_part = self.hmtl.features(part, with_skips)
                pooled.append(of_part.pooled)
                for name, head in heads.items():
                    said[name].append(head(of_part))
        found = torch.cat(pooled)
        if len(found) < len(real):
            found = found.new_zeros(len(real), found.shape[1]).masked_scatter(real[:, None], found)
        return found.view(clips, time, -1), {name: torch.cat(parts) for name, parts in said.items()}

    def _check_features(self, features: torch.Tensor):
        if features.ndim != 3 or features.shape[2] != self.hmtl.pooled_channels:
            raise ValueError(
                f"features has the shape (clips, time, {self.hmtl.pooled_channels}) for the backbone "
                f"{self.config.frame_config.backbone!r}, got {tuple(features.shape)}"
            )

    def _read(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(clips, time, channels) of the recurrent network; it never sees padding, from neither end."""
        dropped = self.dropout(features.to(self.head.weight.dtype))
        packed = pack_padded_sequence(dropped, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=features.shape[1])
        return states

    def _summary(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(clips, channels): where each direction ends, or the mean over the frames."""
        if self.config.summary == "mean":
            return states.sum(1) / lengths[:, None]  # padding is 0
        last = states[torch.arange(len(states), device=states.device), lengths - 1]
        if not self.config.bidirectional:
            return last
        return torch.cat([last[:, : self.config.units], states[:, 0, self.config.units :]], dim=1)

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        numbers = self.config.problem_type == "regression"
        if self.config.answers != CLIP:
            if labels.shape[:2] != logits.shape[:2]:
                raise ValueError(
                    f"labels of frames have the shape {tuple(logits.shape[:2])} and what follows, got "
                    f"{tuple(labels.shape)}"
                )
            logits, labels = logits[real], labels[real]
        return head_loss("clip", "squared_error" if numbers else "cross_entropy", logits, labels)


class HMTLSequenceForVideoClassification(HMTLSequenceModel):
    """The same network, where it answers for a whole clip: `pipeline("video-classification")` works with it.

    Raises:
        ValueError: it answers for frames.
    """

    _auto_class = "AutoModelForVideoClassification"

    def __init__(self, config: HMTLSequenceConfig):
        if config.answers != CLIP:
            raise ValueError(
                "this network answers for every frame, and video classification for a whole clip. Load it by "
                "AutoModel.from_pretrained(...), whose `logits` are (clips, time, outputs), or train one with "
                "answers='clip'"
            )
        super().__init__(config)


def _lengths(mask: torch.Tensor | None, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """(clips,) how many frames each clip has.

    Raises:
        ValueError: the mask has another shape, holes, or a clip without a frame.
    """
    clips, time = shape
    if mask is None:
        return torch.full((clips,), time, device=device)
    if mask.shape != shape:
        raise ValueError(f"attention_mask has the shape {(clips, time)}, got {tuple(mask.shape)}")
    lengths = mask.bool().sum(1)
    expected = torch.arange(time, device=mask.device) < lengths[:, None]
    if not bool((mask.bool() == expected).all()) or not bool((lengths > 0).all()):
        raise ValueError(
            "attention_mask is 1 for the frames of a clip and 0 for the padding behind them, and every clip has a "
            "frame. Leave frames that are missing in the middle out of the clip"
        )
    return lengths.to(device)
