"""Compare the gradients of a recipe's tasks on the shared backbone: length and cosine.

    hf-hmtl diagnose quickstart/puzzle-3x3                                       # at the start of training
    hf-hmtl diagnose fer2013-small/puzzle-3x3 --data_dir DIR --checkpoint outputs/RUN   # its last one
    hf-hmtl diagnose fer2013-small/puzzle-3x3 --data_dir DIR --checkpoint outputs/RUN/checkpoint-900

All options of the command train are accepted. It prints a table and writes gradients.json into --output_dir. Of more
than two tasks, supervised and auxiliary ones, it also compares every two, and names those that pull apart. For a sweep
of the weights see hf-hmtl compare --sweep.
"""

import argparse
import dataclasses
import json
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Measure the gradients on some training batches.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    mine, of_training = _parser().parse_known_args(arguments)
    if mine.batches < 1:
        raise ValueError(f"--batches is {mine.batches}, allowed is 1 or more")

    from hf_hmtl.analysis.gradients import compare_gradients, gradient_table
    from hf_hmtl.files import replacing
    from hf_hmtl.run.command_line import parse
    from hf_hmtl.run.earlier_run import load_with_heads
    from hf_hmtl.run.experiment import build

    recipe, options, args = parse(of_training)
    experiment, earlier = build(recipe, args, options.data_dir), None
    if mine.checkpoint:
        names = {task.name for task in experiment.learned}
        experiment.model, earlier = load_with_heads(mine.checkpoint, names)
    trainer = experiment.trainer()
    if earlier:
        trainer.take_weights(earlier)
    found = compare_gradients(trainer, mine.batches)
    print(f"{recipe.name}, {mine.checkpoint or 'at the start'}, {mine.batches} batches\n{gradient_table(found)}")
    with replacing(Path(args.output_dir) / "gradients.json") as temporary:
        values = {name: dataclasses.asdict(task) for name, task in found.items()}
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl diagnose",
        usage="hf-hmtl diagnose [RECIPE] [--checkpoint FOLDER] [--batches N] [options of train]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument(
        "--checkpoint",
        metavar="FOLDER",
        help="a checkpoint-N, or a run, whose last one is taken (the finished model has no auxiliary heads)",
    )
    options.add_argument("--batches", type=int, default=16, metavar="N", help="training batches to look at; 16")
    return options
