"""Grad-CAM against class activation maps, which it equals where a linear head reads pooled maps."""

import pytest
import torch
from torch.nn.functional import interpolate

from hf_hmtl import HMTLConfig, HMTLForImageClassification
from hf_hmtl.analysis.attack import as_floats
from hf_hmtl.analysis.explain import Unexplained, grad_cam, heat_inside, heat_of_places, of_class
from hf_hmtl.data.drawn_faces.dataset import face_masks, face_parameters
from hf_hmtl.data.drawn_faces.drawing import draw_faces, face_areas
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.puzzle import Puzzle

EMOTION = Classification(name="emotion", labels=tuple("abcd"))
PIXELS = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def model_of(backbone, *tasks):
    torch.manual_seed(0)
    heads = {task.name: task.head() for task in (EMOTION, *tasks)}
    return HMTLForImageClassification(HMTLConfig(backbone=backbone, image_size=64, heads=heads))


def test_of_pooled_maps_and_a_linear_head_it_is_the_class_activation_map():
    # Selvaraju et al. 2017, section 3.1: CAM (Zhou et al. 2016) is the special case, up to a factor.
    model, classes = model_of("test_resnet").train(), torch.tensor([0, 1, 2, 3])
    found = grad_cam(model, "emotion", PIXELS, of_class(classes), least_side=1)
    with torch.no_grad():
        maps = model.eval().hmtl(PIXELS).last_hidden_state
        weight = next(each for each in model.heads["emotion"].parameters() if each.ndim == 2)
        by_hand = torch.einsum("rchw,rc->rhw", maps, weight[classes]).relu()
    by_hand = interpolate(by_hand[:, None], size=(64, 64), mode="bilinear", align_corners=False)[:, 0]
    by_hand = by_hand / by_hand.amax((1, 2), keepdim=True).clamp_min(1e-30)
    torch.testing.assert_close(found, by_hand, atol=1e-4, rtol=1e-3)
    assert found.amax() == 1 and found.amin() == 0


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_convnext", "test_vit", "mixer_s32_224"])
def test_maps_and_tokens_are_both_explained(backbone):
    heat = grad_cam(model_of(backbone), "emotion", PIXELS, of_class(torch.tensor([0, 1, 2, 3])))
    assert heat.shape == (4, 64, 64) and heat.dtype == torch.float32
    assert heat.amin() >= 0 and heat.amax() <= 1 and heat.std() > 0


