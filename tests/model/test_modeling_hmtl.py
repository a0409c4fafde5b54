import os

import pytest
import timm
import torch
from backbones import WITH_COMPUTED_BUFFERS, needs_computed_buffers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForImageClassification, pipeline

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification, HMTLModel

EMOTION = {"emotion": {"kind": "linear", "shape": [3], "labels": ["neutral", "happy", "sad"]}}


def small(backbone="test_resnet", **config) -> HMTLForImageClassification:
    return HMTLForImageClassification(HMTLConfig(backbone=backbone, image_size=64, **{"heads": EMOTION, **config}))


def equal(first: nn.Module, second: nn.Module) -> bool:
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_vit"])
def test_the_initialisation_of_the_backbone_is_timms_own(name):
    torch.manual_seed(5)
    model = small(name)
    torch.manual_seed(5)
    assert equal(model.hmtl.backbone, timm.create_model(name, num_classes=0, **model_size(name)))


def model_size(name: str) -> dict:
    return {"img_size": 64} if name == "test_vit" else {}


def test_heads_start_glorot_uniform_with_zero_biases(full):
    torch.manual_seed(0)
    head = small(heads={"wide": {"kind": "mlp", "shape": [300], "hidden": 400}}).heads["wide"]
    for layer in (head.layers[0], head.layers[3]):
        bound = (6 / sum(layer.weight.shape)) ** 0.5
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert abs(layer.weight.std().item() / (bound / 3**0.5) - 1) < 0.02
        assert not layer.bias.any()
    assert all(not value.any() for value in full.auxiliary["loss_weights"].values())


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_vit", "test_convnext"])
def test_a_saved_model_is_loaded_tensor_for_tensor_with_equal_results(backbone, tmp_path, pixels):
    model = small(backbone).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert type(loaded) is HMTLForImageClassification and equal(model, loaded)
    # Where a tensor begins decides, with one thread, how CPU kernels add up.
    assert all(tensor.data_ptr() % 64 == 0 for tensor in (*loaded.parameters(), *loaded.buffers()))
    assert torch.equal(model(pixels).logits, loaded(pixels).logits)


def test_a_full_checkpoint_keeps_all_its_heads(full, tmp_path, pixels):
    full.save_pretrained(tmp_path)
    loaded, report = AutoModelForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert equal(full, loaded) and not any(report[kind] for kind in ("missing_keys", "unexpected_keys"))
    assert [name for name, _ in full.named_parameters()] == [name for name, _ in loaded.named_parameters()]
    first, second = full(pixels).predictions, loaded(pixels).predictions
    assert set(first) == {"emotion", "valence", "puzzle", "twins", "picture"}
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("training", [False, True])
def test_the_slim_model_has_the_same_logits_and_nothing_auxiliary(full, tmp_path, pixels, training):
    full.train(training)
    before = {key: value.clone() for key, value in full.state_dict().items()}
    random_state = torch.get_rng_state()
    slim = full.slim()
    assert torch.equal(random_state, torch.get_rng_state())
    assert slim.training is training and slim.config is slim.hmtl.config
    assert not any(key.startswith("auxiliary") for key in slim.state_dict())
    slim.eval().save_pretrained(tmp_path)
    assert not any(key.startswith("auxiliary") for key in load_file(tmp_path / "model.safetensors"))
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    full.eval()
    for model in (slim, loaded):
        outputs = model(pixels)
        assert torch.equal(outputs.logits, full(pixels).logits) and set(outputs.predictions) == {"emotion", "valence"}
        assert model.config.id2label == full.config.id2label
    # The copy is independent: training may go on with the full model.
    slim.heads["emotion"].layers[1].weight.data.zero_()
    assert "puzzle" in full.config.heads and all(torch.equal(before[key], full.state_dict()[key]) for key in before)


def test_tensors_that_a_checkpoint_lacks_start_as_in_a_new_model(tmp_path):
    model = small("test_vit")
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    kept = {key: value for key, value in tensors.items() if "pos_embed" not in key and "blocks.1" not in key}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    torch.manual_seed(7)
    loaded = HMTLForImageClassification.from_pretrained(tmp_path).hmtl.backbone
    torch.manual_seed(7)
    fresh = timm.create_model("test_vit", num_classes=0, img_size=64)
    assert torch.equal(loaded.pos_embed, fresh.pos_embed)
    assert torch.equal(loaded.blocks[1].attn.qkv.weight, fresh.blocks[1].attn.qkv.weight)
    assert torch.equal(loaded.blocks[0].attn.qkv.weight, model.hmtl.backbone.blocks[0].attn.qkv.weight)


@needs_computed_buffers
def test_buffers_that_timm_computes_and_never_saves_are_there_after_loading(tmp_path):
    model = HMTLModel(HMTLConfig(backbone=WITH_COMPUTED_BUFFERS, image_size=64))
    saved = set(model.state_dict())
    computed = {name: buffer for name, buffer in model.backbone.named_buffers() if f"backbone.{name}" not in saved}
    assert computed  # otherwise this backbone does not test anything
    model.save_pretrained(tmp_path)
    loaded = dict(HMTLModel.from_pretrained(tmp_path).backbone.named_buffers())
    assert all(torch.equal(buffer, loaded[name]) for name, buffer in computed.items())


