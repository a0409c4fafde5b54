"""Reproduce the paper on a data set: its rows, its figures, and a page of what came out.

    hf-hmtl reproduce --on drawn --dry_run                        # the plan, with hours
    hf-hmtl reproduce --on drawn
    hf-hmtl reproduce --on drawn --tables 5 --figures 11 16       # parts of it
    hf-hmtl reproduce --on drawn --budget 20m                     # supervised training, a puzzle, and its control
    hf-hmtl reproduce --on fer2013 --data_dir DIR                 # or $HF_HMTL_DATA/fer2013
    hf-hmtl reproduce --on affectnet aff-wild afew-va ckplus jaffe 300w-lp fairface    # as they are, from $HF_HMTL_DATA

Pre-trainings come before what begins with them, teachers before their pupils. It can be stopped at any moment; the same
command goes on. The page is reproduction.md and reproduction.html in the folder, outputs/reproduce-NAME; runs side by
side write what they print into their train.log. Options behind a lone -- go to every run, as the command train takes
them.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Train what is missing, and write the page.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    own = arguments.index("--") if "--" in arguments else len(arguments)
    options, common = _parser().parse_args(arguments[:own]), arguments[own + 1 :]
    if len(options.on) > 1 and (options.data_dir or options.output_dir):
        raise ValueError("--data_dir and --output_dir are of one data set; set $HF_HMTL_DATA, or name one behind --on")
    common = (["--data_dir", options.data_dir] if options.data_dir else []) + common

    from hf_hmtl.commands.advise import seconds_of
    from hf_hmtl.compare.reproduce.reproduce import Wish, reproduce

    wish = Wish(
        on=tuple(options.on),
        tables=tuple(name.upper() for name in options.tables),
        figures=tuple(name.upper() for name in options.figures),
        rows=tuple(options.rows),
        seeds=None if options.seeds is None else tuple(options.seeds),
        at_a_time=options.at_a_time,
        budget=None if options.budget is None else seconds_of(options.budget),
        output_dir=options.output_dir,
        data_dir=options.data_dir,
    )
    reproduce(wish, common, dry_run=options.dry_run, train=not options.report, keep=options.keep, page=options.page)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl reproduce",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("--on", nargs="+", required=True, metavar="NAME", help="drawn, fer2013, affectnet, ...")
    options.add_argument("--tables", nargs="+", default=[], metavar="N", help="these tables, 1 to 13 and B")
    options.add_argument("--figures", nargs="+", default=[], metavar="N", help="these figures, 9 to 16 and E")
    options.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="these rows")
    options.add_argument("--seeds", type=int, nargs="+", help="these seeds in place of 1 2 3")
    options.add_argument("--budget", metavar="TIME", help="supervised, a puzzle and its control, in 20m or 2h")
    options.add_argument("--at_a_time", type=int, metavar="N", help="runs side by side, each on its share of the cores")
    options.add_argument("--data_dir", help="folder of the data set; drawn faces need none")
    options.add_argument("--output_dir", type=Path, help="outputs/reproduce-NAME unless given")
    either = options.add_mutually_exclusive_group()
    either.add_argument("--dry_run", action="store_true", help="print what would be trained, with hours, and stop")
    either.add_argument("--report", action="store_true", help="train nothing; figures and page of what is finished")
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="copy results, with few of their logs, into it")
    options.add_argument("--page", type=Path, metavar="FILE.md", help="where the page goes, if not into the folder")
    return options
