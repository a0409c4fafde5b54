"""The folder that is shipped: the network without what served training only, and its image processor."""

import copy
import os
import shutil
from pathlib import Path

from torch import nn

from hf_hmtl.files import require_folder, writing


def save_final(model: nn.Module, processor, folder: str | Path) -> None:
    """Write the slim model and its processor: first beside what is there, then moved into place file by file.

    Args:
        model: an `HMTLForImageClassification`, or such a network with adapters of peft, which are merged into a copy;
            or a network for faces in time, which has no training heads.
        processor: the image processor.
        folder: made where it does not exist.

    Raises:
        OSError: it cannot be written; what was there is there.
    """
    require_folder(Path(folder), "save_final")
    staging = Path(folder) / ".writing"
    shutil.rmtree(staging, ignore_errors=True)
    whole = without_adapters(model)
    try:
        with writing(folder):
            (whole.slim() if hasattr(whole, "slim") else whole).save_pretrained(staging)
            processor.save_pretrained(staging)
            for path in sorted(staging.iterdir()):
                os.replace(path, Path(folder) / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def without_adapters(model: nn.Module) -> nn.Module:
    """The model itself, or a copy into which its adapters of peft are merged."""
    return copy.deepcopy(model).merge_and_unload() if hasattr(model, "merge_and_unload") else model
