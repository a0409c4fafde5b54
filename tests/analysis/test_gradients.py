import json
import shutil

import numpy as np
import pytest
import torch

from hf_hmtl.analysis.gradients import TaskGradient, compare_gradients, gradient_table
from hf_hmtl.commands import diagnose
from hf_hmtl.commands.train import run as main
from hf_hmtl.run import experiment
from hf_hmtl.run.command_line import parse
from hf_hmtl.run.earlier_run import load_with_heads
from hf_hmtl.training.checkpoint import HybridState

TINY = [
    "--backbone",
    "test_resnet",
    "--image_size",
    "48",
    "--per_device_train_batch_size",
    "16",
    "--disable_tqdm",
    "true",
]
DATA = ["--set", "source.train=64", "source.validation=16", "source.test=16", "source.size=48"]


def trainer_of(*changes, row="quickstart/puzzle-3x3"):
    recipe, _, args = parse([row, *TINY, *DATA, "supervised.emotion.dropout=0", *changes])
    return experiment.build(recipe, args).trainer()


def test_cosine_and_norm_are_those_of_gradients_taken_one_by_one():
    trainer = trainer_of("auxiliary.puzzle.dropout=0", "auxiliary.puzzle.weight=0.3")
    state = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    found = compare_gradients(trainer, 1)
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    batch = next(iter(trainer.get_train_dataloader()))
    gradients = []
    for task, target in (("emotion", batch["targets"]["emotion"]), ("puzzle", batch["targets"]["puzzle"])):
        model = trainer.model.train()
        model.zero_grad()
        prediction = model(batch["pixel_values"], views=batch["views"]).predictions[task]
        if task == "emotion":
            loss = torch.nn.functional.cross_entropy(prediction, target)
        else:
            loss = 0.3 * sum(torch.nn.functional.cross_entropy(prediction[:, j], target[:, j]) for j in range(9))
        loss.backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.hmtl.backbone.parameters()]).numpy())
    cosine = gradients[0] @ gradients[1] / np.linalg.norm(gradients[0]) / np.linalg.norm(gradients[1])
    assert found["puzzle"].cosine == pytest.approx(cosine, abs=1e-4)
    assert found["puzzle"].norm == pytest.approx(np.linalg.norm(gradients[1]) / np.linalg.norm(gradients[0]), rel=1e-3)
    assert found["emotion"].cosine == pytest.approx(1, abs=1e-5) and found["emotion"].norm == pytest.approx(1)
    table = gradient_table(found)
    assert f"{cosine:.3f}" in table and "puzzle" in table


def test_every_two_of_several_tasks_are_compared_and_those_that_pull_apart_are_named():
    trainer = trainer_of("auxiliary.puzzle={grid: 2}", "supervised.gender.dropout=0", row="drawn/all-at-once")
    found = compare_gradients(trainer, 2)
    assert list(found) == ["emotion", "affect", "pose", "gender", "puzzle"]
    for name, task in found.items():
        assert list(task.beside) == [other for other in found if other != name]
        for other, cosines in task.beside.items():
            assert cosines == pytest.approx(found[other].beside[name], abs=1e-5) and len(cosines) == 2
    table = gradient_table(found)
    assert f"{np.mean(found['pose'].beside['gender']):.3f}" in table and "cosines of two" in table
    apart = {
        name: TaskGradient(1, 1, 1, [1.0], {other: [-0.5, -0.1] for other in "abc" if other != name}) for name in "abc"
    }
    assert "a and b pull apart in 100% of the batches" in gradient_table(apart)
    agreed = {
        name: TaskGradient(1, 1, 1, [1.0], {other: [0.5, -0.1] for other in "abc" if other != name}) for name in "abc"
    }
    assert "no two tasks pull apart" in gradient_table(agreed)


