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
from hf_hmtl.checkpoint import last_complete_checkpoint
from hf_hmtl.experiment import build
from hf_hmtl.files import replacing
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
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


def with_heads(folder: str, wanted: set[str]) -> HMTLForImageClassification:
    """The model of a checkpoint, or of the last whole checkpoint of a run, with the heads of every task.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: heads are missing.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"--checkpoint {folder}: there is no such folder. Give a run's, or its checkpoint-N")
    model = HMTLForImageClassification.from_pretrained(last_complete_checkpoint(folder) or folder)
    heads = model.config.heads
    if missing := wanted - set(heads):
        raise ValueError(
            f"--checkpoint {folder} has no head for {', '.join(sorted(missing))}; it has: {', '.join(heads)}. "
            "Give the checkpoint-N of a run of this recipe (a finished model has lost its auxiliary heads)"
        )
    return model


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
            experiment.model = with_heads(checkpoint, {task.name for task in experiment.learned})
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
