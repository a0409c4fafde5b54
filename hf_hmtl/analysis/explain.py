"""Where a network looks: Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391), as in Figure 11.

The heat of a place is how much the features there speak for an answer: the backbone's last maps, each weighted by the
mean of the answer's gradient on it, added up, and nothing below zero. It works with any head, and with any backbone
that ends in maps, channels first or last, or in tokens of a square of patches.

The last maps of a small picture tell little: a stride of 32 leaves 2x2 places of 48 px, and any face lies in all four.
So the maps are those of the deepest stage that has 4 places a side or more; of 112 px and more those are the last. Of
tokens the last ones will not do: where the answer is read off the class token, the patches of the last block have no
gradient; so those that the last block is given are taken.

Two well-kept libraries do the same: captum's `LayerGradCam` expects channels first, and grad-cam wants the layer and
the shape of the tokens of each model to be named by its user. Here timm and the network say both.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_hmtl.analysis.attack import as_floats
from hf_hmtl.analysis.evaluation_mode import evaluating

CAN_BE_EXPLAINED = (
    "those that end in maps (resnet, efficientnet, convnext, swin, ...) or whose last block is given the tokens of a "
    "square of patches (vit, deit, beit, mixer, ...)"
)
LEAST_SIDE = 4
"""Places a side that maps need to show where something is."""
LAST, TOKENS = "last", "tokens"
"""What the backbone ends in and what its last block is given, among the names that timm gives the stages."""
Score = Callable[[Tensor], Tensor]
"""A head's prediction of some rows to one number a row: what is to be explained."""
Layout = Callable[[Tensor], Tensor]
"""Features to (rows, channels, height, width)."""


class Unexplained(ValueError):
    """There is no Grad-CAM of a backbone: the reason, and of which there is one."""


def of_class(classes: Tensor) -> Score:
    """The logit of a class, of each row its own.

    Args:
        classes: (rows,) numbers of classes.
    """
    return lambda logits: logits.gather(1, classes.to(logits.device)[:, None])[:, 0]


def grad_cam(
    model: PreTrainedModel, head: str, pixels: Tensor, score: Score, *, least_side: int = LEAST_SIDE
) -> Tensor:
    """The heat of every pixel.

    Args:
        model: any network of ours; it comes back as it was, with no gradient in any parameter.
        head: whose answer is explained, supervised or auxiliary.
        pixels: (rows, 3, height, width) uint8, or floats in [0, 1].
        score: what of the answer; `of_class` for classes.
        least_side: places a side that the maps shall have; 1 for the last ones always, as in the publication.

    Returns:
        (rows, height, width) float32 from 0 to 1, the hottest pixel of each row at 1; all 0 where nothing speaks for
        the answer.

    Raises:
        Unexplained: the backbone ends neither in maps nor in tokens of a square, or in a single place.
        ValueError: the score is not one number a row.
    """
    heat, _ = heat_of_places(model, head, pixels, score, least_side=least_side)
    return enlarged(heat, pixels.shape[-2:])


