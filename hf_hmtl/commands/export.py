"""Export a trained model as ONNX, in 32 or 8 bits, or as a program of torch.export.

    hf-hmtl export outputs/quickstart                                       # outputs/quickstart/onnx/model.onnx
    hf-hmtl export outputs/quickstart --formats onnx program --heads emotion
    hf-hmtl export outputs/quickstart --int8 my_faces/ --check labelled_faces/

Pixels go in as uint8, in batches of any size; probabilities, logits and numbers come out by the names of the heads.
Every file is compared with the model before it counts. It needs: pip install 'hf_hmtl[export]'. How fast the exports
are, beside PyTorch: hf-hmtl bench exports.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Write the files of an export.

    Raises:
        ValueError, OSError: a mistake of the user.
        SystemExit: 2, a package is missing or the network cannot be exported.
    """
    options = _parser().parse_args(arguments)
    from hf_hmtl.serving.export import Choices, export, report

    if options.output is None and not options.model.is_dir():
        raise FileNotFoundError(f"{options.model} is no folder here; for a model of the Hub give --output DIR too")
    target = options.output or options.model / "onnx"
    choices = Choices(options.formats, options.heads, options.int8, options.check)
    try:
        print(report(export(options.model.as_posix(), target, choices)))
    except (ImportError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("model", type=Path, metavar="FOLDER", help="what a training wrote, or a name of the Hub")
    options.add_argument("--output", type=Path, metavar="DIR", help="where to write; FOLDER/onnx")
    options.add_argument(
        "--formats", nargs="+", default=["onnx"], metavar="FORMAT", help="onnx, program (torch.export); onnx"
    )
    options.add_argument("--heads", nargs="+", default=[], metavar="HEAD", help="of these heads only; all of them")
    options.add_argument(
        "--int8", type=Path, metavar="DIR", help="also in 8 bits, calibrated on the images of this folder"
    )
    options.add_argument(
        "--check",
        type=Path,
        metavar="DIR",
        help="class folders of images; the file in 8 bits is withdrawn where it loses more than a point of accuracy",
    )
    return options