def test_pixels_are_normalised_by_the_config_and_keep_their_layout():
    model = small(pixel_mean=[0.5, 0.4, 0.3], pixel_std=[0.2, 0.25, 0.5]).hmtl
    pixels = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    mean = torch.tensor([0.5, 0.4, 0.3], dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor([0.2, 0.25, 0.5], dtype=torch.float64).view(1, 3, 1, 1)
    normalised = model.normalised(pixels)
    torch.testing.assert_close(normalised.double(), (pixels.double() / 255 - mean) / std, rtol=0, atol=2e-6)
    assert normalised.is_contiguous(memory_format=torch.channels_last)


def test_uint8_and_float_pixels_give_identical_logits(full, pixels):
    floats = pixels / 255
    given = floats.clone()
    assert torch.equal(full(pixels).logits, full(floats).logits)
    assert torch.equal(floats, given)


OUTSIDE = {
    "floats to 255": lambda x: x.float(),
    "normalised": lambda x: x / 255 * 4 - 2,
    "not a number": lambda x: x / 255 * float("nan"),
    "integers beyond 255": lambda x: x.long() * 2,
    "negative integers": lambda x: x.short() - 128,
}


@pytest.mark.parametrize("wrong", OUTSIDE.values(), ids=OUTSIDE)
def test_values_outside_their_range_raise_in_every_call_on_a_cpu(full, pixels, wrong):
    for _ in range(2):
        with pytest.raises(ValueError, match="must lie in .0, (1|255)."):
            full(wrong(pixels))
        full(pixels / 255)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint16])
def test_integers_of_any_type_are_pixels(full, pixels, dtype):
    assert torch.equal(full(pixels.to(dtype)).logits, full(pixels).logits)


@pytest.mark.parametrize(
    "wrong", [lambda x: x > 9, lambda x: x[0], lambda x: x.permute(0, 2, 3, 1), lambda x: x[:, :1]]
)
def test_pixels_of_another_type_or_shape_raise(full, pixels, wrong):
    with pytest.raises(ValueError, match="pixel_values"):
        full(wrong(pixels))


def test_each_head_sees_its_rows_and_unnamed_heads_are_not_computed(full, pixels):
    everything = full(pixels)
    outputs = full(pixels, views={"puzzle": (1, 3), "emotion": (0, 4), "picture": (3, 4)})
    assert set(outputs.predictions) == {"puzzle", "emotion", "picture"}
    torch.testing.assert_close(outputs.predictions["puzzle"], everything.predictions["puzzle"][1:3])
    torch.testing.assert_close(outputs.predictions["picture"], everything.predictions["picture"][3:4])
    assert torch.equal(outputs.logits, everything.logits) and outputs.logits is outputs.predictions["emotion"]
    assert full(pixels, views={"puzzle": (0, 4)}).logits is None


@pytest.mark.parametrize("views", [{"jigsaw": (0, 4)}, {"puzzle": (0, 5)}, {"puzzle": (3, 2)}, {"puzzle": (-1, 2)}])
def test_views_that_do_not_exist_raise(full, pixels, views):
    with pytest.raises(ValueError, match=next(iter(views))):
        full(pixels, views=views)


def test_one_call_is_one_pass_through_the_backbone(full, pixels):
    calls = []
    full.hmtl.backbone.conv_stem.register_forward_hook(lambda *_: calls.append(1))
    full(pixels)
    assert len(calls) == 1


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet", "test_convnext"])
def test_decoders_give_images_of_any_size_and_leave_the_features_as_they_are(backbone, heads):
    model = small(backbone, heads=heads).eval()
    pixels = torch.randint(0, 256, (2, 3, 90, 90), dtype=torch.uint8)
    predictions = model(pixels).predictions
    assert predictions["picture"].shape == (2, 3, 90, 90)
    features = model.hmtl.backbone(model.hmtl.normalised(pixels))
    assert torch.equal(model.hmtl(pixels).pooler_output, features)
    assert torch.equal(predictions["emotion"], model.heads["emotion"].layers(features))


def test_a_decoder_on_a_transformer_raises_at_once_with_the_reason():
    with pytest.raises(ValueError, match="'test_vit' has no feature pyramid"):
        small("test_vit", heads={"picture": {"kind": "decoder"}})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_with_exact_pixel_constants(full, pixels, tmp_path, dtype):
    full.save_pretrained(tmp_path)
    for model in (full.slim().to(dtype), HMTLForImageClassification.from_pretrained(tmp_path, dtype=dtype)):
        outputs = model(pixels)
        assert outputs.logits.dtype == dtype and model.hmtl.pixels.scale.dtype == torch.float32
        torch.testing.assert_close(outputs.logits.float(), full(pixels).logits, rtol=0.1, atol=0.05)


