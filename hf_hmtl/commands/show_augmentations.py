"""Draw every augmentation of appendix A, level by level and one by one, on faces of your choice."""

import argparse
from pathlib import Path


def run(arguments: list[str]) -> None:
    """Draw the picture and print where it is.

    Raises:
        ValueError, OSError: a mistake of the user.
    """
    options = _parser().parse_args(arguments)

    from hf_hmtl.analysis.augmentations import show_levels
    from hf_hmtl.data.decode import decode_for_training
    from hf_hmtl.data.drawn_faces.dataset import synthetic_faces

    if options.faces:
        images = [decode_for_training({"bytes": None, "path": str(path)}, options.size) for path in options.faces]
    else:
        faces = synthetic_faces(train=8, validation=8, test=8, size=options.size)["train"]
        images = [decode_for_training(image, options.size) for image in faces["image"][:4]]
    show_levels(images, options.picture, options.size)
    print(options.picture)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="hf-hmtl show-augmentations", description=__doc__, allow_abbrev=False)
    options.add_argument("picture", type=Path, help="PNG file to write")
    options.add_argument("faces", type=Path, nargs="*", help="image files; four drawn faces without any")
    options.add_argument("--size", type=int, default=112, help="side of every face in the picture, pixels; 112")
    return options
