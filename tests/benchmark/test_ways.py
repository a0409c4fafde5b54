"""What is timed does what it is called: designs that lost give what ours gives, loops train, peers make batches."""

import numpy as np
import pytest
import torch

from hf_hmtl.benchmark import evaluations, exports, images, loops, peers
from hf_hmtl.benchmark.faces import FILE_SIDE, jpeg_faces
from hf_hmtl.data.augment import warp, warp_matrices
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.decode import decode_for_training
from hf_hmtl.draws import Draws
from hf_hmtl.tasks.puzzle import shuffle_tiles

SMALL = (loops.SMALLEST, 48, 8)


def test_faces_are_files_of_their_size_and_colour():
    for gray in (False, True):
        shapes = {decode_for_training(row["image"], 224).shape for row in jpeg_faces(8, gray=gray)}
        assert shapes == {(FILE_SIDE, FILE_SIDE) if gray else (FILE_SIDE, FILE_SIDE, 3)}


@pytest.mark.parametrize("design", [images._tiles_by_gather, images._tiles_by_loop])
def test_puzzles_that_lost_are_puzzles(design):
    side = images.PUZZLE_SIDE
    pixels = torch.randint(256, (images.BATCH, side, side, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    sources = torch.from_numpy(Draws(0, [0] * images.BATCH, range(images.BATCH)).permutations("puzzle", 9))
    made = design(pixels, sources)
    made = made.permute(0, 3, 1, 2) if made.shape[-1] == 3 else made
    assert torch.equal(made, shuffle_tiles(pixels, sources))


@pytest.mark.parametrize("design", [images._warp_of_three, images._remap])
def test_warps_that_lost_show_the_same_picture(design):
    face = decode_for_training(jpeg_faces(8)[0]["image"], 224)
    still = Augmentation.level("weak", zoom=(0.7, 0.7))  # a step of 1.1, where ours does not blur
    matrix = warp_matrices(Draws(0, [0], [0]), still)[0]
    ours, theirs = (np.empty((224, 224, 3), np.uint8) for _ in range(2))
    warp(face, matrix, ours)
    design(face, matrix, theirs)
    assert np.abs(ours.astype(int) - theirs).max() <= 8 and np.abs(ours.astype(int) - theirs).mean() < 0.5


@pytest.mark.parametrize("level", ["none", "weak", "strong"])
@pytest.mark.parametrize("name", ["torchvision", "albumentations", "kornia"])
def test_peers_make_batches_of_the_same_shape(name, level):
    pytest.importorskip(name)
    files = [row["image"]["bytes"] for row in jpeg_faces(8)]
    batch = getattr(peers, f"{name}_pipeline")(Augmentation.level(level), 64)(files)
    assert batch.shape == (8, 3, 64, 64) and len({row.sum().item() for row in batch}) == 8


def test_a_peer_that_is_not_installed_is_named():
    def absent(level):
        import no_such_library  # noqa: F401

    assert peers.peer(absent, "weak") == (None, "no_such_library is not installed: pip install 'hf_hmtl[bench]'")


def test_both_loops_train_the_same_network():
    assert loops.bare_loop(*SMALL, steps=1)() > 0
    assert loops.whole_loop([loops.emotion()], *SMALL, steps=1)() > 0


def test_evaluations_are_measured():
    rows = list(evaluations.rows(1, *SMALL, count=16))
    assert [row.row.split(" ")[0] for row in rows] == ["evaluate", "extract_features"]
    assert all(row.ratio > 0 for row in rows)


def test_exports_answer_as_the_model_and_stand_beside_it(monkeypatch):
    def without_compiler(model):
        raise RuntimeError("no C++ compiler\nand a long story")

    ways_of, kept = exports._ways, []
    monkeypatch.setattr(torch, "compile", without_compiler)
    monkeypatch.setattr(exports, "_CALIBRATION", 8)
    monkeypatch.setattr(exports, "_ways", lambda *arguments: kept.append(ways_of(*arguments)) or kept[-1])
    torch.manual_seed(0)
    made = list(exports.rows(1, "test_resnet", 48, 4, images=4))
    assert len(made) == 8 and len({row.row for row in made}) == 8
    missing = [row for row in made if row.ratio is None]
    assert [row.note for row in missing] == ["torch.compile: no C++ compiler"] * 2
    assert [row.row for row in made if row.goal == ">= 1.5"] == ["ONNX / eager, test_resnet at 48 px, batches of 1"]
    assert all(row.unit == "images/s" and " ms a batch, eager " in row.note for row in made if row.ratio is not None)
    ((ways, _),) = kept
    faces = [decode_for_training(row["image"], 48, gray_allowed=False)[:48, :48] for row in jpeg_faces(8)]
    pixels = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = ways["eager"](pixels).logits
        torch.testing.assert_close(ways["channels last"](pixels).logits, expected, rtol=1e-4, atol=1e-4)
        for name, tolerance in (("ONNX", 1e-4), ("ONNX in 8 bits", 0.1)):
            found = torch.from_numpy(ways[name](pixels)["emotion_logits"])
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
