"""Faces in time: beside torch's own recurrent networks, padding, pieces, checkpoints, the way to a video's label."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from elsewhere import WITHOUT_HF_HMTL
from torch import nn
from transformers import AutoModel, AutoModelForVideoClassification, PreTrainedModel, pipeline
from videos import write_video

from hf_hmtl.model import publishing_hmtl
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.configuration_sequence_hmtl import HMTLSequenceConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.model.modeling_sequence_hmtl import HMTLSequenceForVideoClassification, HMTLSequenceModel

NUMBERS = {"id2label": {0: "valence", 1: "arousal"}, "problem_type": "regression"}
CLASSES = {"id2label": {0: "neutral", 1: "happy", 2: "sad"}, "answers": "clip", "recurrent": "lstm", "layers": 1}


def config(**options):
    return HMTLSequenceConfig(frame_config=HMTLConfig(backbone="test_resnet", image_size=32), units=8, **options)


def made(kind=HMTLSequenceModel, **options):
    torch.manual_seed(0)
    return kind(config(**options)).eval()


@pytest.fixture(scope="module")
def frames():
    """(3, 6, 3, 16, 16) uint8."""
    return torch.randint(0, 256, (3, 6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize(("kind", "plain"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_it_is_the_backbone_then_torchs_own_network_then_one_layer(frames, kind, plain, bidirectional):
    model = made(recurrent=kind, bidirectional=bidirectional, **NUMBERS)
    beside = plain(model.hmtl.pooled_channels, 8, 2, batch_first=True, bidirectional=bidirectional)
    beside.load_state_dict(model.recurrent.state_dict())
    with torch.no_grad():
        outputs = model(frames)
        features = torch.stack([model.hmtl(clip).pooler_output for clip in frames])
        states, _ = beside(features)
        torch.testing.assert_close(outputs.features, features, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(outputs.logits, model.head(states), rtol=1e-4, atol=1e-5)
    assert outputs.logits.shape == (3, 6, 2) and outputs.last_hidden_state.shape == (3, 6, 8 * (1 + bidirectional))


@pytest.mark.parametrize(
    "options", [NUMBERS, CLASSES, CLASSES | {"summary": "mean"}, CLASSES | {"bidirectional": False}]
)
def test_padding_is_never_seen_whatever_stands_in_it(frames, options):
    model = made(**options)
    noisy = torch.where(MASK.bool()[..., None, None, None], frames, 255 - frames)
    with torch.no_grad():
        padded, other = model(frames, attention_mask=MASK), model(noisy, attention_mask=MASK)
        for clip, length in enumerate(MASK.sum(1).tolist()):
            alone = model(frames[clip, :length]).logits[0]  # four dimensions are one clip
            for outputs in (padded, other):
                seen = outputs.logits[clip] if "answers" in options else outputs.logits[clip, :length]
                torch.testing.assert_close(seen, alone, rtol=1e-4, atol=1e-5)
    assert (padded.features[1, 3:] == 0).all() and (padded.last_hidden_state[1, 3:] == 0).all()


def test_the_last_state_of_each_direction_answers_for_a_clip(frames):
    model = made(**CLASSES)
    with torch.no_grad():
        outputs = model(frames)
        _, (ends, _) = model.recurrent(outputs.features)  # (directions, clips, units)
        torch.testing.assert_close(outputs.logits, model.head(torch.cat([ends[0], ends[1]], 1)), rtol=1e-4, atol=1e-5)
        states = made(**CLASSES | {"summary": "mean"})(frames, attention_mask=MASK).last_hidden_state
        by_hand = torch.stack([states[clip, :length].mean(0) for clip, length in enumerate(MASK.sum(1).tolist())])
        mean = made(**CLASSES | {"summary": "mean"})
        torch.testing.assert_close(mean._summary(states, MASK.sum(1)), by_hand)


def test_features_stand_in_for_frames_and_the_pieces_do_not_matter(frames):
    model = made(**NUMBERS)
    with torch.no_grad():
        whole = model(frames, attention_mask=MASK)
        again = model(features=whole.features, attention_mask=MASK)
        model.config.frames_at_once = 4
        pieces = model(frames, attention_mask=MASK)
    torch.testing.assert_close(again.logits, whole.logits, rtol=0, atol=0)
    torch.testing.assert_close(pieces.logits, whole.logits, rtol=1e-4, atol=1e-5)


def test_losses_are_those_of_torch_over_what_is_known(frames):
    numbers, classes = made(**NUMBERS), made(**CLASSES)
    labels = torch.rand(3, 6, 2, generator=torch.Generator().manual_seed(2))
    labels[0, 2] = torch.nan
    outputs = numbers(frames, attention_mask=MASK, labels=labels)
    known = MASK.bool()[..., None] & ~labels.isnan()
    expected = (outputs.logits - labels)[known].square().mean()
    torch.testing.assert_close(outputs.loss, expected)
    outputs = classes(frames, labels=torch.tensor([2, -100, 1]))
    expected = nn.functional.cross_entropy(outputs.logits[[0, 2]], torch.tensor([2, 1]))
    torch.testing.assert_close(outputs.loss, expected)
    of_frames = made(**CLASSES | {"answers": "frames"})
    targets = torch.where(MASK.bool(), 1, 2)  # those of padding do not count
    outputs = of_frames(frames, attention_mask=MASK, labels=targets)
    expected = nn.functional.cross_entropy(outputs.logits[MASK.bool()], torch.ones(10, dtype=torch.int64))
    torch.testing.assert_close(outputs.loss, expected)


def test_checkpointed_activations_change_neither_gradients_nor_statistics(frames):
    plain = made(dropout=0, **NUMBERS).train()
    lean = copy.deepcopy(plain)
    lean.activation_checkpointing_enable()
    assert lean.gradient_checkpointing and not plain.gradient_checkpointing
    for model in (plain, lean):
        model(frames, labels=torch.zeros(3, 6, 2)).loss.backward()
    for (name, ours), theirs in zip(plain.named_parameters(), lean.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)
    for ours, theirs in zip(plain.buffers(), lean.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


LARGE = """
import resource, sys, torch
from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.configuration_sequence_hmtl import HMTLSequenceConfig
from hf_hmtl.model.modeling_sequence_hmtl import HMTLSequenceModel
frames = HMTLConfig(backbone="efficientnet_b0", image_size=224)
model = HMTLSequenceModel(HMTLSequenceConfig(frame_config=frames, id2label={0: "valence"}, problem_type="regression"))
model.gradient_checkpointing_enable()
pixels = torch.randint(256, (4, 32, 3, 224, 224), dtype=torch.uint8)
model.train()(pixels, labels=torch.zeros(4, 32, 1)).loss.backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
def test_four_clips_of_32_frames_of_224_px_learn_in_a_third_of_24_gigabytes():
    """3.9 GiB were measured, and some 12 without checkpoints: the goal is 24 GB for one step of Table 8."""
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 1e9 < int(done.stdout) < 8e9


