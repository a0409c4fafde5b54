import pytest
import timm
import torch

from hf_hmtl.model.backbone_hmtl import feature_pyramid, new_backbone, published_weights, weights_from_file


def test_the_backbone_is_drawn_as_timm_draws_it():
    torch.manual_seed(3)
    ours = new_backbone("test_resnet", 64).state_dict()
    torch.manual_seed(3)
    theirs = timm.create_model("test_resnet", num_classes=0).state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_transformers_are_made_for_the_image_size():
    assert new_backbone("test_vit", 96).patch_embed.img_size == (96, 96)


def test_an_unknown_name_raises_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean .*'efficientnet_b0'"):
        new_backbone("eficientnet_b0", 64)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_convnext"])
def test_the_pyramid_says_the_strides_and_channels_that_the_maps_have(name):
    backbone = new_backbone(name, 64)
    pyramid = feature_pyramid(backbone)
    assert list(pyramid) == ([16, 8, 4] if name == "test_convnext" else [16, 8, 4, 2])
    maps = backbone.forward_intermediates(torch.rand(1, 3, 64, 64), intermediates_only=True)
    for stride, (index, channels) in pyramid.items():
        assert maps[index].shape == (1, channels, 64 // stride, 64 // stride)


def test_a_transformer_has_no_pyramid():
    assert feature_pyramid(new_backbone("test_vit", 96)) == {}


def test_offline_weights_raise_with_the_model_and_both_remedies(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match="test_resnet") as error:
        published_weights("test_resnet")
    assert "on a machine with a connection" in str(error.value) and "--pretrained path/to/file" in str(error.value)


def test_a_model_without_published_weights_raises():
    with pytest.raises(ValueError, match="no pretrained weights for 'mobilenetv2_035'"):
        published_weights("mobilenetv2_035")


def test_weights_files_of_both_kinds_are_read_and_others_refused(tmp_path):
    backbone = new_backbone("test_resnet", 64)
    torch.save({"state_dict": backbone.state_dict()}, tmp_path / "weights.pth")
    read = weights_from_file(tmp_path / "weights.pth", backbone)
    assert all(torch.equal(read[key], value) for key, value in backbone.state_dict().items())
    torch.save(backbone, tmp_path / "pickled.pth")
    with pytest.raises(Exception, match="[Ww]eights.only"):
        weights_from_file(tmp_path / "pickled.pth", backbone)
    with pytest.raises(FileNotFoundError, match="missing.pth"):
        weights_from_file(tmp_path / "missing.pth", backbone)
