"""Where trainings differ from the paper's: against recipe files as they are written."""

import yaml

from hf_hmtl import recipe as recipes
from hf_hmtl.compare.reproduce import plan
from hf_hmtl.compare.reproduce.departures import NAMED, blocks_of_departures


def lines(name):
    blocks = blocks_of_departures(plan.load(name).narrowed((), (), ()))
    return [dict(zip(blocks[2].rows[0], row, strict=True)) for row in blocks[2].rows[1:]] if blocks else []


def test_the_papers_own_rows_depart_in_nothing():
    assert lines("affectnet") == lines("300w-lp") == []


def test_what_a_file_changes_of_the_papers_is_told_with_the_rows_of_which_it_is_so():
    found = lines("drawn")
    own, original = (
        yaml.safe_load((recipes.FOLDER / f"{file}.yaml").read_text(encoding="utf-8"))
        for file in ("drawn-paper", "affectnet")
    )
    decay = [line for line in found if (line["recipe file"], line["entry"]) == ("drawn-paper", "training.decay_epochs")]
    few = [row for row, content in own["rows"].items() if "num_train_epochs" in (content or {}).get("training", {})]
    few = [row for row in few if row in original["rows"]]
    assert [(line["the paper's"], line["here"]) for line in decay] == [("15,40", "60,72"), ("15,40", "300,360")]
    assert decay[1]["rows"] == ", ".join(few) and len(few) <= NAMED
    assert decay[0]["rows"].startswith(f"{51 - len(few)} of 51, supervised-none among them")
    size = next(line for line in found if line["entry"] == "image_size")
    assert (size["the paper's"], size["here"], size["rows"]) == ("224 or 225 or 260 or 261", "48", "all")
    rate = next(line for line in found if line["entry"] == "training.learning_rate")
    assert (rate["recipe file"], rate["the paper's"], rate["here"]) == ("drawn-paper-pose", "0.0001", "0.001")


def test_what_does_not_differ_is_not_told():
    entries = {line["entry"] for line in lines("drawn") if line["recipe file"] == "drawn-paper"}
    same = {"training.optim", "augmentation", "auxiliary", "training.learning_rate", "teacher", "pretrained"}
    assert not entries & same
    # A row that begins with the like of the paper's begins with the same.
    assert {line["recipe file"] for line in lines("drawn") if line["entry"] == "pretrained"} == {"drawn-paper-pose"}
    assert not any(line["the paper's"] == line["here"] for line in lines("drawn") + lines("fer2013"))
