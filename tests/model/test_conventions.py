"""What transformers, accelerate and torch expect of any model."""

import copy
import logging

import pytest
import torch
from backbones import WITH_COMPUTED_BUFFERS, needs_computed_buffers
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import AutoModel, AutoModelForImageClassification, Trainer, TrainingArguments, pipeline

from hf_hmtl.model.configuration_hmtl import HMTLConfig
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification, HMTLModel
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.puzzle import Puzzle

EMOTION = {"emotion": {"kind": "linear", "shape": [3], "labels": ["neutral", "happy", "sad"]}}


def small(backbone="test_resnet", **config) -> HMTLForImageClassification:
    return HMTLForImageClassification(HMTLConfig(backbone=backbone, image_size=64, **{"heads": EMOTION, **config}))


# The sides of the maps of a 64 px image, by timm's own tables of reductions.
SIDES = {"test_efficientnet": [32, 16, 8, 4, 2], "test_convnext": [16, 8, 4, 2], "test_vit": [4] * 6}


@pytest.mark.parametrize("backbone", SIDES)
@pytest.mark.parametrize("by_config", [False, True])
def test_hidden_states_are_the_maps_of_the_backbone(backbone, by_config, pixels):
    model = small(backbone).eval()
    model.config.output_hidden_states = by_config
    options = {} if by_config else {"output_hidden_states": True}
    for each in (model, model.hmtl):
        outputs = each(pixels, **options)
        assert [maps.shape[-1] for maps in outputs.hidden_states] == SIDES[backbone]
        assert torch.equal(outputs[0], each(pixels, output_hidden_states=False)[0])
        assert each(pixels, output_hidden_states=False).hidden_states is None


def test_a_decoder_and_hidden_states_share_one_pass(full, pixels):
    plain, with_maps = full(pixels), full(pixels, output_hidden_states=True)
    assert torch.equal(plain.predictions["picture"], with_maps.predictions["picture"])
    assert len(with_maps.hidden_states) == 5


def test_without_return_dict_the_same_comes_as_a_tuple(full, pixels):
    labels = torch.tensor([0, 1, 2, 0])
    loss, logits, predictions = full(pixels, labels=labels, return_dict=False)
    outputs = full(pixels, labels=labels)
    assert torch.equal(loss, outputs.loss) and torch.equal(logits, outputs.logits)
    assert torch.equal(predictions["puzzle"], outputs.predictions["puzzle"])
    full.config.return_dict = False
    assert isinstance(full(pixels), tuple) and torch.equal(full(pixels)[0], logits)
    assert torch.equal(full.hmtl(pixels)[1], full.hmtl(pixels, return_dict=True).pooler_output)


def test_a_plain_trainer_predicts_the_logits_of_the_primary_head(full, pixels, tmp_path):
    rows = [{"pixel_values": image, "labels": number % 3} for number, image in enumerate(pixels)]
    seen = []

    def keep(evaluation):
        seen.append(evaluation.predictions)
        return {"accuracy": float((evaluation.predictions.argmax(axis=1) == evaluation.label_ids).mean())}

    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], disable_tqdm=True)
    metrics = Trainer(full, args, eval_dataset=rows, compute_metrics=keep).evaluate()
    torch.testing.assert_close(torch.from_numpy(seen[0]), full(pixels).logits.detach())
    assert 0 <= metrics["eval_accuracy"] <= 1 and metrics["eval_loss"] > 0


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_vit"])
def test_checkpointed_activations_change_neither_loss_nor_gradients_nor_statistics(backbone, pixels):
    torch.manual_seed(0)
    plain = small(backbone).train()
    checkpointed = copy.deepcopy(plain)
    checkpointed.activation_checkpointing_enable()
    assert checkpointed.is_activation_checkpointing and not plain.is_activation_checkpointing
    labels, blocks = torch.tensor([0, 1, 2, 0]), []
    last = [module for module in checkpointed.hmtl.backbone.modules() if not list(module.children())][-3]
    last.register_forward_hook(lambda *_: blocks.append(1))
    for model in (plain, checkpointed):
        for _ in range(2):
            model(pixels, labels=labels).loss.backward()
    assert len(blocks) >= 2
    for (name, one), other in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    for (name, one), other in zip(plain.named_buffers(), checkpointed.buffers(), strict=True):
        assert torch.equal(one, other), name
    checkpointed.activation_checkpointing_disable()
    assert not checkpointed.is_activation_checkpointing
    assert not any(module._forward_hooks for module in checkpointed.hmtl.backbone.modules() if module is not last)


def test_checkpointing_runs_the_blocks_twice(pixels):
    model = small().train()
    runs = []
    model.hmtl.backbone.layer3[0].conv1.register_forward_hook(lambda *_: runs.append(1))
    model.activation_checkpointing_enable()
    model(pixels, labels=torch.tensor([0, 1, 2, 0])).loss.backward()
    assert len(runs) == 2


def test_what_timm_cannot_checkpoint_is_refused():
    with pytest.raises(ValueError, match="does not support activation checkpointing"):
        HMTLModel(HMTLConfig(backbone="inception_v3")).activation_checkpointing_enable()
    with pytest.raises(ValueError, match="every block or none"):
        small().activation_checkpointing_enable(every_n_layers=2)


@pytest.mark.parametrize(("backbone", "stem"), [("test_efficientnet", "conv_stem"), ("test_vit", "patch_embed.proj")])
def test_the_input_embeddings_are_the_stem(backbone, stem, pixels):
    model = small(backbone)
    assert model.get_input_embeddings() is model.hmtl.backbone.get_submodule(stem)
    model.requires_grad_(False)
    model.enable_input_require_grads()
    assert model(pixels).logits.requires_grad
    other = copy.deepcopy(model.get_input_embeddings())
    model.set_input_embeddings(other)
    assert model.hmtl.backbone.get_submodule(stem) is other


