import shutil

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from hf_hmtl import HMTLConfig, HMTLForImageClassification
from hf_hmtl.analysis import inpainting
from hf_hmtl.commands import show_inpainting
from hf_hmtl.commands.train import run as main
from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.puzzle import Puzzle


def model_with(*tasks):
    torch.manual_seed(0)
    heads = {task.name: task.head() for task in tasks}
    return HMTLForImageClassification(HMTLConfig(backbone="test_resnet", image_size=48, heads=heads))


def test_original_cut_and_reconstruction_stand_below_each_other(faces, tmp_path, monkeypatch):
    drawn = []
    draw = inpainting._draw
    monkeypatch.setattr(inpainting, "_draw", lambda rows, path: (drawn.append(rows), draw(rows, path)))
    task, model = InPainting(square=0.25), model_with(InPainting())
    path = tmp_path / "faces.png"
    inpainting.draw_reconstructions(model, [task], faces["validation"], EvaluationCollator([], 48), path, faces=5)
    original, cut, painted = drawn[0]
    assert original.shape == cut.shape == painted.shape == (5, 48, 48, 3)
    changed = (original != cut).any(-1)
    assert all(changed[face].sum() <= 144 for face in range(5)) and changed.sum() > 5 * 100
    with torch.no_grad():
        cut_pixels = torch.from_numpy(cut).permute(0, 3, 1, 2)
        expected = model.eval()(cut_pixels, views={"inpainting": (0, 5)}).predictions["inpainting"]
    np.testing.assert_allclose(painted, expected.permute(0, 2, 3, 1).numpy() * 255, atol=0.51)
    picture = imread(path)
    assert picture.shape[1] > picture.shape[0] > 300 and np.ptp(picture) > 0


def test_the_command_draws_a_run_by_its_last_checkpoint(tmp_path):
    data = ["--backbone", "test_resnet", "--disable_tqdm", "true", "--set", "source.train=64", "source.validation=16"]
    data += ["source.test=16", "source.size=48"]
    steps = ["--max_steps", "1", "--eval_steps", "1", "--save_steps", "1", "--output_dir", str(tmp_path / "run")]
    main(["drawn/inpainting-pixel", *steps, *data])
    command = [str(tmp_path / "run"), str(tmp_path / "faces.png"), "drawn/inpainting-pixel", *data]
    show_inpainting.run(command)
    assert np.ptp(imread(tmp_path / "faces.png")) > 0
    shutil.rmtree(tmp_path / "run" / "checkpoint-1")
    with pytest.raises(ValueError, match="no head 'inpainting'"):
        show_inpainting.run(command)


def test_a_slim_model_or_another_recipe_says_what_to_give(faces, tmp_path):
    collator = EvaluationCollator([], 48)
    with pytest.raises(ValueError, match="checkpoint-N"):
        inpainting.draw_reconstructions(
            model_with(), [InPainting()], faces["validation"], collator, tmp_path / "faces.png"
        )
    with pytest.raises(ValueError, match="drawn/inpainting-pixel"):
        inpainting.draw_reconstructions(model_with(), [Puzzle()], faces["validation"], collator, tmp_path / "faces.png")
    assert not list(tmp_path.iterdir())
