import pytest
import torch
from torch import nn

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.heads_hmtl import DECODER_FILTERS, DecoderHead, Features, build_head


def features(channels=6, rows=5) -> Features:
    return Features(torch.randn(rows, channels), torch.randn(rows, channels, 2, 2), {}, (64, 64))


def built(head: dict, channels=6) -> nn.Module:
    completed = HMTLConfig(heads={"head": head}).heads["head"]
    return build_head(completed, channels, channels, {}).eval()


def test_nine_puzzle_heads_are_one_linear_layer_reshaped():
    head, seen = built({"kind": "linear", "shape": [9, 9], "dropout": 0.2}), features()
    (weight, bias) = head.parameters()
    assert weight.shape == (81, 6)
    slots = [nn.functional.linear(seen.pooled, weight[9 * k : 9 * k + 9], bias[9 * k : 9 * k + 9]) for k in range(9)]
    torch.testing.assert_close(head(seen), torch.stack(slots, dim=1))


def test_dropout_acts_before_the_layer_and_in_training_only():
    head = built({"kind": "linear", "shape": [6], "dropout": 0.5})
    with torch.no_grad():
        head.layers[1].weight.copy_(torch.eye(6))
        head.layers[1].bias.zero_()
    seen = Features(torch.ones(1000, 6), None, {}, (64, 64))
    assert torch.equal(head(seen), seen.pooled)
    torch.manual_seed(0)
    dropped = head.train()(seen)
    assert set(dropped.unique().tolist()) == {0.0, 2.0} and 0.45 < (dropped == 0).float().mean() < 0.55


def test_the_mlp_has_one_hidden_layer_with_relu():
    head, seen = built({"kind": "mlp", "shape": [2, 3], "hidden": 7}), features()
    first, second = head.layers[0], head.layers[3]
    expected = second(first(seen.pooled).clamp(min=0)).reshape(5, 2, 3)
    torch.testing.assert_close(head(seen), expected)


def test_the_projector_has_three_layers_and_no_bias():
    head = built({"kind": "projector", "shape": [4], "hidden": 11})
    widths = [tuple(layer.weight.shape) for layer in head.layers if isinstance(layer, nn.Linear)]
    assert widths == [(11, 6), (11, 11), (4, 11)]
    assert all(layer.bias is None for layer in head.layers if isinstance(layer, nn.Linear))
    assert head.train()(features()).shape == (5, 4)


def test_the_decoder_has_the_layers_of_appendix_c():
    head = DecoderHead(32, {16: 9, 8: 7, 4: 5, 2: 3})
    deconvolutions = [m for m in head.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in deconvolutions] == [f for f in DECODER_FILTERS for _ in range(2)]
    assert [m.in_channels for m in deconvolutions[::2]] == [32, 256 + 9, 128 + 7, 64 + 5, 32 + 3]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in head.modules()) == 10
    assert (head.to_pixels.kernel_size, head.to_pixels.out_channels) == ((1, 1), 3)


@pytest.mark.parametrize("side", [64, 90])
@pytest.mark.parametrize("strides", [(16, 8, 4, 2), (16, 8, 4)])
def test_the_decoder_gives_images_as_large_as_the_input(side, strides):
    sizes = {stride: -(-side // stride) for stride in (32, *strides)}
    skips = {stride: torch.randn(2, 4, sizes[stride], sizes[stride]) for stride in strides}
    seen = Features(None, torch.randn(2, 8, sizes[32], sizes[32]), skips, (side, side))
    images = DecoderHead(8, dict.fromkeys(strides, 4)).eval()(seen)
    assert images.shape == (2, 3, side, side)
    assert images.min() >= 0 and images.max() <= 1


def test_the_last_upsampling_commutes_with_the_convolution_after_which_it_is_done():
    head = DecoderHead(8, {}).eval()
    seen = Features(None, torch.randn(1, 8, 2, 2), {}, (64, 64))
    inputs = []
    head.to_pixels.register_forward_hook(lambda module, given, result: inputs.append(given[0]))
    images = head(seen)
    as_printed = head.to_pixels(nn.functional.interpolate(inputs[0], scale_factor=2.0)).sigmoid()
    torch.testing.assert_close(images, as_printed)


def test_rows_of_features_are_cut_everywhere():
    seen = Features(torch.arange(4.0)[:, None], torch.arange(4.0).view(4, 1, 1, 1), {8: torch.arange(4.0)}, (1, 1))
    cut = seen.rows(1, 3)
    assert cut.pooled.flatten().tolist() == cut.deepest.flatten().tolist() == cut.skips[8].tolist() == [1.0, 2.0]