def test_what_accelerate_and_the_hub_want_to_know():
    model = small("test_vit", attn_implementation="sdpa")
    assert model.config._attn_implementation == "sdpa"
    assert model.num_labels == 3 and model.hmtl.num_labels == 3
    assert "hmtl" in model.model_tags and "HMTLModel" in model._no_split_modules


@pytest.mark.parametrize(
    "backbone", ["test_efficientnet", pytest.param(WITH_COMPUTED_BUFFERS, marks=needs_computed_buffers)]
)
def test_memory_that_was_never_initialised_is_completed_by_a_state_dict(backbone, pixels):
    model = small(backbone, pixel_mean=[0.5, 0.4, 0.3]).eval()
    with torch.device("meta"):
        empty = HMTLForImageClassification(model.config)
    empty = empty.to_empty(device="cpu").eval()
    for buffer in empty.buffers():
        buffer.fill_(99)
    empty.load_state_dict(model.state_dict())
    assert torch.equal(empty(pixels).logits, model(pixels).logits)


def test_opening_a_folder_with_heads_as_a_backbone_reports_nothing(full, tmp_path, caplog):
    full.save_pretrained(tmp_path)
    logging.getLogger("transformers").propagate = True
    with caplog.at_level("WARNING"):
        _, report = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["unexpected_keys"] and "UNEXPECTED" not in caplog.text
    # A head that a classifier is to leave out is reported.
    heads = {name: head for name, head in full.config.heads.items() if name != "valence"}
    _, report = AutoModelForImageClassification.from_pretrained(tmp_path, heads=heads, output_loading_info=True)
    assert any("valence" in key for key in report["unexpected_keys"])


def test_a_network_without_a_supervised_head_says_in_a_pipeline_what_is_missing(tmp_path, pixels):
    model = small(heads={"puzzle": {"kind": "linear", "shape": [4, 4], "auxiliary": True}})
    model.save_pretrained(tmp_path)
    HMTLImageProcessor(size=64).save_pretrained(tmp_path)
    pipe = pipeline("image-classification", model=str(tmp_path))
    with pytest.raises(ValueError, match="no head that stays after training.*puzzle.*id2label"):
        pipe(torch.rand(3, 64, 64))
    assert model(pixels, views={"puzzle": (0, 4)}).predictions["puzzle"].shape == (4, 4, 4)


def test_a_network_is_made_for_tasks():
    tasks = [
        Classification("emotion", labels=("sad", "happy")),
        Puzzle(grid=2),
        Puzzle("unlearned", grid=3, weight=0),
    ]
    model = HMTLForImageClassification.for_tasks(tasks, backbone="test_resnet", image_size=64)
    assert set(model.config.heads) == {"emotion", "puzzle"} and model.config.id2label == {0: "sad", 1: "happy"}
    assert model.config.image_size == 64 and model.config.heads["puzzle"]["shape"] == [4, 4]


def test_slim_keeps_layout_type_frozen_parameters_and_the_mode_of_every_module(full):
    full = full.to(torch.bfloat16, memory_format=torch.channels_last)
    full.hmtl.requires_grad_(False)
    full.heads["emotion"].train()
    slim = full.slim()
    assert slim.hmtl.backbone.conv_stem.weight.is_contiguous(memory_format=torch.channels_last)
    assert slim.dtype == torch.bfloat16 and not slim.heads["valence"].training and slim.heads["emotion"].training
    assert not any(parameter.requires_grad for parameter in slim.hmtl.parameters())
    assert slim.heads["emotion"].layers[1].weight.requires_grad
    assert not any(tensor.is_meta for tensor in (*slim.parameters(), *slim.buffers()))


@needs_computed_buffers
def test_slim_keeps_buffers_that_are_computed(pixels):
    model = small(
        WITH_COMPUTED_BUFFERS, heads={**EMOTION, "puzzle": {"kind": "linear", "shape": [2, 2], "auxiliary": True}}
    )
    assert torch.equal(model.eval().slim()(pixels).logits, model(pixels).logits)


def test_slim_refuses_modules_that_the_config_does_not_know(full):
    full.heads["emotion"].layers.append(torch.nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match="heads.emotion.layers.2"):
        full.slim()


def test_the_bare_model_is_sharded_and_steps(full, pixels, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        whole = copy.deepcopy(full).train()
        sharded = fully_shard(full.train(), mesh=init_device_mesh("cpu", (1,)))
        assert all(isinstance(parameter, DTensor) for parameter in sharded.parameters())
        for model in (whole, sharded):
            torch.manual_seed(0)  # dropout
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            outputs = model(pixels, views={"emotion": (0, 4), "puzzle": (0, 4)}, labels=torch.tensor([0, 1, 2, 0]))
            loss = outputs.loss + outputs.predictions["puzzle"].square().mean() + sum(outputs.log_variances.values())
            loss.backward()
            optimizer.step()
        after = {name: parameter.full_tensor() for name, parameter in sharded.named_parameters()}
        for name, parameter in whole.named_parameters():
            torch.testing.assert_close(after[name], parameter, msg=name)
        slim = sharded.slim()
        assert "auxiliary" not in str(slim.state_dict().keys())
        assert all(isinstance(parameter, DTensor) for parameter in slim.parameters())
    finally:
        torch.distributed.destroy_process_group()
