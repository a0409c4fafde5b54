"""A dry run says what the run would do, and does nothing of it."""

import statistics
from dataclasses import replace

import pytest
import torch
from model_kinds import made
from runs import TINY

from hf_hmtl.commands.train import run as main
from hf_hmtl.data.sources import drawn
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build
from hf_hmtl.run.timing import seconds_a_step, seconds_an_image
from hf_hmtl.training.trainer import HMTLTrainer


def test_dry_run_prints_the_plan_and_draws_a_batch(tmp_path, capsys):
    main(["quickstart", *TINY, "--dry_run", "--output_dir", str(tmp_path), "--num_train_epochs", "3"])
    printed = capsys.readouterr().out
    for part in ("train        192 rows", "happy 24", "puzzle: weight", "head 9 x 9", "18 of 32 rows", "minutes"):
        assert part in printed, part
    assert {path.name for path in tmp_path.iterdir()} == {"first_batch.png"}


def test_a_dry_run_counts_and_shows_what_the_run_would_take(tmp_path, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr("hf_hmtl.run.dry_run.draw_batch", lambda batch, *_: seen.append(batch["pixel_values"]))
    arguments = ["quickstart", *TINY, "--dry_run", "--output_dir", str(tmp_path), "--per_device_train_batch_size", "80"]
    for options, steps in (
        (["--seed", "5", "--num_train_epochs", "2"], "6 of 80 rows"),
        (["--seed", "1", "--data_seed", "5", "--num_train_epochs", "2", "--dataloader_drop_last"], "4 of 80 rows"),
        (["--seed", "1", "--max_steps", "7"], "7 of 80 rows"),
    ):
        main([*arguments, *options])
        assert f" {steps}" in capsys.readouterr().out
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


@pytest.mark.parametrize("tuned", [True, False])
def test_freed_memory_is_kept_only_after_the_rows_are_read(tuned, tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr("hf_hmtl.run.train.build", lambda *given: order.append("read") or build(*given))
    monkeypatch.setattr("hf_hmtl.run.process.keep_large_blocks", lambda: order.append("kept"))
    monkeypatch.setattr("hf_hmtl.run.train.dry_run", lambda experiment: order.append("begun"))
    main(["quickstart", *TINY, "--dry_run", "--output_dir", str(tmp_path), "--tune_allocator", str(tuned).lower()])
    assert order == ["read", "kept", "begun"] if tuned else ["read", "begun"]


def test_a_dry_run_says_which_part_of_the_pictures_is_seen(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hf_hmtl.run.dry_run.draw_batch", lambda *_: None)
    arguments = ["quickstart", *TINY, "--dry_run", "--output_dir", str(tmp_path)]
    main(arguments)
    assert "\ncrop         whole pictures\n" in capsys.readouterr().out
    load = drawn.load
    monkeypatch.setattr(
        drawn, "load", lambda *given, **options: replace(load(*given, **options), crop={"train": 0.69, "eval": 0.8})
    )
    main(arguments)
    recommended = "the central 0.69 of each side in training, 0.8 in evaluation"
    expected = (
        f"crop         whole pictures; for this release {recommended} is recommended: --set crop.train=0.69 crop.eval"
    )
    assert expected in capsys.readouterr().out
    main([*arguments[: arguments.index("--dry_run")], "crop.train=0.69", "crop.eval=0.8", *arguments[-3:]])
    assert f"crop         {recommended}\n" in capsys.readouterr().out
    assert f"  crop: {recommended} is recommended" in drawn.load(None, train=8, validation=8, test=8).describe()


@pytest.mark.parametrize(
    ("pretext", "passes"),
    [
        ("auxiliary.puzzle.grid=2", "1"),
        ("auxiliary.puzzle={view: own, share: 1.0}", "2"),
        ("auxiliary.puzzle={view: own, share: 0.25}", "1.25"),
        ("auxiliary.barlow_twins={hidden: 32, features: 16}", "3"),
    ],
)
def test_a_dry_run_counts_the_passes_of_the_backbone(tmp_path, capsys, pretext, passes):
    main(["quickstart", *TINY, pretext, "--dry_run", "--output_dir", str(tmp_path)])
    assert f"passes       {passes} of the backbone" in capsys.readouterr().out


def test_a_step_is_timed_with_all_batches_that_are_accumulated(tmp_path, monkeypatch):
    arguments = ["quickstart", *TINY, "--output_dir", str(tmp_path), "--gradient_accumulation_steps", "3"]
    recipe, options, args = parse(arguments)
    experiment = build(recipe, args, options.data_dir)
    before, calls = HMTLTrainer.compute_loss, []
    monkeypatch.setattr(
        HMTLTrainer, "compute_loss", lambda self, *given, **more: calls.append(1) or before(self, *given, **more)
    )
    assert seconds_a_step(experiment, steps=2) > 0 and len(calls) == 2 * 3


def test_an_answer_is_timed_on_the_network_that_is_saved(monkeypatch):
    """The median of seven calls about one image, after two that are not counted, without training heads."""
    seen, ticks = [], iter(range(100))
    before = HMTLForImageClassification.forward

    def forward(self, pixels):
        seen.append((set(self.config.heads), self.training, tuple(pixels.shape), torch.is_inference_mode_enabled()))
        return before(self, pixels)

    def clock():
        """A call lasts as many seconds as its number, but for the fifth that counts: as if something came between."""
        call, ends = divmod(next(ticks), 2)
        return ends * (100 if call == 6 else call)

    monkeypatch.setattr(HMTLForImageClassification, "forward", forward)
    monkeypatch.setattr("hf_hmtl.run.timing.time.perf_counter", clock)
    model = made("hybrid").train()
    assert seconds_an_image(model) == statistics.median([2, 3, 4, 5, 100, 7, 8])
    assert seen == [({"emotion"}, False, (1, 3, 32, 32), True)] * 9 and model.training
