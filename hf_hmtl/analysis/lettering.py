"""Which fonts of this machine draw a text, whatever its script: matplotlib's own has neither Chinese nor Korean."""

import functools
from collections.abc import Iterable

from matplotlib import font_manager

USUAL = "DejaVu Sans"  # comes with matplotlib
BOXES = ("Last Resort", ".LastResort")  # have a box for every letter, and no letter


def families_for(texts: Iterable[str]) -> tuple[list[str], str]:
    """Families of installed fonts that together draw these texts, as matplotlib takes them: `fontfamily=[...]`.

    Returns:
        The families, matplotlib's own first; and the letters that none of them has, "" where all can be drawn.
    """
    wanted = {letter for text in texts for letter in text if not letter.isspace()}
    families, missing = [USUAL], wanted - _letters(font_manager.findfont(USUAL), frozenset(wanted))
    for entry in sorted(font_manager.fontManager.ttflist, key=lambda each: (each.name, each.fname)):
        if not missing:
            break
        if entry.style == "normal" and entry.name not in families and not entry.name.startswith(BOXES):
            found = _letters(entry.fname, frozenset(missing))
            if found:
                families.append(entry.name)
                # By the file that matplotlib will choose of the family, which may be another one.
                missing -= _letters(font_manager.findfont(entry.name), frozenset(missing))
    return families, "".join(sorted(missing))


@functools.lru_cache(maxsize=1024)
def _letters(path: str, wanted: frozenset[str]) -> set[str]:
    """Those of the letters that a font has; none where matplotlib cannot draw it, as with coloured pictures."""
    try:
        font = font_manager.get_font(path)
        known = font.get_charmap() if font.scalable else {}
    except (OSError, RuntimeError):  # what FreeType says of a file that it does not read
        return set()
    return {letter for letter in wanted if ord(letter) in known}
