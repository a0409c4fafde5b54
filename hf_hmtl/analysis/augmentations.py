"""A picture of every augmentation of the paper's appendix A, level by level and one by one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hf_hmtl.data.augment import augment_batch
from hf_hmtl.data.augmentation import LEVELS, Augmentation
from hf_hmtl.data.colour import cutout
from hf_hmtl.draws import Draws
from hf_hmtl.files import replacing


def show_levels(images: Sequence[np.ndarray], path, size: int) -> None:
    """Draw every level and every single transformation into one picture file: a row for each face.

    Args:
        images: decoded faces, as `augment_batch` takes them.
        path: file to write; its suffix chooses the format.
        size: side of each sample in pixels.
    """
    columns = _shown_augmentations()
    # A Figure of its own leaves pyplot alone.
    figure = Figure(figsize=(1.1 * len(columns), 1.1 * len(images) + 0.4), layout="constrained", dpi=110)
    axes = figure.subplots(len(images), len(columns), squeeze=False)
    for number, (label, augmentation) in enumerate(columns):
        draws = Draws(number, np.zeros(len(images)), np.arange(len(images)))
        samples = augment_batch(images, draws, augmentation, size)
        cutout(samples, draws, augmentation)
        axes[0, number].set_title(label, fontsize=7)
        for axis, sample in zip(axes[:, number], samples, strict=True):
            axis.imshow(sample.permute(1, 2, 0).numpy())
            axis.set_axis_off()
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format=Path(path).suffix.removeprefix(".") or "png")


def _shown_augmentations() -> list[tuple[str, Augmentation]]:
    """Columns of the picture: the source, three samples of a level each, and the extremes of the strong level."""
    plain = {"flip": 0.0}
    strong = Augmentation.level("strong")
    low_zoom, (low, high), shift = strong.zoom[0], strong.contrast, strong.brightness
    singles = {
        "flip": {"flip": 1.0},
        f"zoom {low_zoom}": {"zoom": (low_zoom, low_zoom)},
        f"contrast {low}": {"contrast": (low, low)},
        f"contrast {high}": {"contrast": (high, high)},
        f"rotation ±{strong.rotation:g}°": {"rotation": strong.rotation},
        f"brightness ±{shift}": {"brightness": shift},
        "channels": {"channel_swap": 1.0},
        f"blur {max(strong.blur)}": {"blur": (max(strong.blur),)},
        f"noise ≤ {strong.noise}": {"noise": strong.noise},
        "cutout": {"cutout": strong.cutout},
    }
    levels = [(name, Augmentation.level(name)) for name in LEVELS for _ in range(3)]
    return [
        ("source", Augmentation(**plain)),
        *levels,
        *((label, Augmentation(**{**plain, **options})) for label, options in singles.items()),
    ]
