"""Recipes: a file looks like a table of the paper, one of its rows is one experiment.

A file holds `defaults` and `rows`; a row states only how it differs, and beside it the paper's own figure. Mappings are
merged key by key, everything else is replaced. Unknown keys raise with the nearest known one.

A file may be `like` another: it has that file's rows, on other data. Its own `defaults` are laid over each of them, its
`source` in the place of theirs, then what `rows` says; it lacks what `leave_out` names. The paper's figures stay where
they were printed: they are of other images.
"""

import copy
import dataclasses
import difflib
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_hmtl import printed
from hf_hmtl.files import without_place
from hf_hmtl.option_types import require_mapping, require_types
from hf_hmtl.parsing import shown, text_of, yaml_of

FOLDER = Path(__file__).parent / "recipes"
_LONGEST_NAME = 1000
FILE_KEYS = ("about", "default_row", "defaults", "rows", "like", "leave_out")
NEUTRAL = ("on_broken_image", "report_batch_norm", "report_train", "report_columns", "report_groups", "about")
OF_THE_USER = ("source", "supervised")
OF_IMAGES = {
    "train_fraction": 1.0, "label_fraction": 1.0, "balancing": "none", "mixed_with": [], "teacher": None,
    "loss_weighting": "static", "probe": None, "report_batch_norm": False,
}  # fmt: skip
"""Options that are of images alone, and what they are where nobody gives them."""
CHOICES = {
    "on_broken_image": ("replace", "skip", "raise"),
    "balancing": ("none", "down", "up"),
    "loss_weighting": ("static", "uncertainty", "dynamic"),
    "probe": (None, "linear", "nonlinear", "knn"),
}


def nearest(given: str, known) -> str:
    """ " Did you mean 'x'?" for the closest known name, or an empty string."""
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def require_known(given, known, what: str) -> None:
    """Raise for the first key that is not known.

    Raises:
        ValueError: it names the key, the nearest known key and all known keys.
    """
    for key in given:
        if key not in known:
            raise ValueError(
                f"unknown {what} {shown(key)}.{nearest(str(key)[:100], known)} Known: {', '.join(sorted(known))}"
            )


