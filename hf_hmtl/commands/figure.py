"""Draw a figure of the paper from finished runs: a picture and its numbers.

    hf-hmtl figure 16 outputs/compare-drawn                       # every run of a comparison
    hf-hmtl figure 16 outputs/RUN outputs/OTHER_RUN --data_dir DIR

    9   accuracy by level of augmentation, from random and from ImageNet weights
    10  accuracy of all settings
    11  where networks look: Grad-CAM of each class, and of drawn faces how much of it is on the face
    12  which tiles carry the label: accuracy without each of 4x4 tiles, and by it alone
    13  accuracy by size of the puzzle, with and without region weights
    14  validation loss and accuracy by step, as with and without the heads of a pretext
    15  error of head pose on validation by epoch, smoothed; E is the raw one
    16  accuracy under attack: FGSM at several radii, PGD beside it, on validation faces
    E   error of head pose on validation by epoch

It writes figure-NAME.png and figure-NAME.csv into --output_dir. Runs of one row are its seeds: curves are their means.
"""

import argparse
from fractions import Fraction
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Write the two files, say what was left out, and print where they are.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    options = _parser().parse_args(arguments)
    from hf_hmtl.compare.figures import FigureOptions, write_figure

    radii = None if options.radii is None else tuple(map(radius_of, options.radii))
    told = FigureOptions(options.data_dir, options.weights, options.rows, radii)
    drawn, path = write_figure(options.figure, options.run, told, options.output_dir, options.without)
    print(*drawn.notes, path, path.with_suffix(".csv"), sep="\n")


def radius_of(text: str) -> float:
    """The largest change of a pixel in units of 0 to 1, of "0.0314" or "8/255".

    Raises:
        ValueError: it is neither.
    """
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"--radii {text!r} is no change of a pixel; write 0.0314 or 8/255") from None


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl figure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("figure", metavar="NAME", help="a figure of the paper, such as 16")
    options.add_argument("run", type=Path, nargs="+", help="folders of finished runs, or of comparisons")
    options.add_argument("--without", nargs="+", default=[], metavar="LABEL", help="leave out runs of these labels")
    options.add_argument("--data_dir", help="folder of the data set, where images are looked at; drawn faces need none")
    options.add_argument("--output_dir", type=Path, default=Path("outputs/figures"), help="outputs/figures")
    options.add_argument(
        "--weights",
        choices=("lowest-loss", "kept"),
        help="of the lowest validation loss, as Figure 16 has them, or those that the run kept",
    )
    options.add_argument("--rows", type=int, metavar="N", help="look at N validation rows, the same of every run")
    options.add_argument(
        "--radii", nargs="+", metavar="R", help="largest changes of a pixel, from 0 to 1, such as 0.0314 or 8/255"
    )
    return options
