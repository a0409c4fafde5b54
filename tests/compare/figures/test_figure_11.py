"""Figure 11: Grad-CAM of several networks on the same faces."""

import dataclasses

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from hf_hmtl.analysis.explain import Unexplained, grad_cam, heat_inside, heat_of_places, of_class
from hf_hmtl.compare.figures import FigureOptions, figure_11, write_figure
from hf_hmtl.data.drawn_faces.dataset import face_masks, synthetic_faces
from hf_hmtl.run.finished import open_run


def test_the_numbers_are_those_of_the_same_faces_by_every_network(rewritten, tmp_path):
    folders = [rewritten("one"), rewritten("other", row="puzzle-3x3")]
    drawn, path = write_figure("11", folders, FigureOptions(rows=16), tmp_path)
    assert np.ptp(imread(path)) > 0
    faces = [row for row in drawn.numbers if row["seed"] == 1]
    assert len(faces) == 32 and faces[0]["method"] == "supervised" and faces[16]["method"] == "puzzle-3x3"
    assert [row["row"] for row in faces[:16]] == [row["row"] for row in faces[16:]]

    opened = open_run(folders[0], None, "kept", "validation")
    numbers = [row["row"] for row in faces[:16]]
    (batch,) = opened.batches(numbers)
    heat = grad_cam(opened.model, "emotion", batch["pixel_values"], of_class(batch["targets"]["emotion"]))
    masks = face_masks("validation", numbers, size=48)
    expected = heat_inside(heat, torch.from_numpy(masks)).numpy()
    np.testing.assert_allclose([row["heat_on_face"] for row in faces[:16]], expected, atol=0.01)
    names = opened.rows.features["emotion"].names
    assert [row["true_class"] for row in faces[:16]] == [names[opened.rows[row]["emotion"]] for row in numbers]
    mean = next(row for row in drawn.numbers if row["seed"] == "mean")
    finite = expected[np.isfinite(expected)]
    assert mean["heat_on_face"] == pytest.approx(finite.mean(), abs=0.01)
    assert mean["face_of_picture"] == pytest.approx(masks.mean(), abs=0.01)
    (maps,) = opened.model.hmtl.backbone.forward_intermediates(
        batch["pixel_values"].float(), indices=[2], intermediates_only=True
    )
    assert mean["places"] == faces[0]["places"] == f"{maps.shape[2]}x{maps.shape[3]}" == "6x6"
    assert mean["layer"] == faces[0]["layer"] == "layer2"
    told = {name for note in drawn.notes for name in names if "looked at shows" in note and name in note}
    assert told == set(names) - {row["true_class"] for row in faces[:16]}


def test_a_face_has_its_own_mask_where_rows_before_it_were_left_out(rewritten):
    opened = open_run(rewritten("one"), None, "kept", "validation")
    neutral = [row for row, label in enumerate(opened.rows["emotion"]) if label == 0]
    others = [row for row in range(len(opened.rows)) if row not in neutral]
    left = dataclasses.replace(opened, rows=opened.rows.select(others))
    numbers = [0, 9, 20]
    wanted = face_masks("validation", [others[number] for number in numbers], size=48)
    np.testing.assert_allclose(left.face_masks(numbers), wanted, atol=0.01)
    assert np.abs(wanted - face_masks("validation", numbers, size=48)).max() > 0.5

    carved = dataclasses.replace(opened, rows=synthetic_faces(train=16, validation=8, test=8, size=48)["train"])
    np.testing.assert_allclose(carved.face_masks([3, 1]), face_masks("train", [3, 1], size=48), atol=0.01)


def test_a_class_of_which_no_face_was_looked_at_is_told(rewritten, tmp_path):
    drawn, _ = write_figure("11", [rewritten("one")], FigureOptions(rows=2), tmp_path)
    seen = {row["true_class"] for row in drawn.numbers if row["seed"] == 1}
    (note,) = drawn.notes
    assert len(seen) <= 2 and not any(name in note for name in seen)
    assert note.startswith("none of the faces that were looked at shows ") and note.endswith(
        "--rows takes more of them"
    )


def test_a_network_that_cannot_be_explained_is_left_out_and_told(rewritten, tmp_path, monkeypatch):
    folders = [rewritten("one"), rewritten("other", row="puzzle-3x3")]
    refused = []

    def explain(model, *rest):
        if not refused:
            refused.append(model)
            raise Unexplained("tnt ends in no maps")
        return heat_of_places(model, *rest)

    monkeypatch.setattr(figure_11, "heat_of_places", explain)
    drawn, path = write_figure("11", folders, FigureOptions(rows=16), tmp_path)
    assert drawn.notes[0] == "left out supervised, seed 1: tnt ends in no maps"
    assert {row["method"] for row in drawn.numbers} == {"puzzle-3x3"} and np.ptp(imread(path)) > 0
    refused.clear()
    with pytest.raises(ValueError, match="figure 11 has nothing to show: left out supervised, seed 1: tnt ends in no"):
        write_figure("11", folders[:1], FigureOptions(rows=16), tmp_path)


def test_faces_without_heat_are_counted(rewritten, tmp_path, monkeypatch):
    def cold(*rest):
        heat, layer = heat_of_places(*rest)
        heat[:3] = 0
        return heat, layer

    monkeypatch.setattr(figure_11, "heat_of_places", cold)
    drawn, _ = write_figure("11", [rewritten("one")], FigureOptions(rows=16), tmp_path)
    without = sum(np.isnan(row["heat_on_face"]) for row in drawn.numbers if row["seed"] == 1)
    assert without >= 3
    note = f"supervised: nothing speaks for the true class of {without} of 16 faces, which are not in its mean"
    assert note in drawn.notes
