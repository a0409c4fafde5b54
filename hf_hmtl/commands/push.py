"""Publish a trained model on the Hub: slim weights, code, card, results; nothing else leaves.

    hf-hmtl push outputs/quickstart user/my-model --dry_run
    hf-hmtl push outputs/quickstart user/my-model --tag v1
    hf-hmtl push outputs/quickstart user/my-model --with_heads --training

The token is the one of `hf auth login`, or HF_TOKEN. A push that was cut off goes on with the same command.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Push a folder, or say what would be pushed.

    Raises:
        ValueError, OSError: a mistake of the user, or the Hub cannot be reached.
    """
    options = _parser().parse_args(arguments)
    from hf_hmtl.hub.contents import TRAINING, WITH_HEADS
    from hf_hmtl.hub.push import Choices, plan, push

    choices = Choices(
        private=False if options.public else True if options.private else None,
        overwrite=options.overwrite,
        tag=options.tag,
        branches=[name for name, asked in ((WITH_HEADS, options.with_heads), (TRAINING, options.training)) if asked],
        message=options.message,
        runs=options.runs,
    )
    print(plan(options.folder, options.repo_id, choices))
    if options.dry_run:
        print("\nnothing was sent (--dry_run)")
        return
    print(f"\n{push(options.folder, options.repo_id, choices).commit_url}")


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl push",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("folder", type=Path, help="what a training wrote, or a saved model")
    options.add_argument("repo_id", metavar="REPO_ID", help="user/name, or a name of your own")
    options.add_argument("--dry_run", action="store_true", help="list files, sizes and reasons; send nothing")
    options.add_argument("--tag", metavar="VERSION", help="name this state; a version stays what it is")
    options.add_argument("--with_heads", action="store_true", help="also a branch that keeps the training heads")
    options.add_argument("--training", action="store_true", help="also a branch from which the training can go on")
    options.add_argument(
        "--runs", nargs="+", default=[], metavar="FOLDER", help="runs with other seeds, whose mean the card tells"
    )
    options.add_argument("--overwrite", action="store_true", help="replace another model that the repository holds")
    options.add_argument("--message", metavar="TEXT", help="of the commit")
    visible = options.add_mutually_exclusive_group()
    visible.add_argument("--private", action="store_true", help="only you see it")
    visible.add_argument(
        "--public",
        action="store_true",
        help="everybody sees it: you say that the terms of all data it learned from let you pass on such weights",
    )
    return options