def enlarged(heat: Tensor, size: tuple[int, int]) -> Tensor:
    """The heat of places as that of pixels, bilinear, and the hottest pixel of each row at 1.

    Args:
        heat: (rows, places down, places across), 0 or more.
        size: (height, width).

    Returns:
        (rows, height, width) from 0 to 1.
    """
    heat = nn.functional.interpolate(heat[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return heat / heat.amax((1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)


def heat_of_places(
    model: PreTrainedModel, head: str, pixels: Tensor, score: Score, *, least_side: int = LEAST_SIDE
) -> tuple[Tensor, str]:
    """The heat where the network computes it, and in which layer that is.

    Args, errors: of `grad_cam`.

    Returns:
        (rows, places down, places across) float32, 0 or more, and the layer: `last`, `tokens` of the last
        block, or as timm names the stage.
    """
    backbone, seen = model.base_model.backbone, {}
    hooks = [model.base_model.register_forward_hook(lambda _, __, out: seen.update({LAST: out.last_hidden_state}))]
    for name, stage in _stages(backbone).items():
        hooks.append(stage.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out})))
    if block := _last_block(backbone):
        hooks.append(block.register_forward_pre_hook(lambda _, inputs: seen.update({TOKENS: inputs[0]})))
    try:
        with evaluating(model), torch.enable_grad():
            # Pixels that need a gradient, so that a network with frozen parameters has one too.
            leaf = as_floats(pixels).detach().requires_grad_()
            scores = score(model(pixel_values=leaf, views={head: (0, len(leaf))}).predictions[head])
            if scores.shape != (len(leaf),):
                raise ValueError(f"a score is one number a row, ({len(leaf)},), and this one is {tuple(scores.shape)}")
            layer, features, channels_first = _explained(seen, model, least_side)
            (gradient,) = torch.autograd.grad(scores.sum(), features, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    if gradient is None:
        raise _unexplained(f"the answer of {model.config.backbone} is not read off its last features")
    maps, gradients = (channels_first(each.detach().float()) for each in (features, gradient))
    if maps.shape[2:] == (1, 1):
        side = pixels.shape[-1]
        raise _unexplained(f"{model.config.backbone} sees a picture of {side} px in one place; give it a larger one")
    weights = gradients.mean((2, 3), keepdim=True)
    return (weights * maps).sum(1).relu(), layer


def heat_inside(heat: Tensor, mask: Tensor) -> Tensor:
    """The share of each row's heat that lies inside a mask; the mean of the mask is what even heat would have.

    That is the energy-based pointing game of Wang et al. 2020 (arXiv 1910.01279, section 4.3), with a mask for its box.

    Args:
        heat: (rows, height, width), 0 or more.
        mask: of the same shape, the share of each pixel that is inside.

    Returns:
        (rows,) from 0 to 1; NaN where there is no heat.
    """
    return (heat * mask).sum((1, 2)) / heat.sum((1, 2))


def _levels(backbone: nn.Module) -> list[dict]:
    """What timm says of a backbone's stages, or of its blocks of tokens, from the first to the last."""
    levels = getattr(backbone, "feature_info", None)
    return levels if isinstance(levels, list) else []


def _stages(backbone: nn.Module) -> dict[str, nn.Module]:
    """The stages that timm names, from the first to the last."""
    modules = dict(backbone.named_modules())
    return {level["module"]: modules[level["module"]] for level in _levels(backbone) if level["module"] in modules}


def _last_block(backbone: nn.Module) -> nn.Module | None:
    """The last block of a backbone of tokens, as timm names it; None where it names none."""
    if levels := _levels(backbone):
        return dict(backbone.named_modules()).get(levels[-1]["module"])
    blocks = getattr(backbone, "blocks", None)
    return blocks[-1] if isinstance(blocks, nn.Sequential | nn.ModuleList) and len(blocks) else None


def _explained(seen: dict[str, object], model: PreTrainedModel, least_side: int) -> tuple[str, Tensor, Layout]:
    """What the heat is of: maps, else the tokens before the last block, or without a class token the last."""
    backbone, last = model.base_model.backbone, seen[LAST]
    if isinstance(last, Tensor) and last.ndim == 4:
        return _fine_enough(seen, backbone, least_side)
    for layer in (TOKENS, *([] if getattr(backbone, "num_prefix_tokens", 0) else [LAST])):
        tokens = seen.get(layer)
        is_of_rows = isinstance(tokens, Tensor) and tokens.ndim == 3 and len(tokens) == len(last)
        if is_of_rows and (prefix := _prefix(tokens, backbone)) is not None:
            return layer, tokens, partial(_patches, prefix=prefix)
    name = model.config.backbone
    raise _unexplained(f"{name} ends in no maps and, before its last block, in no tokens of a square of patches")


def _fine_enough(seen: dict[str, object], backbone: nn.Module, least_side: int) -> tuple[str, Tensor, Layout]:
    """The last maps, or of the deepest stage that has the places where these have not, or of the one with most."""
    own = _channels_first if getattr(backbone, "output_fmt", "NCHW") == "NHWC" else _as_it_is
    found = [(LAST, seen[LAST], own)]
    for level in reversed(_levels(backbone)):
        features = seen.get(level["module"])
        if isinstance(features, Tensor) and features.ndim == 4:
            # Stages may lie otherwise than the last maps: timm says of how many channels each is, not where they are.
            layouts = [
                each for each in (own, _as_it_is, _channels_first) if each(features).shape[1] == level["num_chs"]
            ]
            found += [(level["module"], features, layout) for layout in layouts[:1]]
    sides = [min(layout(features).shape[2:]) for _, features, layout in found]
    enough = (place for place, side in enumerate(sides) if side >= least_side)
    return found[next(enough, sides.index(max(sides)))]


def _unexplained(reason: str) -> Unexplained:
    return Unexplained(f"{reason}, so there is no Grad-CAM of it. There is one of most backbones: {CAN_BE_EXPLAINED}")


def _prefix(tokens: Tensor, backbone: nn.Module) -> int | None:
    """How many tokens stand before those of the patches: all that timm says, or none where they come later."""
    for prefix in (getattr(backbone, "num_prefix_tokens", 0), 0):
        patches = tokens.shape[1] - prefix
        if math.isqrt(patches) ** 2 == patches:
            return prefix
    return None


def _as_it_is(features: Tensor) -> Tensor:
    return features


def _channels_first(features: Tensor) -> Tensor:
    return features.permute(0, 3, 1, 2)


def _patches(tokens: Tensor, prefix: int) -> Tensor:
    """(rows, channels, height, width) of the patches of tokens."""
    patches = tokens[:, prefix:]
    side = math.isqrt(patches.shape[1])
    return patches.transpose(1, 2).unflatten(2, (side, side))
