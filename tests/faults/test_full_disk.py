"""Disks that are full at each file that a run writes: one line with the file, nothing half-written, and it goes on."""

import pytest
from broken_runs import TRAINER, assert_same_run, go_on, leavings, train
from child_commands import at, full_disk

pytestmark = [pytest.mark.slow, pytest.mark.faults]
RUN = "hf_hmtl.run.train:"

WRITERS = {
    "run.json": f"{RUN}write_record",
    "checkpoint-3/hmtl_state.json": "hf_hmtl.training.checkpoint:HybridState.write",
    "checkpoint-3/model.safetensors": "transformers:Trainer.save_model",
    "checkpoint-3/optimizer.pt": f"{TRAINER}._save_optimizer_and_scheduler",
    "checkpoint-3/rng_state.pth": f"{TRAINER}._save_rng_state",
    "checkpoint-3/trainer_state.json": "transformers:TrainerState.save_to_json",
    "lowest-loss-3": "hf_hmtl.run.lowest_loss:keep",
    "": f"{TRAINER}.save_final",
    "recipe.yaml": f"{RUN}write_recipe",
    "predictions.parquet": f"{RUN}write_predictions",
    "curves.png": f"{RUN}plot_curves",
    "README.md": f"{RUN}write_card",
    "result.json": "hf_hmtl.results.result:Result.write",
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_that_names_the_file_and_the_run_goes_on(whole, tmp_path, name):
    folder = tmp_path / "run"
    ended = train(folder, fault=at(WRITERS[name], 1, full_disk))
    assert ended.status == 2, ended.printed[-3000:]
    named = folder / name.partition("/")[0] if "/" in name else folder / name  # of a checkpoint, its folder
    assert ended.last_line.startswith("error: ") and str(named) in ended.last_line
    assert ended.printed.count("error: ") == 1 and "Traceback" not in ended.printed
    assert leavings(folder) == [] and not (folder / "result.json").exists()
    assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size in (0, 100)]
    if "checkpoint" in name:
        assert not (folder / "checkpoint-3").exists()
    go_on(folder)
    assert_same_run(whole, folder)
