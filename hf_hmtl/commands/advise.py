"""Is hybrid learning worth it on these faces? One sentence, with an interval.

    hf-hmtl advise my_faces/ --label_column mood --budget 60m
    hf-hmtl advise my_faces/ -- --backbone resnet18 --image_size 96
    hf-hmtl advise --recipe drawn --budget 20m                       # of any recipe file with a row `supervised`

Supervised training and a few hybrid settings get the same time, and are trained with one seed; the best hybrid ones
with another; the best of them and supervised training then with new seeds, whose paired difference on validation is the
answer. The folder holds all trainings, advice.json, advice.png and advice.yaml, the recipe to go on with. It can be
stopped at any moment; the same command goes on. Options behind a lone -- go to every training, as the command train
takes them.
"""

import argparse
import re
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Train, and print the answer.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    own = arguments.index("--") if "--" in arguments else len(arguments)
    options, common = _parser().parse_args(arguments[:own]), arguments[own + 1 :]
    budget = seconds_of(options.budget)
    if options.label_column:
        common = ["--label_column", options.label_column, *common]
    if options.data_dir:
        common = ["--data_dir", str(options.data_dir), *common]

    from hf_hmtl.compare.advise import PICTURE, RECIPE, SUPERVISED, advise
    from hf_hmtl.recipe import other_row

    is_a_row = ".yaml:" in options.recipe or ("/" in options.recipe and not options.recipe.endswith(".yaml"))
    row = options.recipe if is_a_row else other_row(options.recipe, SUPERVISED)
    folder = options.output_dir or Path(f"outputs/advise-{(options.data_dir or Path(options.recipe)).absolute().stem}")
    advice = advise(row, folder, [*common, "--disable_tqdm", "true"], budget, options.seeds)
    print(f"\n{advice.sentence()}")
    print("\n".join(f"- {line}" for line in advice.details()))
    data = f" --data_dir {options.data_dir}" * bool(options.data_dir)
    print(f"go on with: hf-hmtl train {folder / RECIPE}{data}\npicture: {folder / PICTURE}")


def seconds_of(text: str) -> float:
    """Seconds of "90s", "60m" or "2h"; a number alone is minutes.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?", text.strip())
    if not found or not float(found[1]):
        raise ValueError(f"--budget {text!r} is no time; write 90s, 60m or 2h")
    return float(found[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[found[2] or "m"]


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl advise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument(
        "data_dir", nargs="?", type=Path, metavar="DIR", help="faces, as the source `custom` reads them"
    )
    options.add_argument("--label_column", metavar="NAME", help="column of the labels, where it is not `label`")
    options.add_argument("--budget", default="60m", metavar="TIME", help="of all trainings, such as 60m; 60m")
    options.add_argument("--seeds", type=int, default=5, metavar="N", help="pairs of trainings that judge; 5")
    options.add_argument("--recipe", default="custom", help="recipe file or supervised row to begin with; custom")
    options.add_argument("--output_dir", type=Path, metavar="FOLDER", help="outputs/advise-DIR unless given")
    return options
