"""Draw every augmentation of appendix A, level by level and one by one, on faces of your choice.

    python scripts/show_augmentations.py augmentations.png [face.jpg ...]

Without faces it takes drawn ones.
"""

import argparse
from pathlib import Path

from hf_hmtl.data.augment import show_levels
from hf_hmtl.data.decode import decode_for_training
from hf_hmtl.data.drawn_faces.dataset import synthetic_faces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("faces", type=Path, nargs="*", help="image files; four drawn faces without any")
    parser.add_argument("--size", type=int, default=112, help="side of every face in the picture, pixels")
    options = parser.parse_args()
    if options.faces:
        images = [decode_for_training({"bytes": None, "path": str(path)}, options.size) for path in options.faces]
    else:
        rows = synthetic_faces(train=8, validation=8, test=8, size=options.size)["train"]
        images = [decode_for_training(image, options.size) for image in rows["image"][:4]]
    show_levels(images, options.picture, options.size)
    print(options.picture)


if __name__ == "__main__":
    main()
