"""Write what a model says about every face of images and videos into a table.

    hf-hmtl predict photographs/ party.mp4 --model outputs/quickstart --output faces.parquet
    hf-hmtl predict 'shoot/**/*.jpg' --model user/my-faces --output faces.csv --heads emotion
    hf-hmtl predict party.mp4 --model outputs/quickstart --output faces.jsonl --every 5 --draw party_faces.mp4
    hf-hmtl predict my_faces/ --model outputs/quickstart --output faces.parquet --cropped

A row is a face: file, frame, seconds, face (0 is the largest), track, xmin, ymin, xmax, ymax, score, then the answers
of the heads. A picture without a face, or one that is broken, is a row too. What was stopped goes on with the same
command. Videos need: pip install 'hf_hmtl[video]'.
"""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Write the table.

    Raises:
        ValueError, OSError: a mistake of the user, or a file that cannot be written.
    """
    options = _parser().parse_args(arguments)
    from hf_hmtl.serving.images import media_files
    from hf_hmtl.serving.predict import Choices, pipeline_of, predict

    files = media_files(options.paths)
    given = {name: getattr(options, name) for name in ("threshold", "margin", "device", "heads")}
    asked = {name: value for name, value in given.items() if value is not None}
    analyse = pipeline_of(options.model, detect=not options.cropped, **asked)
    choices = Choices(options.every, options.batch_size, options.draw, options.overwrite)
    try:
        counts = predict(analyse, files, options.output, choices)
    except ImportError as error:
        raise ValueError(str(error)) from error
    faces = f"{counts.faces} face{'s' * (counts.faces != 1)}"
    pictures = f"{counts.pictures} picture{'s' * (counts.pictures != 1)}"
    broken = f", {counts.broken} of them broken" if counts.broken else ""
    print(f"{options.output}: {faces} in {pictures}{broken}")


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="hf-hmtl predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = options.add_argument
    add("paths", nargs="+", metavar="PATH", help="images, videos, folders, or patterns in quotation marks")
    add("--model", required=True, metavar="FOLDER", help="what a training wrote, or a name of the Hub")
    add("--output", required=True, type=Path, metavar="FILE", help="the table: .parquet, .csv or .jsonl")
    add("--cropped", action="store_true", help="each picture is one face that was cut out already")
    add("--heads", nargs="+", metavar="HEAD", help="answers of these heads only; of all of them")
    add("--threshold", type=float, metavar="SCORE", help="lowest score of a face; 0.5")
    add("--margin", type=float, metavar="SHARE", help="around a face, of its longer side; the model's own, or 0.25")
    add("--every", type=int, default=1, metavar="N", help="look at every N-th frame of a video; 1")
    add("--batch_size", type=int, default=8, metavar="N", help="faces that the network sees at once; 8")
    add("--device", metavar="DEVICE", help="cpu, cuda:0 ...; a GPU where there is one")
    add("--draw", type=Path, metavar="FILE", help="also write the only video with its faces drawn into it, as .mp4")
    add("--overwrite", action="store_true", help="an earlier table of this name may be lost")
    return options
