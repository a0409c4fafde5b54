"""Small trees of files for the tests of the sources."""

import io

import numpy as np
from PIL import Image


def picture(number=0, side=8):
    """An image that no other number gives."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def encoded(number=0, kind="JPEG", side=8):
    """The bytes of such an image."""
    file = io.BytesIO()
    picture(number, side).save(file, kind)
    return file.getvalue()


def write_images(folder, *names, kind="JPEG"):
    """An image under each of these paths."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(sum(name.encode()), kind))


def write_classes(folder, count=10, classes=("happy", "sad")):
    """Class folders with so many images each."""
    write_images(folder, *[f"{label}/{number}.jpg" for label in classes for number in range(count)])


def write_text(path, *lines, encoding="utf-8", newline="\n"):
    """A text file of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((newline.join(lines) + newline).encode(encoding))


def labels(source, split="train", task="emotion"):
    """Names of the classes of a split's rows, None where there is no label."""
    data = source.splits[split]
    return [None if value < 0 else data.features[task].names[value] for value in data[task]]


def all_labels(source, task="emotion"):
    """{path in the folder: class} of every row of every split."""
    return {
        name: label
        for split, data in source.splits.items()
        for name, label in zip(data["_file"][:], labels(source, split, task), strict=True)
    }
