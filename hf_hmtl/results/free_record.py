"""The record of a run as others may read it: without any place on the machine that wrote it."""

from typing import Any

from hf_hmtl.files import without_places
from hf_hmtl.results.result import without_folders

_OF_A_RECIPE = "recipe."
_NAME = "recipe.name"  # "file/row", which a folder may be called like


def free_record(content: dict[str, Any]) -> dict[str, Any]:
    """The same record, with places by their last part alone, whether they were given absolutely or relatively.

    Args:
        content: a flat mapping, as `hf_hmtl.run.record.record` makes it.
    """
    free = without_folders(content)
    return {
        key: without_places(value) if key.startswith(_OF_A_RECIPE) and key != _NAME else value
        for key, value in free.items()
    }