def test_several_supervised_tasks_need_no_pretext_and_the_cosine_is_that_of_their_gradients():
    found = compare_gradients(trainer_of("supervised.pose=null", "supervised.gender=null", row="drawn/all-at-once"), 1)
    assert list(found) == ["emotion", "affect"] and "cosines of two" not in gradient_table(found)
    # |e + a|^2 = e^2 + a^2 + 2 e a cos, with the lengths relative to |e + a|.
    emotion, affect = found["emotion"].norm, found["affect"].norm
    assert found["emotion"].beside["affect"][0] == pytest.approx(
        (1 - emotion**2 - affect**2) / (2 * emotion * affect), abs=1e-3
    )


def test_conflicts_are_negative_cosines():
    found = compare_gradients(trainer_of(), 4)["puzzle"]
    assert len(found.cosines) == 4 and found.weight == pytest.approx(0.111)
    assert found.conflicts == sum(cosine < 0 for cosine in found.cosines) / 4


def test_weights_are_those_of_the_run_not_measured_anew():
    trainer = trainer_of("auxiliary.puzzle.calibrate=true", "loss_weighting=uncertainty")
    trainer.take_weights(HybridState(calibrated_weights={"puzzle": 7.0}))
    trainer.model.log_variances["puzzle"].data.fill_(np.log(2))
    found = compare_gradients(trainer, 1)
    assert found["puzzle"].weight == pytest.approx(3.5) and found["emotion"].weight == 1
    twice = trainer_of("auxiliary.puzzle.calibrate=true")
    twice.take_weights(HybridState(calibrated_weights={"puzzle": 3.5}))
    assert compare_gradients(twice, 1)["puzzle"].norm == pytest.approx(found["puzzle"].norm, rel=1e-4)


def test_weights_that_nobody_measured_are_measured_first():
    trainer = trainer_of("auxiliary.puzzle.calibrate=true")
    found = compare_gradients(trainer, 4)
    assert found["puzzle"].weight == trainer.calibrated["puzzle"] != 0.111


def test_a_supervised_recipe_has_nothing_to_compare():
    with pytest.raises(ValueError, match="Choose a hybrid row"):
        compare_gradients(trainer_of(row="quickstart/supervised"), 1)


def test_the_command_prints_and_writes(tmp_path, capsys):
    train = ["--max_steps", "1", "--eval_strategy", "no", "--save_strategy", "steps", "--save_steps", "1"]
    train += ["--load_best_model_at_end", "false", "--output_dir", str(tmp_path)]
    main(["quickstart/puzzle-3x3", *TINY, *train, *DATA])
    arguments = ["--checkpoint", str(tmp_path / "checkpoint-1"), "--batches", "2", "--output_dir", str(tmp_path)]
    command = ["quickstart/puzzle-3x3", *arguments, *TINY, *DATA]
    diagnose.run(command)
    assert "conflicts" in capsys.readouterr().out
    # Weights that the run measured are taken from its checkpoint.
    HybridState(calibrated_weights={"puzzle": 7.0}).write(tmp_path / "checkpoint-1")
    diagnose.run([*command, "auxiliary.puzzle.calibrate=true"])
    assert json.loads((tmp_path / "gradients.json").read_text())["puzzle"]["weight"] == 7
    capsys.readouterr()
    with pytest.raises(ValueError, match="hybrid row"):
        diagnose.run(["quickstart/supervised", *TINY, *DATA])


def test_a_run_folder_means_its_last_checkpoint_and_missing_heads_are_named(tmp_path):
    train = ["--max_steps", "1", "--eval_strategy", "no", "--save_strategy", "steps", "--save_steps", "1"]
    arguments = [*TINY, *train, "--load_best_model_at_end", "false", "--output_dir", str(tmp_path), *DATA]
    main(["quickstart/puzzle-3x3", *arguments])
    saved, state = load_with_heads(str(tmp_path), {"emotion", "puzzle"})
    assert set(saved.config.heads) == {"emotion", "puzzle"} and state.seconds > 0
    shutil.rmtree(tmp_path / "checkpoint-1")
    with pytest.raises(ValueError, match=r"no head for puzzle; it has: emotion. Give the checkpoint-N"):
        load_with_heads(str(tmp_path), {"emotion", "puzzle"})
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_with_heads(str(tmp_path / "absent"), {"emotion"})
