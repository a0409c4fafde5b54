"""What a frozen backbone makes of images: computed once, and kept for every fold, seed and network that reads it."""

import hashlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from hf_hmtl.analysis.evaluation_mode import evaluating
from hf_hmtl.data.arrow_columns import column_array, selected
from hf_hmtl.data.collator import EvaluationCollator
from hf_hmtl.data.crops import CROP
from hf_hmtl.data.identity import ID, names_of
from hf_hmtl.data.mixture import laid_together
from hf_hmtl.data.rows import RowReader
from hf_hmtl.data.splits import fingerprint
from hf_hmtl.files import replacing

logger = logging.getLogger(__name__)


class Pooled(NamedTuple):
    """Pooled features of some rows.

    Attributes:
        features: (rows, channels) float32.
        targets: {task: targets of the rows}, of the collator's tasks.
        broken: numbers of the rows whose image is broken, which was black.
    """

    features: np.ndarray
    targets: dict[str, np.ndarray]
    broken: np.ndarray


def pooled_features(model: PreTrainedModel, dataset, collator: EvaluationCollator, batch_size: int = 256) -> Pooled:
    """Pooled features of clean images in the order of the rows.

    The backbone runs in evaluation mode on the model's device and comes back as it was, every module in its own mode.

    Args:
        model: an HMTLModel, or a model that holds one.
        dataset: a `datasets.Dataset`, as `RowReader` takes it.
        collator: how images are seen.
        batch_size: images that go through the backbone at once.

    Raises:
        ValueError: features are not finite.
    """
    backbone, features, broken = model.base_model, [], []
    targets: dict[str, list[np.ndarray]] = {task.name: [] for task in collator.supervised}
    # A generator of its own: a loader without one takes a number from torch's, and would change what is drawn next.
    loader = DataLoader(RowReader(dataset), batch_size, collate_fn=collator, generator=torch.Generator())
    with evaluating(backbone), torch.no_grad():
        for batch in tqdm(loader, desc=f"features of {len(dataset)} images", unit="batch", disable=None):
            features.append(backbone(batch["pixel_values"].to(backbone.device)).pooler_output.float().cpu().numpy())
            broken.append(batch["broken_rows"].numpy())
            for name, found in targets.items():
                found.append(batch["targets"][name].numpy())
    of_tasks = {name: np.concatenate(found) for name, found in targets.items()}
    found = Pooled(np.concatenate(features), of_tasks, np.concatenate(broken))
    unsound = np.flatnonzero(~np.isfinite(found.features).all(1)).tolist()
    if unsound:
        raise ValueError(
            f"the features of {len(unsound):,} of {len(dataset):,} images are not finite (the first: "
            f"{', '.join(names_of(dataset, unsound[:3]))}), so nothing can be read off them: this backbone has "
            "diverged. Give another --pretrained, such as an earlier checkpoint-N"
        )
    return found


def kept_features(
    model: PreTrainedModel, splits: datasets.DatasetDict, collator: EvaluationCollator
) -> dict[str, np.ndarray]:
    """{split: (rows, channels) pooled features}, NaN of broken images; from the cache of `datasets` if there.

    All rows are one entry there, whatever splits they come in: the folds of a cross-validation share it. It is found
    by the backbone's weights, buffers and pixel statistics, by how images are seen, and by the images themselves; a
    damaged one is made anew.

    Args:
        model: an HMTLModel, or a model that holds one.
        splits: with an `_id` of every row.
        collator: how images are seen; its tasks do not count.
    """
    together = laid_together(splits)
    ids = np.array(column_array(together, ID).to_pylist(), dtype=object)
    order = np.argsort(ids, kind="stable")
    rows = selected(together, order)
    seen = (collator.image_size, collator.crop_fraction)
    labels = [name for name in rows.column_names if name not in CROP]
    key = backbone_key(model.base_model, seen, fingerprint(datasets.DatasetDict(all=rows), ignored=labels))
    path = Path(datasets.config.HF_DATASETS_CACHE) / "hf_hmtl" / f"features-{key[:24]}.npz"
    found = _read(path, len(rows))
    if found is None:
        pooled = pooled_features(model, rows, collator)
        found = pooled.features
        found[pooled.broken] = np.nan
        _write(path, found)
    in_order = np.empty_like(found)
    in_order[order] = found
    lasts = np.cumsum([len(each) for each in splits.values()])
    return dict(zip(splits, np.split(in_order, lasts[:-1]), strict=True))


def backbone_key(backbone: PreTrainedModel, *further: object) -> str:
    """A text that differs whenever what the backbone computes could, or anything further does."""
    config = backbone.config
    # Networks of two names can have the same tensors and compute something else with them; and the pixel statistics
    # are no part of the state dict, because the config says them.
    network = (config.backbone, config.image_size, config.pixel_mean, config.pixel_std)
    digest = hashlib.sha256(repr((network, *further)).encode())
    for name, tensor in backbone.state_dict().items():
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: Path, rows: int) -> np.ndarray | None:
    # A damaged archive raises whatever zip, zlib and numpy happen upon; all it costs is to compute it once more.
    with suppress(Exception), open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        features = archive["features"]
        return features if len(features) == rows else None
    return None


def _write(path: Path, features: np.ndarray) -> None:
    """A cache that cannot be written costs time, not the run."""
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:  # numpy would add .npz to the name
            np.savez(file, features=features)
    except OSError as error:
        logger.warning("cannot keep the features in %s (%s); the next run computes them again", path, error)
