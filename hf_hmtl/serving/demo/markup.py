"""HTML of what is shown, free of scripts; every text from outside is escaped."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

STYLE = """
.hmtl .sections { columns: 280px; column-gap: 16px; }
.hmtl section { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: 10px; }
.hmtl section { padding: 12px 14px; margin: 0 0 16px; break-inside: avoid; }
.hmtl h3 { margin: 0 0 8px; font-size: 1rem; }
.hmtl img, .hmtl svg { width: 100%; height: auto; border-radius: 6px; display: block; margin: 0; }
.hmtl .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; }
.hmtl .row { display: grid; grid-template-columns: minmax(6em, auto) 1fr 3.4em; gap: 8px; align-items: center; }
.hmtl .row span { overflow-wrap: anywhere; }
.hmtl .row i { display: block; height: 10px; border-radius: 5px; background: #4f7df3; min-width: 1px; }
.hmtl .row b { font-weight: normal; text-align: right; font-variant-numeric: tabular-nums; }
.hmtl .number { grid-template-columns: 1fr auto; }
.hmtl p { margin: 8px 0 0; font-size: .92rem; }
.hmtl .said p { margin: 0 0 12px; font-size: 1rem; overflow-wrap: anywhere; }
"""


def page(said: Sequence[str], sections: Sequence[str]) -> str:
    """All that is shown of a picture: sentences, and sections beside each other where there is room."""
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in said)
    shown = f'<div class="sections">{"".join(sections)}</div>' if sections else ""
    return f'<div class="hmtl"><div class="said" role="status">{sentences}</div>{shown}</div>'


def section(title: str, content: str, sentence: str = "") -> str:
    """A frame with a title; `content` is HTML, the sentence under it is text."""
    under = f"<p>{escape(sentence)}</p>" if sentence else ""
    return f"<section><h3>{escape(title)}</h3>{content}{under}</section>"


def image(picture: Image.Image, described: str) -> str:
    """A picture within the page, so that no file of it is written."""
    file = io.BytesIO()
    picture.save(file, "PNG" if max(picture.size) < 400 else "JPEG")
    kind = "png" if max(picture.size) < 400 else "jpeg"
    text = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(described)}" src="data:image/{kind};base64,{text}">'


def pair(*contents: str) -> str:
    """Two beside each other, however narrow."""
    return f'<div class="pair">{"".join(contents)}</div>'


def bars(shares: dict[str, float]) -> str:
    """A bar for each name, the longest first."""
    rows = sorted(shares.items(), key=lambda each: -each[1])
    return "".join(
        f'<div class="row"><span>{escape(name)}</span><i style="width:{100 * share:.1f}%"></i>'
        f"<b>{100 * share:.0f} %</b></div>"
        for name, share in rows
    )


def numbers(values: dict[str, float], unit: str) -> str:
    """A row for each number, with its unit."""
    return "".join(
        f'<div class="row number"><span>{escape(name)}</span><b>{value:.2f} {escape(unit)}</b></div>'
        for name, value in values.items()
    )


def circle(valence: float, arousal: float) -> str:
    """The paper's Figure 1: valence to the right, arousal upwards, both from -1 to 1, and the point of the face.

    What lies outside is shown at the rim of the square, as far as the picture reaches.
    """
    x, y = (100 * max(-1.15, min(1.15, value)) for value in (valence, arousal))
    label = f"valence {valence:.2f}, arousal {arousal:.2f}"
    return (
        f'<svg viewBox="-130 -130 260 260" role="img" aria-label="{label}" fill="none" stroke="currentColor" '
        'font-size="12" font-family="sans-serif" text-anchor="middle"><circle r="100" stroke-width="1.5"/>'
        '<path d="M-118 0H118M0-118V118" stroke-opacity=".4"/>'
        '<g fill="currentColor" stroke="none"><text y="-120">excited</text><text y="128">calm</text>'
        '<text x="-94" y="-6" text-anchor="start">negative</text>'
        '<text x="94" y="-6" text-anchor="end">positive</text></g>'
        f'<circle cx="{x:.1f}" cy="{-y:.1f}" r="7" fill="#4f7df3" stroke="white" stroke-width="2"/></svg>'
    )
