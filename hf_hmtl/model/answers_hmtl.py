"""What the heads of a network answer, in words and units: the one definition, for pipelines, tables and exports."""

from collections import Counter
from dataclasses import asdict, dataclass

import torch

DRAWN = ("drawn", "drawn_clips")  # the sources of faces drawn by code
CLASSES, YES_NO, NUMBERS, RAW = "classes", "yes_no", "numbers", "raw"
# Keys of an entry that no head may take.
OF_THE_FACE = (
    "file", "frame", "seconds", "face", "track", "box", "xmin", "ymin", "xmax", "ymax", "score", "landmarks", "error",
    "note",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """How a supervised head is read.

    Attributes:
        head: its name in `predictions`.
        kind: "classes" (one of several, by softmax), "yes_no" (each by itself, by sigmoid), "numbers" (as they are), or
            "raw" for an output of another shape, which has no words.
        key: what an entry calls it; of numbers each has its own, in `keys`.
        keys: of the classes, questions or numbers, in the order of the outputs.
        unit: of numbers, "" where they have none.
        range: [lowest, highest] of numbers, None where it is open.
    """

    head: str
    kind: str
    key: str
    keys: tuple[str, ...]
    unit: str = ""
    range: tuple[float, float] | None = None

    def values(self, prediction: torch.Tensor) -> torch.Tensor:
        """(rows, ...) float32 of the head's (rows, ...) prediction: probabilities, or the numbers themselves."""
        prediction = prediction.float()
        if self.kind == CLASSES:
            return prediction.softmax(-1)
        return prediction.sigmoid() if self.kind == YES_NO else prediction

    def entry(self, row) -> dict:
        """What one row of `values` says, in plain words and numbers; {} of a raw output.

        Returns:
            classes: {key: {"label", "score", "scores": {label: probability}}}; yes_no: {key: {question: probability}};
            numbers: {key of the number: number}.
        """
        if self.kind == RAW:
            return {}
        named = dict(zip(self.keys, map(float, row), strict=True))
        if self.kind == NUMBERS:
            return named
        if self.kind == YES_NO:
            return {self.key: named}
        best = max(named, key=named.__getitem__)
        return {self.key: {"label": best, "score": named[best], "scores": named}}

    def described(self) -> dict:
        """The same as JSON has it."""
        return asdict(self)


def answers_of(config, heads=None) -> list[Answer]:
    """How the supervised heads of a configuration are read.

    Args:
        config: an `HMTLConfig`.
        heads: names of those that are asked for; all of them by default.

    Raises:
        ValueError: there is no such head, or none at all.
    """
    if not config.supervised_heads:
        raise ValueError(
            f"This network has no head that answers anything; its heads serve training only: "
            f"{', '.join(config.heads) or 'none'}. Fine-tune it first."
        )
    for name in heads or ():
        if name not in config.supervised_heads:
            raise ValueError(f"This model has no head {name!r}; it has: {', '.join(config.supervised_heads)}.")
    asked = {name: head for name, head in config.supervised_heads.items() if not heads or name in heads}
    kinds = {name: _kind(config, name) for name in asked}
    numbers = {name: _number_names(config, name) for name, kind in kinds.items() if kind == NUMBERS}
    called = _called(kinds, numbers)
    return [
        Answer(
            head=name,
            kind=kinds[name],
            key=called.get((name, None), name),
            keys=tuple(called[name, each] for each in numbers[name])
            if name in numbers
            else tuple(head["labels"] or ()),
            unit=head.get("unit", ""),
            range=tuple(head["range"]) if head.get("range") else None,
        )
        for name, head in asked.items()
    ]


def _called(heads, numbers) -> dict:
    """{(head, one of its numbers or None): what an entry calls it}, each another name and none of `OF_THE_FACE`.

    A name that two would have, or that says something else in an entry, is told apart by its head.
    """
    parts = [(head, each) for head in heads for each in numbers.get(head, (None,))]
    own = {(head, each): head if each is None else each for head, each in parts}
    taken = Counter([*OF_THE_FACE, *own.values()])
    called = {
        part: name for part, name in own.items() if taken[name] == 1 or (part[1] is None and name not in OF_THE_FACE)
    }
    for head, each in parts:
        if (head, each) not in called:
            name = f"{head}_head" if each is None else f"{head}_{each}"
            while name in OF_THE_FACE or name in called.values():
                name += "_head"
            called[head, each] = name
    return called


def note_of(config) -> str | None:
    """What whoever reads the answers has to know about the weights: that they learned from drawings; else None."""
    if not set(DRAWN) & set(config.learned_from):
        return None
    others = [name for name in config.learned_from if name not in DRAWN]
    if others:
        return f"learned from faces drawn by code, beside {', '.join(others)}"
    return "learned from faces drawn by code alone: the answers say nothing about people"


def _kind(config, name: str) -> str:
    head = config.heads[name]
    asked = name == config.primary and config.problem_type == "multi_label_classification"
    if head["kind"] == "multilabel" or asked:
        return YES_NO
    if head["labels"]:
        return CLASSES
    return NUMBERS if head["kind"] != "projector" and len(head.get("shape", ())) == 1 else RAW


def _number_names(config, name: str) -> list:
    head = config.heads[name]
    count = head["shape"][0]
    return list(head.get("names") or ([name] if count == 1 else [f"{name}_{index}" for index in range(count)]))