def test_a_frozen_backbone_stays_as_it_is_and_the_rest_learns(frames):
    model = made(frozen=True, **NUMBERS).train()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    model(frames, labels=torch.ones(3, 6, 2)).loss.backward()
    optimizer.step()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("hmtl."), name


def test_the_recurrent_network_starts_as_in_keras():
    model = made(**NUMBERS)
    for name, tensor in model.recurrent.named_parameters():
        if "bias" in name:
            assert (tensor == 0).all()
        elif "_hh_" in name:
            torch.testing.assert_close(tensor.T @ tensor, torch.eye(8))
        else:
            assert tensor.abs().max() <= np.sqrt(6 / sum(tensor.shape))


def test_a_saved_network_is_the_same_and_begins_with_a_backbone_of_ours(frames, tmp_path):
    heads = {"emotion": {"kind": "linear", "shape": [2], "labels": ["a", "b"]}}
    images = HMTLForImageClassification(
        HMTLConfig(backbone="test_resnet", image_size=32, heads=heads, pixel_mean=[0.5] * 3, learned_from=["drawn"])
    )
    images.save_pretrained(tmp_path / "images")
    model = HMTLSequenceModel.for_backbone(str(tmp_path / "images"), units=8, **NUMBERS).eval()
    for ours, theirs in zip(model.hmtl.state_dict().values(), images.hmtl.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert model.config.frame_config.pixel_mean == [0.5] * 3 and model.config.frame_config.heads == {}
    assert model.config.frame_config.learned_from == ["drawn"]
    model.save_pretrained(tmp_path / "clips")
    assert not list((tmp_path / "clips").glob("*.bin"))
    again = AutoModel.from_pretrained(tmp_path / "clips")
    assert type(again) is HMTLSequenceModel and again.config.id2label == NUMBERS["id2label"]
    with torch.no_grad():
        assert torch.equal(again(frames).logits, model(frames).logits)
    with pytest.raises(ValueError, match="answers for every frame, and video classification for a whole clip. Load it"):
        AutoModelForVideoClassification.from_pretrained(tmp_path / "clips")


def test_a_saved_network_does_not_say_where_its_backbone_lay(tmp_path):
    heads = {"emotion": {"kind": "linear", "shape": [2]}, "puzzle": {"kind": "mlp", "shape": [4, 4], "auxiliary": True}}
    trained = HMTLConfig(
        backbone="test_resnet", image_size=32, heads=heads, loss_weighting="uncertainty", learned_from=["drawn"]
    )
    HMTLForImageClassification(trained).save_pretrained(tmp_path / "earlier")
    model = HMTLSequenceModel.for_backbone(tmp_path / "earlier", **CLASSES)
    model.save_pretrained(tmp_path / "saved")
    text = (tmp_path / "saved" / "config.json").read_text()
    assert str(tmp_path) not in text and "emotion" not in text and "uncertainty" not in text
    assert json.loads(text)["frame_config"]["learned_from"] == ["drawn"]
    whole = HMTLSequenceConfig(frame_config=HMTLConfig.from_pretrained(tmp_path / "earlier"), **CLASSES)
    assert str(tmp_path) not in whole.to_json_string()


def test_what_is_published_is_private_unless_it_is_said_otherwise(monkeypatch, tmp_path):
    told = []
    monkeypatch.setattr(publishing_hmtl, "_publishers", [])  # where hf_hmtl is not installed
    monkeypatch.setattr(
        PreTrainedModel, "push_to_hub", lambda self, repo_id, **options: told.append(options["private"])
    )
    model = made(**NUMBERS)
    model.push_to_hub("user/clips")
    model.push_to_hub("user/clips", private=False)
    monkeypatch.setattr(PreTrainedModel, "save_pretrained", lambda self, folder, **options: told.append(options))
    model.save_pretrained(tmp_path, push_to_hub=True)
    model.save_pretrained(tmp_path)
    assert told == [True, False, {"push_to_hub": True, "private": True}, {"push_to_hub": False}]
    published = []
    monkeypatch.setattr(
        publishing_hmtl, "_publishers", [lambda model, repo_id, **options: published.append((repo_id, options))]
    )
    model.push_to_hub("user/clips")
    model.save_pretrained(tmp_path / "clips", push_to_hub=True)
    assert published == [("user/clips", {"private": True}), ("clips", {"private": True})]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A saved classifier of clips, its processor, and a video."""
    folder = tmp_path_factory.mktemp("clips")
    made(HMTLSequenceForVideoClassification, num_frames=4, **CLASSES).save_pretrained(folder)
    HMTLImageProcessor(size=32).save_pretrained(folder)
    pictures = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    write_video(folder / "video.mov", pictures)
    return folder, pictures


def test_the_pipeline_labels_a_video_by_its_first_frames(classifier):
    folder, pictures = classifier
    answer = pipeline("video-classification", model=str(folder))(str(folder / "video.mov"), top_k=3)
    model = AutoModelForVideoClassification.from_pretrained(folder)
    assert type(model) is HMTLSequenceForVideoClassification
    pixels = HMTLImageProcessor(size=32)(list(pictures[:4]), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        shares = model(pixels).logits[0].softmax(0)
    assert {each["label"]: each["score"] for each in answer} == {
        name: pytest.approx(shares[number].item(), rel=1e-4) for number, name in CLASSES["id2label"].items()
    }


def test_it_loads_where_hf_hmtl_is_not_installed(classifier):
    folder, _ = classifier
    script = WITHOUT_HF_HMTL + (
        "import json\nfrom transformers import pipeline\n"
        f"answer = pipeline('video-classification', model={str(folder)!r}, trust_remote_code=True)\n"
        f"print(json.dumps(answer({str(folder / 'video.mov')!r})))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-2000:]
    here = pipeline("video-classification", model=str(folder))(str(folder / "video.mov"))
    there = json.loads(done.stdout.splitlines()[-1])
    assert [each["label"] for each in there] == [each["label"] for each in here]
    assert [each["score"] for each in there] == pytest.approx([each["score"] for each in here], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recurrent": "rnn"}, "recurrent is 'rnn', allowed are 'gru' and 'lstm'"),
        ({"answers": "video"}, "answers is 'video', allowed are 'frames' and 'clip'"),
        ({"layers": 0}, "layers is 0, allowed are whole numbers from 1"),
        ({"dropout": 1.0}, "dropout is 1.0, allowed is 0 <= share < 1"),
        ({"id2label": {0: "valence"}}, "the only class is 'valence'; .* For a number give problem_type='regression'"),
    ],
)
def test_what_a_network_cannot_be_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)


def test_what_it_cannot_read_is_said(frames):
    model = made(**NUMBERS)
    with pytest.raises(ValueError, match="Give pixel_values, the frames of clips, or features"):
        model()
    with pytest.raises(ValueError, match=r"features has the shape \(clips, time, \d+\) .*got \(3, 6, 5\)"):
        model(features=torch.zeros(3, 6, 5))
    for wrong in (MASK[:, :5], MASK.flip(1), torch.zeros_like(MASK)):
        with pytest.raises(ValueError, match=r"attention_mask (is 1 for the frames|has the shape)"):
            model(frames, attention_mask=wrong)
    with pytest.raises(ValueError, match="labels of frames have the shape"):
        model(frames, labels=torch.zeros(3, 2))
    with torch.no_grad():
        model.head.bias.fill_(torch.nan)
        with pytest.raises(ValueError, match="are not finite"):
            model(frames)
