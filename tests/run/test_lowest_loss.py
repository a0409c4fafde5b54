"""The weights of the lowest validation loss, as files; that figure 16 reads them is tested with the figure."""

import pytest

from hf_hmtl.run import lowest_loss


def checkpoint(folder, step, text):
    place = folder / f"checkpoint-{step}"
    place.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        (place / name).write_text(text)


def test_the_later_takes_the_place_of_the_earlier_and_a_step_may_come_again(tmp_path):
    for step, text in ((2, "first"), (4, "second"), (4, "again")):
        checkpoint(tmp_path, step, text)
        lowest_loss.keep(tmp_path, step)
    assert [path.name for path in tmp_path.glob("*lowest-loss*")] == ["lowest-loss-4"]
    assert (lowest_loss.kept(tmp_path, 4) / "model.safetensors").read_text() == "again"
    assert lowest_loss.kept(tmp_path, 2) is None


def test_a_run_that_is_killed_while_it_keeps_has_one_too_many_and_never_none(tmp_path, monkeypatch):
    for step in (2, 4):
        checkpoint(tmp_path, step, f"of {step}")
    lowest_loss.keep(tmp_path, 2)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(lowest_loss.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        lowest_loss.keep(tmp_path, 4)
    assert (lowest_loss.kept(tmp_path, 2) / "model.safetensors").read_text() == "of 2"


def test_the_lowest_is_the_first_of_equals_and_no_number_is_none():
    log = [{"eval_loss": value, "step": step} for step, value in enumerate((3.0, 2.0, float("nan"), 2.0, 9.0), 1)]
    assert lowest_loss.lowest_step([{"loss": 1.0, "step": 1}, *log]) == 2
    assert lowest_loss.lowest_step([{"loss": 1.0, "step": 1}]) is None
