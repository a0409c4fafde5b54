"""Draw faces as they are, with a square cut out, and as a checkpoint's decoder paints them again.

    python scripts/show_inpainting.py outputs/RUN/checkpoint-900 faces.png drawn/inpainting-pixel [options of train.py]

Instead of a checkpoint, the folder of a run means its last one (the finished model has lost its decoder). The recipe
says whose validation faces are shown, and how they are cut.
"""

import sys
from pathlib import Path

from hf_hmtl.analysis.inpainting import draw_reconstructions
from hf_hmtl.run.earlier_run import load_with_heads
from hf_hmtl.run.experiment import build
from hf_hmtl.run.options import parse


def main() -> None:
    if len(sys.argv) < 4 or {"--help", "-h"} & set(sys.argv):
        print(__doc__)
        return
    checkpoint, picture, *arguments = sys.argv[1:]
    try:
        recipe, options, args = parse(arguments)
        model, _ = load_with_heads(checkpoint, set())
        experiment = build(recipe, args, options.data_dir)
        rows = experiment.splits.get("validation", experiment.splits["train"])
        draw_reconstructions(model, experiment.pretexts, rows, experiment.evaluation_collator(), Path(picture))
        print(picture)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
