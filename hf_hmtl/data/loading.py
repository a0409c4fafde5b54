"""A source as any other data set of Hugging Face: `hf_hmtl.data.load`."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets

from hf_hmtl.data import sources
from hf_hmtl.data.folds import checked_fold, cut_fold
from hf_hmtl.hub.research_data import keep_here

logger = logging.getLogger(__name__)


def load(
    name: str, data_dir: str | Path | None = None, fold: Sequence[int] | None = None, **options: Any
) -> datasets.DatasetDict:
    """The splits of a source as a `DatasetDict` whose images are decoded when they are asked for.

    What is left out is logged; `info.description` of every split has that, the counts and the notes, and
    `info.license`, `info.citation` and `info.homepage` say what belongs to the data. `push_to_hub` is refused for data
    sets whose terms allow research only, and for what map, filter and the like make of them.

    Args:
        name: of the source; `hf_hmtl.data.sources.available()` lists them.
        data_dir: its folder; None means ${HF_HMTL_DATA}/<name>.
        fold: (k, n) divides all rows anew, by person or else by the first column of classes: the k-th of n folds is the
            test split, as `source.fold` of a recipe has it.
        options: of the source, see `hf_hmtl.data.sources.get(name).load`.

    Raises:
        FileNotFoundError: no folder, or none of the known layouts in it.
        ValueError: no such source or option, or data that cannot be used.
    """
    source = sources.load(name, data_dir, **options)
    if fold is not None:
        features = source.splits["train"].features
        classes = next((column for column, each in features.items() if isinstance(each, datasets.ClassLabel)), None)
        splits, note = cut_fold(source.splits, checked_fold(fold), classes)
        source = dataclasses.replace(source, splits=splits, notes=(*source.notes, note))
    for line in source.ledger.lines():
        logger.warning("%s: left out, %s", name, line)
    splits = datasets.DatasetDict()
    for split, data in source.splits.items():
        splits[split] = data.cast_column("image", datasets.Image())
        info = splits[split].info
        info.description, info.citation, info.homepage = source.describe(), source.citation, source.homepage
        keep_here(splits[split], name, source.licence)
    return splits
