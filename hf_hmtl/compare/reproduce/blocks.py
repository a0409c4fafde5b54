"""A page as a list of blocks, written as Markdown or as one HTML file with its pictures inside."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_hmtl.compare.table import markdown
from hf_hmtl.results.card import escape

_STYLE = """\
body { font: 16px/1.5 sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { border-bottom: 1px solid #ccc; padding: 0.25rem 0.6rem; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; }
td.number, td code { white-space: nowrap; }
div.table { overflow-x: auto; }
img { max-width: 100%; }
code { font-size: 0.8rem; }"""


@dataclass(frozen=True)
class Heading:
    """A heading of level 1, 2, ..."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain text, and behind it what is typed."""

    text: str
    code: str = ""


@dataclass(frozen=True)
class Table:
    """A header and rows of plain text; the columns named in `texts` are text, the others numbers, `code` is typed."""

    rows: Sequence[Sequence[str]]
    texts: tuple[str, ...] = ()
    code: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture: what it shows, where its file is linked, and where it lies now."""

    title: str
    link: str
    path: Path


Block = Heading | Paragraph | Table | Picture


def to_markdown(blocks: Sequence[Block]) -> str:
    """The page in Markdown."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {escape(text)}"
        case Paragraph(text, code):
            return escape(text) + f" `{code}`" * bool(code)
        case Picture(title, link, _):
            return f"![{escape(title)}]({link})"
    code = None if block.code is None else block.rows[0].index(block.code)
    rows = [
        [f"`{cell}`" if place == code and number and cell else escape(cell) for place, cell in enumerate(row)]
        for number, row in enumerate(block.rows)
    ]
    return markdown([[cell.replace("\\|", "|") for cell in row] for row in rows], left=_leading_texts(block))


def _leading_texts(block: Table) -> int:
    header = block.rows[0]
    return next((place for place, name in enumerate(header) if name not in block.texts), len(header))


def to_html(blocks: Sequence[Block], title: str) -> str:
    """The page as one HTML file; a picture that does not lie anywhere is left out."""
    body = "\n".join(filter(None, map(_html, blocks)))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text, code):
            return f"<p>{html.escape(text)}{f' <code>{html.escape(code)}</code>' * bool(code)}</p>"
        case Picture(title, _, path):
            if not path.is_file():
                return ""
            pixels = base64.b64encode(path.read_bytes()).decode()
            return f'<p><img alt="{html.escape(title)}" src="data:image/png;base64,{pixels}"></p>'
    header, *rows = block.rows
    lines = [_html_row(header, header, block, "th"), *(_html_row(row, header, block, "td") for row in rows)]
    return '<div class="table">\n<table>\n' + "\n".join(lines) + "\n</table>\n</div>"


def _html_row(row: Sequence[str], header: Sequence[str], block: Table, tag: str) -> str:
    cells = []
    for name, cell in zip(header, row, strict=True):
        text = html.escape(cell)
        text = f"<code>{text}</code>" if name == block.code and tag == "td" and cell else text
        cells.append(f"<{tag}>{text}</{tag}>" if name in block.texts else f'<{tag} class="number">{text}</{tag}>')
    return f"<tr>{''.join(cells)}</tr>"
