"""The folder is the registry: `get("fer2013")` imports `sources/fer2013.py`, `available()` lists the files.

A source file states its facts at the top (LICENCE, CITATION, HOMEPAGE, expected counts) and defines
`load(data_dir=None, **options) -> Source`. Files whose name begins with an underscore are shared parts, not sources.
"""

import difflib
import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets

from hf_hmtl.data.crops import CROP
from hf_hmtl.data.identity import OF_CLIPS, RESERVED
from hf_hmtl.data.ledger import Ledger
from hf_hmtl.data.splits import class_counts
from hf_hmtl.option_types import require_types

SPLITS = ("train", "validation", "test")
DATA_ROOT = "HF_HMTL_DATA"


@dataclass(frozen=True)
class Source:
    """Data ready for training, with what a reader of the result must know about it.

    Attributes:
        name: name of the source, or what the user called it.
        splits: "train", and at least one of "validation" and "test" unless nothing is labelled; column `image` of type
            Image(decode=False), one column a label, named as its task. A missing class is -1, a missing number NaN.
            And the reserved columns of `data.identity`, and where faces are to be cut out those of `data.crops`.
        licence: terms of the images and labels, in one line.
        citation: what to cite, in one line.
        homepage: where the data comes from.
        notes: what was found and decided: layout, drifted counts, rows left out and why.
        crop: recommended share of the image's sides that the central crop keeps, {"train": x, "eval": y}; None
            keeps the whole image.
        face_margin: share of the face's longer side that an image shows on each side of it; None where nobody says.
        report_columns: further columns, which are no labels but stand in predictions.parquet.
        ledger: what was found and is not used, by reason.
        evaluation_only: whether there is nothing to train on, but a test split alone.

    Raises:
        ValueError: the splits do not keep this contract.
    """

    name: str
    splits: datasets.DatasetDict
    licence: str
    citation: str
    homepage: str = ""
    notes: tuple[str, ...] = ()
    crop: dict[str, float] | None = None
    face_margin: float | None = None
    report_columns: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    evaluation_only: bool = False

    def __post_init__(self):
        unknown = [split for split in self.splits if split not in SPLITS]
        lacking = "train" not in self.splits or (len(self.splits) < 2 and self._is_labelled)
        if unknown or (lacking and not (self.evaluation_only and list(self.splits) == ["test"])):
            raise ValueError(
                f"{self.name}: splits are {', '.join(self.splits) or 'none'}; needed are train and at least one of "
                "validation and test, under these names"
            )
        for split, dataset in self.splits.items():
            image = dataset.features.get("image")
            if not isinstance(image, datasets.Image) or image.decode:
                raise ValueError(f"{self.name}: column image of {split} is {image}, must be Image(decode=False)")
            if absent := [name for name in RESERVED if name not in dataset.column_names]:
                raise ValueError(f"{self.name}: split {split} lacks the reserved columns {', '.join(absent)}")
            if len(dataset) == 0:
                raise ValueError(f"{self.name}: split {split} has no rows; check the files of that split")

    @property
    def _is_labelled(self) -> bool:
        known = {"image", *RESERVED, *OF_CLIPS, *CROP, *self.report_columns}
        return not known.issuperset(self.splits["train"].column_names)

    @property
    def report_split(self) -> str:
        """The split whose scores are reported: test, or validation where the data has no test split."""
        return "test" if "test" in self.splits else "validation"

    def describe(self) -> str:
        """Rows of each split, rows of each class, and the notes, for people to read."""
        lines = [f"{self.name}: {self.licence}"]
        for split, dataset in self.splits.items():
            lines.append(f"  {split}: {len(dataset):,} rows")
            for column, feature in dataset.features.items():
                if isinstance(feature, datasets.ClassLabel):
                    counts = class_counts(dataset, column)
                    missing = len(dataset) - sum(counts.values())
                    shown = [f"{name} {count:,}" for name, count in counts.items()]
                    shown += [f"(no label) {missing:,}"] * (missing > 0)
                    lines.append(f"    {column}: {', '.join(shown)}")
        if self.crop is not None:
            lines.append(f"  crop: {shares_of(self.crop)} is recommended")
        lines += [f"  left out, {line}" for line in self.ledger.lines()]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


def shares_of(crop: Mapping[str, float]) -> str:
    """A central crop in words: "the central 0.69 of each side in training, 0.8 in evaluation"."""
    return f"the central {crop['train']:g} of each side in training, {crop['eval']:g} in evaluation"


def available() -> list[str]:
    """Names of the sources of this package, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str) -> ModuleType:
    """The module of a source; `get("fer2013").load(folder)` gives a `Source`.

    Raises:
        ValueError: no file of that name; the message lists the sources and the nearest name.
    """
    if name not in available():
        raise ValueError(f"unknown source {name!r}.{did_you_mean(name, available())} Known: {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")


def load(name: str, data_dir: str | Path | None = None, **options: Any) -> Source:
    """`get(name).load(data_dir, **options)`, with a mistyped option named instead of a TypeError.

    Raises:
        ValueError: no such source or option; the message names the nearest.
    """
    check_options_of(name, options)
    return get(name).load(data_dir, **options)


def check_options_of(name: str, options: dict[str, Any]) -> None:
    """Raise where a source has no such option, without reading anything.

    Raises:
        ValueError: as `load`.
    """
    module = get(name)
    check_options(name, module.drawing() if hasattr(module, "drawing") else module.load, options)


def takes(name: str, option: str) -> bool:
    """Whether the `load` of a source has this option."""
    return option in inspect.signature(get(name).load).parameters


def check_options(name: str, function: Callable, options: dict) -> None:
    """Check that a function takes these options.

    Raises:
        ValueError: it does not; the message lists those it takes and the nearest name.
    """
    known = [option for option in inspect.signature(function).parameters if option != "data_dir"]
    for option in options:
        if option not in known:
            raise ValueError(
                f"the source {name!r} has no option {option!r}.{did_you_mean(option, known)} Its options: "
                f"{', '.join(known)}"
            )
    require_types(function, options, f"option of the source {name!r}")


def resolve(name: str, data_dir: str | Path | None, layouts: str) -> Path:
    """The folder of a source: the given one, else ${HF_HMTL_DATA}/<name>.

    Args:
        layouts: the accepted layouts and how to get the data, shown when there is no such folder.

    Raises:
        FileNotFoundError: no folder was given or it does not exist.
        NotADirectoryError: a file was given.
    """
    root = os.environ.get(DATA_ROOT)
    if data_dir is None and not root:
        raise FileNotFoundError(
            f"{name}: no folder was given. Type --data_dir FOLDER, or set {DATA_ROOT} to the folder that holds "
            f"{name}/.\n{layouts}"
        )
    folder = Path(root, name) if data_dir is None else Path(data_dir).expanduser()
    if folder.is_file():
        raise NotADirectoryError(f"{name}: {folder} is a file; give the folder that holds it: {folder.parent}")
    if not folder.is_dir():
        origin = f" ({DATA_ROOT} is {root})" if data_dir is None else ""
        raise FileNotFoundError(f"{name}: there is no folder {folder}{origin}.\n{layouts}")
    return folder


def did_you_mean(given: str, allowed: list[str]) -> str:
    """' Did you mean ...?' with the nearest allowed name, or nothing where none is near."""
    lower = {name.lower(): name for name in allowed}
    nearest = difflib.get_close_matches(str(given).lower(), lower, n=1)
    return f" Did you mean {lower[nearest[0]]!r}?" if nearest else ""
