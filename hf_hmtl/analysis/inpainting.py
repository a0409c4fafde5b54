"""Pictures of in-painting: original, cut and reconstructed faces."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from transformers import PreTrainedModel

from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.rows import RowReader
from hf_hmtl.draws import Draws
from hf_hmtl.files import replacing
from hf_hmtl.tasks import Pretext
from hf_hmtl.tasks.inpainting import InPainting

TITLES = ("original", "cut", "reconstructed")


def draw_reconstructions(
    model: PreTrainedModel,
    pretexts: Sequence[Pretext],
    dataset,
    collator: EvaluationCollator,
    path: str | Path,
    faces: int = 8,
) -> None:
    """Draw the first rows of a dataset, one column a face: as it is, cut, and as the decoder paints it.

    Args:
        model: with the decoder of the in-painting task, which a slim model lacks.
        pretexts: tasks of the recipe, one of them in-painting.
        dataset: a `datasets.Dataset`.
        collator: decodes the rows.
        path: file to write, a PNG.
        faces: how many.

    Raises:
        ValueError: the recipe has no in-painting, or the model no decoder.
    """
    task = next((pretext for pretext in pretexts if isinstance(pretext, InPainting)), None)
    if task is None:
        raise ValueError("this recipe has no in-painting; choose a row such as drawn/inpainting-pixel")
    if task.name not in model.config.heads:
        raise ValueError(
            f"this model has no head {task.name!r} (it has: {', '.join(model.config.heads) or 'none'}). The final "
            "folder of a run is slim; give one of its checkpoint-N, and the row that was trained"
        )
    numbers = list(range(min(faces, len(dataset))))
    original = collator(RowReader(dataset).__getitems__(numbers))["pixel_values"]
    cut, _ = task.corrupt(original, Draws(0, [0] * len(numbers), numbers))
    model.eval()
    with torch.no_grad():
        painted = model(cut.to(model.device), views={task.name: (0, len(cut))}).predictions[task.name].cpu()
    pictures = [original, cut, (painted * 255).round().to(torch.uint8)]
    _draw([batch.permute(0, 2, 3, 1).numpy() for batch in pictures], path)


def _draw(rows: list[np.ndarray], path: str | Path) -> None:
    figure = Figure(figsize=(1.2 * len(rows[0]) + 0.9, 1.25 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for row, title, images in zip(axes, TITLES, rows, strict=True):
        for axis, image in zip(row, images, strict=True):
            axis.imshow(image)
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(title)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
