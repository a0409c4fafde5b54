"""Draw faces as they are, with a square cut out, and as a checkpoint's decoder paints them again.

    hf-hmtl show-inpainting outputs/RUN/checkpoint-900 faces.png drawn/inpainting-pixel [options of train]

The recipe says whose validation faces are shown, and how they are cut.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Draw the picture and print where it is.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    mine, of_training = _parser().parse_known_args(arguments)

    from hf_hmtl.analysis.inpainting import draw_reconstructions
    from hf_hmtl.run.command_line import parse
    from hf_hmtl.run.earlier_run import load_with_heads
    from hf_hmtl.run.experiment import build

    recipe, options, args = parse([mine.recipe, *of_training])
    model, _ = load_with_heads(mine.checkpoint, set())
    experiment = build(recipe, args, options.data_dir)
    rows = experiment.splits.get("validation", experiment.splits["train"])
    draw_reconstructions(model, experiment.pretexts, rows, experiment.evaluation_collator(), mine.picture)
    print(mine.picture)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl show-inpainting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument(
        "checkpoint", help="a checkpoint-N, or a run, whose last one is taken (the finished model has no decoder)"
    )
    options.add_argument("picture", type=Path, help="PNG file to write")
    options.add_argument("recipe", help="the recipe of that run")
    return options
