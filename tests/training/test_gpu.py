"""What holds on a CPU holds on a GPU; these tests run where there is one."""

import pytest
import torch
from processes import launched
from trainers import assert_same, make, weights

from hf_hmtl import HMTLForImageClassification
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.rotation import Rotation
from hf_hmtl.training.step import rehearsal

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")


def losses(trainer, name="loss"):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


@pytest.fixture
def exact_products(monkeypatch):
    """Products in float32 proper; by default convolutions on a GPU round their factors to TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def test_a_gpu_follows_the_cpu(faces, tmp_path, exact_products):
    """The same batches, draws and losses: hybrid steps differ by the order of float32 sums alone."""
    pretexts = Puzzle(grid=2, share=0.5, dropout=0.0), Rotation(weight=0.3, dropout=0.0)
    found = {}
    for use_cpu in (True, False):
        trainer = make(faces, tmp_path / str(use_cpu), *pretexts, dropout=0.0, max_steps=4, use_cpu=use_cpu)
        trainer.train()
        assert trainer.args.device.type == ("cpu" if use_cpu else "cuda")
        found[use_cpu] = losses(trainer)
    assert found[False] == pytest.approx(found[True], rel=2e-3) and len(found[True]) == 4


def test_a_resumed_training_on_a_gpu_has_the_bits_of_an_uninterrupted_one(faces, tmp_path):
    options = {"use_cpu": False, "full_determinism": True, "save_strategy": "steps", "save_steps": 3, "max_steps": 6}
    whole = make(faces, tmp_path / "whole", Puzzle(grid=2, share=0.5), **options)
    whole.train()
    resumed = make(faces, tmp_path / "resumed", Puzzle(grid=2, share=0.5), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert_same(weights(whole), weights(resumed))


@pytest.mark.parametrize("compiled", [False, True])
def test_half_precision_trains_and_its_checkpoint_answers_alike_on_a_cpu(faces, tmp_path, compiled):
    options = {"use_cpu": False, "bf16": True, "torch_compile": compiled, "dataloader_num_workers": 2}
    trainer = make(faces, tmp_path, Puzzle(grid=2), num_train_epochs=2, **options)
    trainer.train()
    assert all(torch.isfinite(tensor).all() for tensor in weights(trainer).values())
    assert losses(trainer)[-1] < losses(trainer)[0]
    trainer.save_model(str(tmp_path / "saved"))
    on_cpu = HMTLForImageClassification.from_pretrained(tmp_path / "saved")
    on_gpu = HMTLForImageClassification.from_pretrained(tmp_path / "saved").to("cuda")
    pixels = torch.randint(256, (4, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = on_cpu(pixels).logits, on_gpu(pixels.to("cuda")).logits.cpu()
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def test_evaluation_on_a_gpu_counts_every_row_once(faces, tmp_path, exact_products):
    scores = {}
    for use_cpu in (True, False):
        trainer = make(faces, tmp_path / str(use_cpu), use_cpu=use_cpu, per_device_eval_batch_size=5)
        scores[use_cpu] = trainer.evaluate()
    assert scores[False]["eval_loss"] == pytest.approx(scores[True]["eval_loss"], rel=1e-4)


def test_a_rehearsal_leaves_the_random_numbers_of_the_gpu_as_they_were():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5)).to("cuda")
    before = torch.cuda.get_rng_state()
    with rehearsal(model, torch.device("cuda")):
        model(torch.ones(8, 4, device="cuda"))
        assert not torch.equal(torch.cuda.get_rng_state(), before)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_batch_norms_of_two_processes_see_the_rows_of_both(tmp_path):
    """Two processes on one GPU lose what one loses of the same rows, and something else where each sees its own."""
    one = launched(1, tmp_path / "one.json", "cuda", "own")
    both, apart = (launched(2, tmp_path / f"{norm}.json", "cuda", norm) for norm in ("all", "own"))
    for alone, together, separate in zip(one, both, apart, strict=True):
        expected = [entry["loss"] for entry in alone["losses"]]
        assert [entry["loss"] for entry in together["losses"]] == pytest.approx(expected, rel=2e-3)
        assert separate["losses"][0]["loss"] != pytest.approx(expected[0], rel=2e-3)