def test_gradients_reach_every_parameter_and_the_pixels(full, pixels):
    full.train()
    floats = (pixels / 255).requires_grad_()
    outputs = full(floats, views=dict.fromkeys(full.config.heads, (0, 4)))
    sum((p.float() ** 2).sum() for p in outputs.predictions.values()).add(
        sum(outputs.log_variances.values())
    ).backward()
    assert floats.grad.abs().sum() > 0
    assert [name for name, parameter in full.named_parameters() if parameter.grad is None] == []


def test_learned_loss_weights_are_auxiliary_parameters_given_for_the_computed_heads(full, pixels):
    assert set(full.auxiliary["loss_weights"]) == set(full.config.heads)
    weights = full(pixels, views={"emotion": (0, 4), "puzzle": (0, 4)}).log_variances
    assert set(weights) == {"emotion", "puzzle"}
    (3 * weights["puzzle"]).backward()
    assert full.auxiliary["loss_weights"]["puzzle"].grad == 3
    assert full(pixels).log_variances is None
    assert small()(pixels, views={"emotion": (0, 4)}).log_variances is None


def test_distributed_training_finds_the_parameters_of_every_head(full, pixels, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(full.train(), find_unused_parameters=True)
        for _ in range(2):
            outputs = model(pixels, views={"emotion": (0, 2), "puzzle": (2, 4), "valence": (0, 4)})
            # Valence is computed and not used, picture and twins are not computed.
            loss = sum(outputs.predictions[name].square().mean() for name in ("emotion", "puzzle"))
            (loss + outputs.log_variances["puzzle"]).backward()
        assert full.auxiliary["loss_weights"]["puzzle"].grad == 2
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_backbone_is_taken_over_by_name_with_its_pixel_statistics(full, tmp_path, as_folder):
    full.config.pixel_mean = [0.5, 0.5, 0.5]
    full.save_pretrained(tmp_path)
    model = small("test_efficientnet")
    head = model.heads["emotion"].layers[1].weight.clone()
    report = model.load_backbone_from(tmp_path if as_folder else full)
    assert equal(model.hmtl.backbone, full.hmtl.backbone) and torch.equal(model.heads["emotion"].layers[1].weight, head)
    assert set(report.taken) == set(full.hmtl.backbone.state_dict())
    assert len(report.taken) + len(report.not_taken) == len(full.state_dict())
    assert "auxiliary.puzzle" in str(report) and "heads.emotion" in str(report)
    assert model.config.pixel_mean == [0.5, 0.5, 0.5]
    torch.testing.assert_close(model.hmtl.pixels.offset[0, 0, 0, 0], torch.tensor(-0.5 / 0.229))


def test_a_backbone_that_does_not_fit_raises_and_changes_nothing(full):
    model = small("test_resnet")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="do not fit the backbone 'test_resnet'"):
        model.load_backbone_from(full)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_backbone_weights_come_from_a_local_file_with_or_without_its_classifier(tmp_path, suffix):
    weights = timm.create_model("test_resnet").state_dict()
    path = str(tmp_path / f"weights{suffix}")
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    model = small("test_resnet")
    model.load_pretrained_backbone(path)
    assert all(torch.equal(value, weights[key]) for key, value in model.hmtl.backbone.state_dict().items())
    with pytest.raises(ValueError, match="do not fit the backbone 'test_efficientnet'"):
        small("test_efficientnet").load_pretrained_backbone(path)


def test_published_weights_bring_the_pixel_statistics_they_were_trained_with(monkeypatch):
    donor = timm.create_model("test_vit", num_classes=0, img_size=64)
    monkeypatch.setattr("hf_hmtl.model.modeling_hmtl.published_weights", lambda name: donor.state_dict())
    model = small("test_vit")
    model.load_pretrained_backbone()
    assert equal(model.hmtl.backbone, donor)
    assert model.config.pixel_mean == list(timm.get_pretrained_cfg("test_vit").mean)


def test_saving_writes_safetensors_json_and_code_only(full, tmp_path):
    full.save_pretrained(tmp_path)
    assert {os.path.splitext(name)[1] for name in os.listdir(tmp_path)} == {".json", ".safetensors", ".py"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_answer_that_is_no_number_is_never_a_class(full, pixels, tmp_path, value):
    with torch.no_grad():
        full.heads["emotion"].layers[1].bias[0] = value
    with pytest.raises(ValueError, match=r"head 'emotion' to 4 of 4 images are not finite.*overflow in float32"):
        full(pixels)
    full.save_pretrained(tmp_path)
    HMTLImageProcessor(size=64).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="head 'emotion' to 1 of 1 images are not finite"):
        pipeline("image-classification", model=str(tmp_path))(Image.fromarray(pixels[0].permute(1, 2, 0).numpy()))
    full.train()(pixels)  # a training is judged by its trainer, which knows the rows
    with torch.no_grad():
        full.heads["emotion"].layers[1].bias[0] = 0
    assert full.eval()(pixels).logits.isfinite().all()
