"""Train a row of a recipe file: supervised, hybrid, pre-training, fine-tuning or a probe."""


def run(arguments: list[str]) -> None:
    """Train, select, report and write one run.

    Args:
        arguments: [RECIPE] and options; `--help` shows those that most people need, `--help all` shows all.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    if {"--help", "-h"} & set(arguments):
        print(_help(arguments))
        return
    from hf_hmtl.run import process, train
    from hf_hmtl.run.command_line import parse

    train.run(*parse(arguments))
    process.leave_together()


def _help(arguments: list[str]) -> str:
    if "all" not in arguments:
        from hf_hmtl.run.options import first_screen

        return first_screen()
    from hf_hmtl.run.command_line import full_help, named_recipe

    return full_help(named_recipe(arguments)[0])
