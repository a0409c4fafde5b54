"""Texts of any script in pictures: by a font that has their letters, and without matplotlib's boxes and warnings."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from matplotlib import font_manager

from hf_hmtl.analysis import lettering
from hf_hmtl.analysis.curves import plot_curves
from hf_hmtl.analysis.lettering import families_for
from hf_hmtl.run.dry_run import draw_batch
from hf_hmtl.tasks.classification import Classification


def test_matplotlibs_own_font_is_enough_for_what_it_has():
    assert families_for(["happy", "fröhlich", "веселый", "ευτυχισμένος", "سعيد", "😀"]) == (["DejaVu Sans"], "")
    assert families_for([]) == (["DejaVu Sans"], "")


def test_letters_that_no_font_has_are_named(monkeypatch):
    own = font_manager.findfont("DejaVu Sans")
    only = [each for each in font_manager.fontManager.ttflist if each.fname == own]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", only)
    assert families_for(["开心", "happy"]) == (["DejaVu Sans"], "开心")


def test_another_font_of_the_machine_is_added_for_what_it_has(monkeypatch):
    """A second font in the place of a Chinese one: the mathematical letters that come with matplotlib."""
    monkeypatch.setattr(lettering, "USUAL", "STIXSizeOneSym")  # it has hardly a letter
    families, missing = families_for(["happy"])
    assert families[0] == "STIXSizeOneSym" and len(families) > 1 and missing == ""


def drawn(labels, path):
    """The first batch of a run with these classes, drawn while every warning is an error."""
    task = Classification(name="emotion", labels=labels)
    batch = {
        "pixel_values": torch.zeros(3, 3, 8, 8, dtype=torch.uint8),
        "targets": {"emotion": torch.tensor([0, 1, -100])},
    }
    recipe, args = SimpleNamespace(name="mine/$x$"), SimpleNamespace(sampling_seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_batch(batch, SimpleNamespace(supervised=[task], recipe=recipe, args=args, in_time=None), path)
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    "labels", [("开心", "悲伤"), ("سعيد", "حزين"), ("😀", "😢"), ("$\\frac$", "a_$b"), ("행복", "슬픔")]
)
def test_class_names_of_any_script_are_drawn_or_their_numbers(tmp_path, capsys, labels):
    drawn(labels, tmp_path / "batch.png")
    _, missing = families_for(labels)
    printed = capsys.readouterr().out
    assert (f"shows the numbers of the classes: 0 {labels[0]}, 1 {labels[1]}" in printed) == bool(missing)


def test_class_names_without_a_font_are_numbers_and_it_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("hf_hmtl.run.dry_run.families_for", lambda texts: (["DejaVu Sans"], "开心"))
    drawn(("开心", "happy"), tmp_path / "batch.png")
    assert "no font of this machine has 开 心, so the picture shows the numbers of the classes: 0 开心, 1 happy" in (
        capsys.readouterr().out
    )


def test_measures_of_columns_with_a_dollar_or_another_script_are_drawn(tmp_path):
    history = [{"step": step, "eval_attributes_average_precision_$au_{1": 0.5, "eval_a_mae_ü": 1.0} for step in (1, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_curves(history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
