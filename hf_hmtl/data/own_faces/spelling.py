"""How classes are written: one spelling for each, told apart from true differences."""

import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

SYNONYMS = (
    ("angry", "anger"),
    ("contempt", "contemptuous"),
    ("disgust", "disgusted"),
    ("fear", "fearful", "afraid", "scared"),
    ("happy", "happiness", "joy"),
    ("neutral", "neutrality"),
    ("sad", "sadness"),
    ("surprise", "surprised"),
    ("female", "woman"),
    ("male", "man"),
)
"""Words for one expression or appearance, as the data sets in use write them."""
KNOWN_CLASSES = frozenset(word for words in SYNONYMS for word in words)
_FIRST = {word: words[0] for words in SYNONYMS for word in words}


def plain_class(text: str) -> str:
    """One word for all spellings and synonyms of a class, in small letters."""
    return _FIRST.get(text.casefold(), text.casefold())


def normal(text: str) -> str:
    """The text as one writes it: composed characters, no blanks around it."""
    return unicodedata.normalize("NFC", text).strip()


def spellings(
    counts: Mapping[str, int], class_map: Mapping[str, str], merge_case: bool, column: str
) -> tuple[dict[str, str], list[str]]:
    """The class of each text, and notes.

    Args:
        counts: {text: rows}.
        class_map: {text: class}, as `--class_map happiness=happy` says.
        merge_case: whether texts that differ in case are one class, written as most rows write it.
        column: name of the column, for messages.

    Raises:
        ValueError: `class_map` names a text that does not occur, or texts differ in case or are synonyms.
    """
    absent = [text for text in class_map if text not in counts]
    if absent:
        raise ValueError(
            f"custom: class_map names {', '.join(map(repr, absent))}, which no row of column {column!r} holds; it "
            f"holds {', '.join(sorted(counts))}"
        )
    notes = [
        f"class_map: {counts[text]:,} rows of {text!r} are {label!r}"
        for text, label in class_map.items()
        if text != label
    ]
    classes = {text: class_map.get(text, text) for text in counts}
    alike = _alike(classes.values(), str.casefold)
    if merge_case:
        rows: Counter = Counter()
        for text, label in classes.items():
            rows[label] += counts[text]
        usual = {name: max(sorted(group), key=rows.__getitem__) for group in alike for name in group}
        classes = {text: usual.get(label, label) for text, label in classes.items()}
        notes += [f"merge_case: {', '.join(group)} are the class {usual[group[0]]!r}" for group in alike]
        alike = []
    kept = set(class_map.values())  # told apart on purpose
    alike = [group for group in alike if not kept.issuperset(group)]
    synonyms = [
        group
        for group in _alike(classes.values(), plain_class)
        if len({name.casefold() for name in group}) > 1 and not kept.issuperset(group)
    ]
    if alike or synonyms:
        raise ValueError(_two_ways(alike, synonyms, counts, column))
    return classes, notes


def _alike(names: Iterable[str], key) -> list[list[str]]:
    """Groups of names that the key does not tell apart."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(key(name), []).append(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _two_ways(alike: list[list[str]], synonyms: list[list[str]], counts: Mapping[str, int], column: str) -> str:
    groups = alike + [group for group in synonyms if group not in alike]
    groups = [sorted(group, key=lambda name: -counts.get(name, 0)) for group in groups]  # the usual spelling first
    pairs = "; ".join(" and ".join(map(repr, group)) for group in groups)
    typed = " ".join(shlex.quote(f"{other}={group[0]}") for group in groups for other in group[1:])
    apart = " ".join(shlex.quote(f"{name}={name}") for name in groups[0])
    case = ", or --merge_case for those that differ in case alone" if alike else ""
    return (
        f"custom: column {column!r} writes one class in two ways: {pairs}. Type --class_map {typed}{case}. Where they "
        f"are two classes, say so: --class_map {apart}"
    )