def merged(base: dict, changes: dict) -> dict:
    """A new mapping: `changes` over `base`, mappings merged key by key, everything else replaced."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


@dataclass(frozen=True)
class Recipe:
    """One experiment: everything that decides its result, apart from where the data lie.

    Attributes:
        name: "file/row", and behind it what was changed: "drawn/puzzle-3x3 with auxiliary.puzzle.weight=0.1".
        about: one line for readers.
        source: {name: file in `data/sources`, and that source's options}. Of every source, fold: [k, n] divides all its
            rows anew, so that the k-th of n folds is tested. A list of such in a file is the first source and what it
            is `mixed_with`.
        mixed_with: further sources: {name, options, data_dir, share of every batch as a weight (1, as the first has),
            labels: none for its images alone}. An epoch is a pass of the first source.
        without_classes: {column: [classes whose rows are left out of every split]}.
        train_fraction: share of the training rows, stratified by the first supervised task; its seed is fixed.
        label_fraction: share of the labels that are used, chosen as those of `train_fraction` are; the other rows stay,
            and teach pretexts. No row of the paper does so: its low-data rows drop the images.
        balancing: none, down (every class of the first supervised task cut to the smallest; appendix B) or up (every
            class repeated to the largest), after `train_fraction`.
        backbone: name of a timm model.
        pretrained: weights that the backbone starts from: False (random), True (timm's ImageNet weights), a local file
            of weights, the folder or Hub name of a model of ours, or {row: NAME} of the same file, {row: FILE/NAME} of
            another one.
        teacher: supervised model whose features a perceptual loss compares: folder, Hub name or {row: NAME}.
        image_size: side, pixels.
        crop: {train, eval}: share of the sides that the central crop keeps.
        augmentation: {level: none | weak | strong (appendix A) | pose (Table 12), and changes to its magnitudes}.
        supervised: {column of the dataset: {task, and its options}}.
        auxiliary: {name: {task, and its options}}; the task is the name unless given. A null entry, here and in
            `supervised`, takes a task of the defaults away.
        loss_weighting: static, uncertainty (learned factors beside the tasks' own weights) or dynamic (factors from
            the losses of the last two epochs).
        sequence: null to learn images, or how their frames are learned in time: {recurrent, layers, units, ..., window,
            stride} (section 4.7), see `InTime` of `run/clips.py`. The source then gives clips.
        probe: null to train the whole network, or linear, nonlinear or knn: the backbone stays as it is, and a
            classifier is fitted to its features (section 4.3).
        on_broken_image: replace (by another row of the epoch; skip is the same) or raise.
        report_batch_norm: also report accuracy on corrupted validation images, and with re-estimated statistics.
        report_train: also report the scores on clean training images, for the gap to validation.
        training: defaults of the training arguments.
        report_columns: further columns of the data that stand in predictions.parquet beside every answer.
        report_groups: columns of the data by whose values the scores are also reported, each column by itself.
        paper: {table, row, metric, value, and further ones}: the paper's own figures for this row, if it has any, as
            `hf_hmtl.printed` describes them.
    """

    name: str
    about: str = ""
    source: dict[str, Any] = field(default_factory=lambda: {"name": "drawn"})
    mixed_with: list[dict[str, Any]] = field(default_factory=list)
    without_classes: dict[str, list[str]] = field(default_factory=dict)
    train_fraction: float = 1.0
    label_fraction: float = 1.0
    balancing: str = "none"
    backbone: str = "efficientnet_b0"
    pretrained: bool | str | dict[str, str] = False
    teacher: str | dict[str, str] | None = None
    image_size: int = 224
    crop: dict[str, float] = field(default_factory=lambda: {"train": 1.0, "eval": 1.0})
    augmentation: dict[str, Any] = field(default_factory=lambda: {"level": "none"})
    supervised: dict[str, dict] = field(default_factory=dict)
    auxiliary: dict[str, dict] = field(default_factory=dict)
    loss_weighting: str = "static"
    sequence: dict[str, Any] | None = None
    probe: str | None = None
    on_broken_image: str = "replace"
    report_batch_norm: bool = False
    report_train: bool = False
    report_columns: list[str] = field(default_factory=list)
    report_groups: list[str] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)
    paper: dict[str, Any] | None = None

    def __post_init__(self):
        given = {name: getattr(self, name) for name in FIELDS}
        require_types(type(self), given, f"recipe {self.name}", besides=("supervised", "auxiliary"))
        for group in ("supervised", "auxiliary"):
            require_mapping(given[group], f"`{group}` of recipe {self.name}")
            for task, settings in given[group].items():
                if settings is not None:
                    require_mapping(settings, f"`{group}.{task}` of recipe {self.name}")
        for option in ("train_fraction", "label_fraction"):
            if not 0 < getattr(self, option) <= 1:
                raise ValueError(
                    f"{option} is {getattr(self, option)}, allowed is 0 < fraction <= 1 (0.2 keeps a fifth)"
                )
        if self.label_fraction < 1 and not (self.supervised and self.auxiliary):
            raise ValueError(
                f"label_fraction of recipe {self.name}: rows without labels teach pretexts alone, so it needs a "
                "supervised and an auxiliary task; train_fraction leaves rows out"
            )
        if self.without_classes and self.mixed_with:
            raise ValueError(f"recipe {self.name}: without_classes is of one source, and several are mixed")
        if self.paper and (self.mixed_with or self.label_fraction < 1):
            raise ValueError(f"recipe {self.name}: the paper mixes no sources and hides no labels; leave `paper` out")
        if not (isinstance(self.image_size, int) and self.image_size >= 16):
            raise ValueError(f"image_size is {self.image_size!r}, allowed are whole numbers of pixels from 16")
        require_known(self.crop, ("train", "eval"), f"crop key of recipe {self.name}")
        object.__setattr__(self, "crop", {"train": 1.0, "eval": 1.0, **self.crop})
        for split, fraction in self.crop.items():
            if not 0 < fraction <= 1:
                raise ValueError(f"crop.{split} is {fraction}, allowed is 0 < fraction <= 1 (1 keeps the whole image)")
        if self.paper is not None:
            what = f"`paper` of recipe {self.name}"
            require_known(self.paper, (*printed.KEYS, *printed.FURTHER_KEYS), f"key of {what}")
            printed.require_paper(self.paper, self.supervised, what)
        if not self.supervised and not self.auxiliary:
            raise ValueError(f"recipe {self.name} has no task; give it a supervised or an auxiliary one")
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ValueError(
                    f"{key} of recipe {self.name} is {getattr(self, key)!r}."
                    f"{nearest(str(getattr(self, key)), [name for name in allowed if name])} Allowed: "
                    f"{', '.join(map(str, allowed))}"
                )
        if self.on_broken_image == "skip":
            object.__setattr__(self, "on_broken_image", "replace")
        if self.balancing != "none" and not self.supervised:
            raise ValueError(f"balancing of recipe {self.name} needs a supervised task, whose classes it balances")
        if self.sequence is not None:
            self._check_sequence()
        if self.probe and (len(self.supervised) != 1 or self.auxiliary):
            raise ValueError(
                f"recipe {self.name} is a {self.probe} probe, which fits one supervised task and nothing else; it has "
                f"{', '.join([*self.supervised, *self.auxiliary])}"
            )

    def _check_sequence(self) -> None:
        """Raise for what is not learned in time.

        Raises:
            ValueError: it says what to leave out.
        """
        if len(self.supervised) != 1:
            raise ValueError(
                f"recipe {self.name} learns in time (sequence), where one supervised task is learned; it has "
                f"{', '.join(self.supervised) or 'none'}. Leave the others out (another: null)"
            )
        for option, usual in OF_IMAGES.items():
            if getattr(self, option) != usual:
                raise ValueError(
                    f"recipe {self.name} learns in time (sequence), where {option} would tear clips apart or do "
                    "nothing. Leave it out"
                )

    @property
    def kept_columns(self) -> list[str]:
        """Columns of the data that stand in predictions.parquet, beside those that are learned."""
        return list(dict.fromkeys([*self.report_columns, *self.report_groups]))

    def to_dict(self) -> dict[str, Any]:
        """Plain mapping of all fields."""
        return dataclasses.asdict(self)


FIELDS = tuple(recipe_field.name for recipe_field in dataclasses.fields(Recipe))
DEFAULTS = {each.name: each.default for each in dataclasses.fields(Recipe) if each.default is not dataclasses.MISSING}


def available() -> dict[str, list[str]]:
    """{file: rows} of the recipes in this package."""
    return {path.stem: list(_read(path)["rows"]) for path in sorted(FOLDER.glob("*.yaml"))}


@functools.lru_cache(maxsize=32)
def _parsed(text: str, where: Path) -> Any:
    """A comparison asks for some file a hundred times; what it gets is copied before it is changed."""
    return yaml_of(text, where, "; a recipe is YAML, indented by blanks and not by tabs")


def _read(path: Path) -> dict[str, Any]:
    content = _parsed(text_of(path), path)
    if content is None:
        raise ValueError(f"{path} is empty; a recipe file needs `rows`")
    require_mapping(content, str(path))
    require_known(content, FILE_KEYS, f"key in {path.name}")
    if "like" in content:
        require_known(
            [content["like"]], [each.stem for each in FOLDER.glob("*.yaml")], f"file that {path.name} is like,"
        )
        other = FOLDER / f"{content['like']}.yaml"
        return _like(path, text_of(path), other, text_of(other))
    if "leave_out" in content:
        raise ValueError(f"{path} has leave_out and is not `like` another file, whose rows it could leave out")
    if not content.get("rows"):
        raise ValueError(f"{path} has no rows; a recipe file needs at least one")
    for key in ("rows", "defaults"):
        require_mapping(content.get(key) or {}, f"`{key}` of {path}")
    for row, settings in content["rows"].items():
        require_mapping(settings or {}, f"row {shown(row)} of {path}")
    return content


@functools.lru_cache(maxsize=32)
def _like(path: Path, text: str, other: Path, _: str) -> dict[str, Any]:
    """A file that is `like` another, with all of its rows in full; made once for the texts of both."""
    content = _parsed(text, path)
    theirs, own, left_out = _read(other), content.get("rows") or {}, content.get("leave_out") or []
    if not isinstance(left_out, list):
        raise ValueError(f"leave_out of {path} is {left_out!r}; write the rows that are left out as a list: [a, b]")
    require_known(left_out, theirs["rows"], f"row that {path.name} leaves out,")
    for key in ("rows", "defaults"):
        require_mapping(content.get(key) or {}, f"`{key}` of {path}")
    rows = {}
    for name in [row for row in {**theirs["rows"], **own} if row not in left_out]:
        require_mapping(own.get(name) or {}, f"row {shown(name)} of {path}")
        of_theirs = merged(theirs.get("defaults") or {}, theirs["rows"].get(name) or {})
        fields = merged(of_theirs, content.get("defaults") or {})
        fields |= {"source": (content.get("defaults") or {}).get("source", fields.get("source")), "paper": None}
        rows[name] = merged(fields, own.get(name) or {})
    return {key: content[key] for key in ("about", "default_row", "like") if key in content} | {"rows": rows}


def original_of(file: str) -> str:
    """The file of this package whose rows stand in another one: "affectnet" for "drawn-paper"; itself, where it is like
    no other."""
    path = FOLDER / f"{file}.yaml"
    return _parsed(text_of(path), path).get("like", file)


def is_of_another_file(row: str) -> bool:
    """Whether a row is named with its file: "affectnet/supervised-weak"."""
    return "/" in row


def other_row(name: str, row: str) -> str:
    """The name of another row in the file of `name`: "drawn/supervised" for "drawn" or "drawn/puzzle-2x2",
    "my.yaml:supervised" for "my.yaml" or "my.yaml:puzzle-2x2". A row that is named with its file stays."""
    if is_of_another_file(row):
        return row
    return f"{name.partition(':')[0]}:{row}" if ".yaml" in name else f"{name.partition('/')[0]}/{row}"


def default_folder(name: str) -> str:
    """Where a recipe is trained to unless --output_dir says otherwise: outputs/<file>-<row>."""
    file_name, colon, row = name.partition(":")
    if ".yaml" in file_name:
        name = f"{Path(file_name).stem}-{row}" if colon else Path(file_name).stem
    return f"outputs/{name.replace('/', '-')}"


def load(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """The recipe of a row.

    Args:
        name: "file/row" or "file" (its default row) of this package, or "path/to/mine.yaml" with ":row" behind it.
        overrides: mapping merged over the row, with the same keys. A changed row says so in its name and loses the
            paper's figure.

    Raises:
        ValueError: unknown file, row or key; the message has the nearest known name.
    """
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"unknown recipe {shown(name)}; a name has at most {_LONGEST_NAME} characters")
    if ".yaml" in name:
        file_name, _, row = name.partition(":")
        path, label = Path(file_name), Path(file_name).stem
        if not path.is_file():
            raise ValueError(f"recipe file {file_name} does not exist")
    else:
        label, _, row = name.partition("/")
        path = FOLDER / f"{label}.yaml"
        if not path.is_file():
            files = available()
            raise ValueError(
                f"unknown recipe {name!r}.{nearest(label, files)} Known files: {', '.join(files)}; "
                "or give the path of a .yaml file"
            )
    content = _read(path)
    rows = content["rows"]
    row = row or content.get("default_row") or next(iter(rows))
    if not isinstance(row, str) or row not in rows:
        raise ValueError(
            f"unknown row {shown(row)} in recipe {label}.{nearest(str(row)[:100], rows)} Known rows: {', '.join(rows)}"
        )
    own = merged(content.get("defaults") or {}, rows[row] or {})
    fields = merged(_with_first_source(own), overrides or {})
    for group in ("supervised", "auxiliary"):
        require_mapping(fields.get(group, {}), f"`{group}` of recipe {label}/{row}")
        fields[group] = {task: settings for task, settings in fields.get(group, {}).items() if settings is not None}
    require_known(fields, [known for known in FIELDS if known != "name"], f"key in recipe {label}/{row}")
    changed = _changes(DEFAULTS | _with_first_source(own), overrides or {})
    if changed:
        fields["paper"] = None  # the figure is that of the unchanged row
    return Recipe(name=f"{label}/{row}{' with ' * bool(changed)}{', '.join(changed)}", **fields)


def _with_first_source(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row whose `source` may be a list: the first, and what it is mixed with."""
    if not isinstance(fields.get("source"), list):
        return fields
    if not fields["source"]:
        raise ValueError("source is an empty list; it needs a source, or leave it out")
    first, *further = fields["source"]
    return fields | {"source": first, "mixed_with": [*further, *fields.get("mixed_with", [])]}


def _changes(own: dict[str, Any], overrides: dict[str, Any], prefix: str = "") -> list[str]:
    """Overrides that make another experiment of a row, as "auxiliary.puzzle.weight=0.1"."""
    found = []
    for key, value in overrides.items():
        if key in NEUTRAL or own.get(key) == value:
            continue
        if key == "mixed_with" and isinstance(value, list):  # folders of this machine stand in there
            found.append(f"mixed_with={'+'.join(str(each.get('name')) for each in value if isinstance(each, dict))}")
            continue
        if key in OF_THE_USER and own.get("source", {}).get("name") == "custom":
            continue  # a recipe for anybody's data: theirs is no change of it
        if key in ("pretrained", "teacher") and isinstance(own.get(key), dict):
            continue  # the row says which model it begins with, the option only where that lies
        if isinstance(value, dict):
            below = own.get(key)
            found += _changes(below if isinstance(below, dict) else {}, value, f"{prefix}{key}.")
        else:
            said = "null" if value is None else without_place(value) if isinstance(value, str) else value
            found.append(f"{prefix}{key}={said}")
    return found


def override(assignments: list[str]) -> dict[str, Any]:
    """{"a": {"b": 3}} from ["a.b=3"]; values are YAML.

    Raises:
        ValueError: an assignment has no "=", or a value is no YAML.
    """
    result: dict[str, Any] = {}
    for assignment in assignments:
        path, separator, value = assignment.partition("=")
        if not separator:
            raise ValueError(f"--set {shown(assignment)} has no '='; write --set auxiliary.puzzle.weight=0.1")
        hint = f". Quote what is to stay text: --set {shown(path)[1:-1]}='\"...\"'"
        nested: Any = yaml_of(value, f"--set {shown(assignment)}: the value is YAML", hint)
        for key in reversed(path.split(".")):
            nested = {key: nested}
        result = merged(result, nested)
    return result
