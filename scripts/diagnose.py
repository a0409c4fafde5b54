"""Compare the gradients of a recipe's tasks on the shared backbone: length and cosine to the supervised ones.

    python scripts/diagnose.py quickstart/puzzle-3x3                                       # at the start of training
    python scripts/diagnose.py fer2013-small/puzzle-3x3 --data_dir DIR --checkpoint outputs/RUN   # its last one
    python scripts/diagnose.py fer2013-small/puzzle-3x3 --data_dir DIR --checkpoint outputs/RUN/checkpoint-900

All options of train.py are accepted, and
  --checkpoint FOLDER   a checkpoint-N, or a run, whose last one is taken (the finished model has no auxiliary heads)
  --batches N           training batches to look at; 16 unless given
It prints a table and writes gradients.json into --output_dir. For a sweep of the weights see compare.py --sweep.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from hf_hmtl.analysis.gradients import compare_gradients, gradient_table
from hf_hmtl.files import replacing
from hf_hmtl.run.earlier_run import load_with_heads
from hf_hmtl.run.experiment import build
from hf_hmtl.run.options import parse


def main() -> None:
    own = argparse.ArgumentParser(prog="diagnose.py", add_help=False, allow_abbrev=False)
    own.add_argument("--checkpoint")
    own.add_argument("--batches", type=int, default=16)
    if len(sys.argv) == 1 or {"--help", "-h"} & set(sys.argv):
        print(__doc__)
        return
    mine, of_training = own.parse_known_args(sys.argv[1:])
    try:
        if mine.batches < 1:
            raise ValueError(f"--batches is {mine.batches}, allowed is 1 or more")
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
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