@pytest.mark.parametrize("backbone", ["coat_tiny", "tnt_s_legacy_patch16_224"])
def test_a_backbone_that_cannot_be_explained_is_told_of_which_can(backbone):
    with pytest.raises(Unexplained, match=f"{backbone} ends in no maps .* There is one of .*resnet.*vit") as told:
        grad_cam(model_of(backbone), "emotion", PIXELS, of_class(torch.tensor([0, 1, 2, 3])))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("backbone", "size", "layer", "side"),
    [
        ("test_resnet", 128, "last", 4),
        ("test_resnet", 96, "layer3", 6),
        ("test_resnet", 48, "layer2", 6),
        ("test_efficientnet", 48, "blocks.2", 6),
        ("swin_tiny_patch4_window7_224", 48, "layers.1", 6),
        ("hrnet_w18_small", 96, "last", 3),
    ],
)
def test_last_maps_of_few_places_give_way_to_the_deepest_stage_that_has_them(backbone, size, layer, side):
    model = HMTLForImageClassification(
        HMTLConfig(backbone=backbone, image_size=size, heads={"emotion": EMOTION.head()})
    )
    pixels, score = PIXELS[:2].repeat(1, 1, 2, 2)[..., :size, :size], of_class(torch.tensor([0, 1]))
    heat, found = heat_of_places(model, "emotion", pixels, score)
    assert (found, heat.shape) == (layer, (2, side, side))
    last, found = heat_of_places(model, "emotion", pixels, score, least_side=1)
    assert (found, last.shape[1]) == ("last", -(-size // 32))


def test_where_no_stage_has_the_places_it_is_the_one_with_most():
    model, score = model_of("test_resnet"), of_class(torch.tensor([0, 1, 2, 3]))
    heat, layer = heat_of_places(model, "emotion", PIXELS, score, least_side=100)
    assert (layer, heat.shape) == ("act1", (4, 32, 32))


def test_the_heat_of_a_stage_by_hand():
    """Equations 1 and 2 of Selvaraju et al. 2017 on the stage that timm itself returns."""
    model = HMTLForImageClassification(
        HMTLConfig(backbone="test_resnet", image_size=48, heads={"emotion": EMOTION.head()})
    ).eval()
    pixels = PIXELS[..., :48, :48]
    heat, layer = heat_of_places(model, "emotion", pixels, lambda logits: logits[:, 2])
    backbone, normalized = model.hmtl.backbone, []
    hook = backbone.conv1.register_forward_pre_hook(lambda _, inputs: normalized.append(inputs[0]))
    model(pixel_values=as_floats(pixels))
    hook.remove()
    final, (maps,) = backbone.forward_intermediates(normalized[0], indices=[2])
    score = model.heads["emotion"].layers(final.mean((2, 3)))[:, 2].sum()
    (gradient,) = torch.autograd.grad(score, maps)
    by_hand = torch.einsum("rchw,rc->rhw", maps, gradient.mean((2, 3))).relu()
    assert layer == "layer2"
    torch.testing.assert_close(heat, by_hand.detach(), atol=1e-7, rtol=1e-4)


def test_a_picture_that_is_seen_in_one_place_is_refused():
    model = HMTLForImageClassification(
        HMTLConfig(backbone="test_resnet", image_size=32, heads={"emotion": EMOTION.head()})
    )
    pixels, score = PIXELS[..., :32, :32], of_class(torch.tensor([0, 1, 2, 3]))
    with pytest.raises(Unexplained, match="test_resnet sees a picture of 32 px in one place; give it a larger one"):
        grad_cam(model, "emotion", pixels, score, least_side=1)
    assert grad_cam(model, "emotion", pixels, score).shape == (4, 32, 32)


def test_an_answer_that_is_read_off_elsewhere_is_refused():
    model = model_of("test_resnet")
    head = model.heads["emotion"].register_forward_hook(
        lambda _, inputs, out: torch.zeros_like(out, requires_grad=True)
    )
    with pytest.raises(Unexplained, match="the answer of test_resnet is not read off its last features"):
        grad_cam(model, "emotion", PIXELS, of_class(torch.tensor([0, 1, 2, 3])))
    head.remove()


def test_any_head_is_explained_and_the_layout_in_memory_changes_nothing():
    model = model_of("test_resnet", Puzzle(grid=2))
    heat = grad_cam(model, "puzzle", PIXELS, lambda logits: logits[:, 0, 3])
    assert heat.shape == (4, 64, 64)
    same = PIXELS.contiguous(memory_format=torch.channels_last)
    moved = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(grad_cam(moved, "puzzle", same, lambda logits: logits[:, 0, 3]), heat, atol=1e-4, rtol=0)


def test_the_network_comes_back_as_it_was_and_may_be_frozen():
    model = model_of("test_resnet").train()
    model.hmtl.requires_grad_(False)
    grad_cam(model, "emotion", PIXELS, of_class(torch.zeros(4, dtype=torch.int64)))
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert not model.hmtl._forward_hooks and not any(module._forward_pre_hooks for module in model.modules())


def test_a_score_is_a_number_a_row():
    with pytest.raises(ValueError, match="one number a row"):
        grad_cam(model_of("test_resnet"), "emotion", PIXELS, lambda logits: logits)


def test_heat_inside_a_mask_by_hand():
    heat = torch.tensor([[[1.0, 0.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[[1.0, 1.0], [0.5, 0.0]], [[1.0, 1.0], [1.0, 1.0]]])
    inside = heat_inside(heat, mask)
    assert inside[0].item() == pytest.approx(1.5 / 4) and torch.isnan(inside[1])


def test_hair_is_no_face():
    """What a mask loses to hair is drawn otherwise than on a bald head."""
    haired = face_parameters(0, "validation", range(16), difficulty=0)
    haired.hair_volume[:], haired.hair_length[:] = 0.8, 0.2
    bald = haired.copy()
    bald.hair_volume[:] = 0.0
    lost = face_areas(bald, 96) - face_areas(haired, 96)
    changed = (draw_faces(haired, 96).astype(int) - draw_faces(bald, 96)).__abs__().sum(-1) > 12
    assert ((lost > 0.9).sum((1, 2)) > 50).all() and lost.min() >= 0
    assert changed[lost > 0.9].mean() > 0.9


def test_an_expression_moves_pixels_of_the_face_alone():
    faces = face_parameters(0, "validation", range(16), difficulty=0)
    frowning = faces.copy()
    frowning.au4[:], frowning.au15[:], frowning.au9[:] = 1.0, 1.0, 1.0
    changed = (draw_faces(faces, 96).astype(int) - draw_faces(frowning, 96)).__abs__().sum(-1) > 12
    masks = face_masks("validation", range(16), difficulty=0)
    assert changed.any((1, 2)).all()
    assert masks[changed].mean() > 0.97
    assert (masks.mean((1, 2)) < 0.6).all() and (masks.mean((1, 2)) > 0.1).all()
