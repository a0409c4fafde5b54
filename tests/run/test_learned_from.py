"""A configuration says what its weights have learned from, and how the faces of its images were cut."""

import dataclasses

from runs import tiny

from hf_hmtl import HMTLForImageClassification
from hf_hmtl.commands.train import run as main
from hf_hmtl.data import sources
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build

NOTHING = ["--num_train_epochs", "0"]


def config_of(*options):
    recipe, given, args = parse(["quickstart", *tiny(), *options])
    return build(recipe, args, given.data_dir).model.config


def test_a_finished_folder_names_the_source_and_a_run_that_begins_with_it_names_both(tmp_path, monkeypatch):
    main(["quickstart", *tiny(), *NOTHING, "--output_dir", str(tmp_path / "drawn")])
    assert HMTLForImageClassification.from_pretrained(tmp_path / "drawn").config.learned_from == ["drawn"]
    load = sources.load
    other = {"name": "fer2013", "face_margin": 0.5}
    monkeypatch.setattr(sources, "load", lambda name, *a, **k: dataclasses.replace(load("drawn", *a, **k), **other))
    began = config_of("--output_dir", str(tmp_path / "next"), "--pretrained", str(tmp_path / "drawn"))
    assert began.learned_from == ["drawn"] and began.face_margin == 0.5, "the recipe's source is drawn"
    monkeypatch.setattr("hf_hmtl.run.experiment.known_of", lambda *_: {"sources": ["affectnet", "drawn"]})
    assert config_of("--output_dir", str(tmp_path / "next")).learned_from == ["drawn", "affectnet"]


def test_where_nobody_knows_the_margin_none_is_written(tmp_path):
    assert config_of("--output_dir", str(tmp_path)).face_margin is None
