"""A configuration says what its weights have learned from, and how the faces of its images were cut."""

import dataclasses
import json

from runs import tiny

from hf_hmtl import HMTLForImageClassification
from hf_hmtl.commands.train import run as main
from hf_hmtl.data import sources
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.experiment import build


def config_of(*options):
    recipe, given, args = parse(["quickstart", *tiny(), *options])
    return build(recipe, args, given.data_dir).model.config


def test_a_finished_folder_names_its_source_and_a_run_that_begins_with_it_all_earlier_ones(tmp_path):
    drawn = tmp_path / "drawn"
    main(["quickstart", *tiny(), "--num_train_epochs", "0", "--output_dir", str(drawn)])
    assert HMTLForImageClassification.from_pretrained(drawn).config.learned_from == ["drawn"]
    result = json.loads((drawn / "result.json").read_text())
    result["recipe"]["source"]["name"] = "affectnet"  # as if it had learned from that
    (drawn / "result.json").write_text(json.dumps(result))
    began = config_of("--output_dir", str(tmp_path / "next"), "--pretrained", str(drawn))
    assert began.learned_from == ["drawn", "affectnet"]


def test_the_margin_is_that_of_the_source_and_none_where_nobody_knows(tmp_path, monkeypatch):
    assert config_of("--output_dir", str(tmp_path)).face_margin is None
    load = sources.load
    monkeypatch.setattr(sources, "load", lambda *a, **k: dataclasses.replace(load(*a, **k), face_margin=0.5))
    assert config_of("--output_dir", str(tmp_path)).face_margin == 0.5
