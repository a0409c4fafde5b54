"""Compare the gradients of a recipe's tasks on the shared backbone: length and cosine to the supervised ones.

    python scripts/diagnose.py quickstart/puzzle-3x3                                       # at the start of training
    python scripts/diagnose.py fer2013-small/puzzle-3x3 --data_dir DIR --checkpoint outputs/RUN   # its last one
    python scripts/diagnose.py fer2013-small/puzzle-3x3 --data_dir DIR --checkpoint outputs/RUN/checkpoint-900

All options of train.py are accepted. The finished model of a run has no auxiliary heads any more; its checkpoints have.
For a sweep of the weights see compare.py --sweep.
"""

import dataclasses
import json
import sys
from pathlib import Path

from hf_hmtl.analysis.gradients import compare_gradients, gradient_table
from hf_hmtl.earlier_run import load_with_heads
from hf_hmtl.experiment import build
from hf_hmtl.files import replacing
from hf_hmtl.options import parse

USAGE = "usage: diagnose.py RECIPE [--checkpoint FOLDER] [--batches 16] [options of train.py]"


def taken(arguments: list[str], option: str, default: str | None) -> str | None:
    """The value of an option, which is removed from the arguments."""
    if option not in arguments:
        return default
    place = arguments.index(option)
    if place + 1 == len(arguments):
        raise ValueError(f"{option} needs a value. {USAGE}")
    value = arguments[place + 1]
    del arguments[place : place + 2]
    return value


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or "--help" in arguments or "-h" in arguments:
        print(f"{__doc__}\n{USAGE}")
        return
    try:
        checkpoint, batches = taken(arguments, "--checkpoint", None), int(taken(arguments, "--batches", "16"))
        recipe, options, args = parse(arguments)
        experiment = build(recipe, args, options.data_dir)
        if checkpoint:
            experiment.model = load_with_heads(checkpoint, {task.name for task in experiment.learned})
        found = compare_gradients(experiment.trainer(), batches)
        print(f"{recipe.name}, {checkpoint or 'at the start'}, {batches} batches\n{gradient_table(found)}")
        folder = Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "gradients.json") as temporary:
            values = {name: dataclasses.asdict(task) for name, task in found.items()}
            temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
