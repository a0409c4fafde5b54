"""Files that are nearly right: valid ones with a few changes, each a function of a generator of random numbers."""

import copy
import json
import struct

WORDS = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\x00\x00\x00", b"\x00\x00\x00\x80")
SIGNS = (
    *"\"'\\{}[]():,;|<>&*!%@#-?=~\t\r\n\0é😀", "\ufeff", "\u202e", "0", "-1", "7", "9" * 20, "1e999", "-1e308", "NaN",
    "inf", "Infinity", "null", "true", "../", "/", "~/",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2, 10**6, 10**12, -(10**30), 10**400, 0.5, -1e308, float("nan"), float("inf"), "", "x",
    "0", "nan", "../../x", "/etc/passwd", "http://127.0.0.1:9/x", "\x00", "é" * 300, [], {}, [None], [[]], [1, "a"],
    {"": None}, {"x": {}},
)  # fmt: skip
"""What stands in the place of any value of a JSON or YAML file."""


def mutated(content, draw):
    """Bytes with one to four changes: flipped, cut, doubled, spliced, filled with numbers that are too large.

    Args:
        content: of a valid file.
        draw: a `random.Random`.
    """
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        # Half of all changes are near the beginning, where sizes stand.
        end = len(changed) if draw.random() < 0.5 else min(len(changed), 128)
        place, other = sorted((draw.randrange(end + 1), draw.randrange(end + 1)))
        kind = draw.randrange(8)
        if kind == 0 and place < len(changed):
            changed[place] ^= 1 << draw.randrange(8)
        elif kind == 1 and place < len(changed):
            changed[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif kind == 2:
            del changed[place:]
        elif kind == 3:
            del changed[place:other]
        elif kind == 4:
            changed[place:place] = changed[place:other]
        elif kind == 5:
            changed[place : place + 4] = draw.choice(WORDS)
        elif kind == 6:
            changed[place : place + 8] = struct.pack(draw.choice("<>") + "q", draw.choice((-1, 2**31, 2**40, 2**62)))
        else:
            moved = bytes(changed[place:other])
            at = draw.randrange(len(changed) + 1)
            changed[at : at + len(moved)] = moved
    return bytes(changed)


def mistyped(text, draw):
    """Text with one to four changes: signs put in or over others, lines doubled, swapped or lost, deep nesting."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(len(text) + 1)
        kind = draw.randrange(6)
        if kind < 2:
            text = text[:place] + draw.choice(SIGNS) + text[place + kind :]
        elif kind == 2:
            text = text[:place] + text[place + draw.randrange(20) :]
        elif kind == 3:
            text = text[:place] + draw.choice("[{(-:") * draw.choice((3, 100_000)) + text[place:]
        else:
            lines = text.split("\n")
            line = draw.randrange(len(lines))
            lines[line : line + 1] = [] if kind == 4 else [lines[draw.randrange(len(lines))], lines[line]]
            text = "\n".join(lines)
    return text


def places_of(value):
    """Every place of a nested value: its container and the key or number in it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from places_of(value[key])


def distorted(value, draw):
    """A nested value with one to three changes: another value, a key that is missing, renamed or added, nesting."""
    value = {"": copy.deepcopy(value)}
    for _ in range(draw.choice((1, 1, 2, 3))):
        container, key = draw.choice(list(places_of(value)))
        kind = draw.randrange(8)
        if kind < 4:
            container[key] = copy.deepcopy(draw.choice(VALUES))
        elif kind == 4 and container is not value:
            del container[key]
        elif kind == 5 and isinstance(container, dict) and container is not value:
            container[draw.choice(("", "x", f"{key}s", "../x"))] = container.pop(key)
        elif kind == 6:
            container[key] = draw.choice(([container[key]], {"x": container[key]}, str(container[key])))
        elif isinstance(container[key], list):
            container[key] = container[key] * 2
        elif isinstance(container[key], dict):
            container[key]["more"] = copy.deepcopy(draw.choice(VALUES))
    return value[""]


def rewritten(content, draw):
    """The bytes of a JSON file: distorted as values, as text with keys twice, or as bytes."""
    kind = draw.random()
    if kind < 0.6:
        return json.dumps(distorted(json.loads(content), draw)).encode("utf-8", "surrogatepass")
    if kind < 0.7:
        text = content.decode()
        return text.replace("{", '{"' + draw.choice(("schema_version", "kind", "x")) + '": 1, ', 1).encode()
    return retyped(content, draw)


def retyped(content, draw):
    """The bytes of a text file, changed as text or as bytes."""
    if draw.random() < 0.3:
        return mutated(content, draw)
    return mistyped(content.decode(), draw).encode("utf-8", "surrogatepass")
