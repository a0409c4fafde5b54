"""Data sets for research only stay on this machine: `push_to_hub` of what was loaded from one is refused.

The licence stands in the `info` of a dataset, which whatever is made of it by map, filter, concatenation and the like
keeps. It is a reminder and no lock: a stream (`to_iterable_dataset`) or rows copied by hand forget it.
"""

import functools
from collections.abc import Callable

import datasets

from hf_hmtl.results.terms import terms_of

_MARK = "must stay on this machine"


def keep_here(dataset: datasets.Dataset, source: str, licence: str) -> None:
    """Note the licence of a dataset, and from now on refuse to push it where its terms allow research only.

    Args:
        dataset: its `info` is changed.
        source: name of the source.
        licence: its terms, in one line.
    """
    dataset.info.license = licence
    if any(terms.research_only for terms in terms_of([source])):
        dataset.info.license = f"{licence} ({source}: {_MARK})"
        for kind in (datasets.Dataset, datasets.DatasetDict):
            if not hasattr(kind.push_to_hub, "refuses"):
                kind.push_to_hub = _refusing(kind.push_to_hub)


def _refusing(push: Callable) -> Callable:
    @functools.wraps(push)
    def push_to_hub(self, *arguments, **options):
        """As that of datasets.

        Raises:
            PermissionError: the terms of the data forbid it.
        """
        for dataset in self.values() if isinstance(self, dict) else (self,):
            if _MARK in (dataset.info.license or ""):
                raise PermissionError(
                    f"this dataset is not pushed to the Hub: {dataset.info.license}. Share the code that makes it, and "
                    "let others ask for the data themselves; dataset.save_to_disk(FOLDER) keeps it here"
                )
        return push(self, *arguments, **options)

    push_to_hub.refuses = True  # type: ignore[attr-defined]
    return push_to_hub
