"""A table of text, as spreadsheets and people write it -> columns: encoding and delimiter are found, never guessed in
silence."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from hf_hmtl.parsing import json_of

DELIMITERS = (",", ";", "\t", "|")
NO_VALUE = frozenset(("na", "n/a", "nan", "null", "none", "nil", "#n/a", "-", "?"))
"""What stands for a missing number, in small letters; in a column of text it is text."""
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NUMBER = r"^[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?$"
_HEAD = 50  # lines that the delimiter is found by
_LONGEST_LINE = 100_000  # characters of these lines; the module csv reads cells of up to 131,072
_LONGEST_NAME = 200  # characters of a column's name


@dataclass
class TextTable:
    """A table with the types of its columns.

    Attributes:
        table: text, whole numbers or numbers, and of JSON truth values; empty cells are null.
        notes: what a reader should know of how it was read.
    """

    table: pa.Table
    notes: list[str] = field(default_factory=list)


def read_text_table(path: Path, encoding: str | None = None) -> TextTable:
    """Read a CSV, TSV, text or JSON file.

    The delimiter is the comma, semicolon, tab or bar that divides all lines alike. Columns whose cells all are numbers
    are numbers; dates, and numbers with leading zeros, stay text. Only an empty cell is missing in a column of text; in
    one of numbers also NA, nan, null and the like, with a note.

    Args:
        encoding: how the file is encoded; None takes UTF-8, UTF-16 with a mark, or else Windows-1252 with a note.

    Raises:
        ValueError: the file is empty, or does not hold a table; the message says line and content.
    """
    content = path.read_bytes()
    text, notes = _text(content, path, encoding)
    if not text.strip("\ufeff\0 \t\r\n"):
        raise ValueError(f"custom: {path} is empty; needed are a header and one row an image")
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        columns = _json_columns(text, path)
    else:
        columns, found = _csv_columns(text, path)
        notes += found
    typed = {name: _typed(column, name) for name, column in columns.items()}
    notes += [f"{path.name}: {note}" for _, note in typed.values() if note]
    return TextTable(pa.table({name: column for name, (column, _) in typed.items()}), notes)


def _text(content: bytes, path: Path, encoding: str | None) -> tuple[str, list[str]]:
    if encoding is None:
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content[:200]:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        return content.decode(encoding or "utf-8"), []
    except LookupError as error:
        raise ValueError(f"custom: {path}: {error}; name an encoding of Python, such as cp1251 or shift_jis") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        seen = content[max(error.start - 10, 0) : error.start + 10]
        where = f"{path}, line {line}: the bytes {seen!r} are no {encoding or 'UTF-8'}"
        if encoding is not None:
            raise ValueError(f"custom: {where}. Type --set source.encoding=NAME, as in cp1251 or shift_jis") from error
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"custom: {where}, and no Windows-1252 either. Save the file as UTF-8, or type --set source.encoding=NAME, "
            "as in cp1251 or shift_jis"
        ) from error
    word = next(iter(re.findall(r"\w*[^\x00-\x7f]+\w*", text)), "")
    return text, [f"{path.name} is not UTF-8 and was read as Windows-1252 ({word!r}); --set source.encoding=NAME else"]


def _csv_columns(text: str, path: Path) -> tuple[dict[str, pa.Array], list[str]]:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    head, notes = text.split("\n", _HEAD)[:_HEAD], []
    for number, line in enumerate(head, 1):
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"custom: {path}, line {number} has {len(line):,} characters, and is no row of a table")
    delimiter = _delimiter([line for line in head if line.strip()], path)
    rows = list(csv.reader(head[:3], delimiter=delimiter))
    skipped = _lines_before_the_header(rows)
    if skipped:
        notes.append(f"{path.name}: line 1 ({head[0][:40]!r}) is no header and was passed over")
    header = [cell.strip() for cell in rows[skipped]]
    names = [name or f"column_{place}" for place, name in enumerate(header, start=1)]
    _check_names(names, path)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"custom: {path}: the header names {', '.join(map(repr, twice))} twice; rename one")
    wrong: list = []

    def note_wrong(row) -> str:
        wrong.append(row)
        return "skip"

    table = pa.table({name: pa.array([], pa.string()) for name in names})
    if "\n" in text.strip("\n"):
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text.encode()),
            read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=skipped + 1, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note_wrong
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    if wrong:
        row, others = wrong[0], len(wrong) - 1
        more = f", and {others} more such line{'s' * (others > 1)}" * (others > 0)
        raise ValueError(
            f"custom: {path}, line {row.number}: {row.actual_columns} cells where the header has {row.expected_columns}"
            f" ({row.text[:60]!r}){more}. Put cells that hold a {delimiter!r} into "
            '"quotes"'
        )
    columns = {name: table[name].combine_chunks() for name in names}
    unnamed = [name for name, cell in zip(names, header, strict=True) if not cell]
    for name in unnamed:
        if pc.all(pc.equal(pc.utf8_trim_whitespace(columns[name]), "")).as_py():
            del columns[name]  # what a spreadsheet leaves at the end of every line
    if delimiter == ";":  # where the comma is the decimal mark
        columns = {name: _with_points(column) for name, column in columns.items()}
    return columns, notes


def _check_names(names: Iterable[str], path: Path) -> None:
    longest = max(names, key=len, default="")
    if len(longest) > _LONGEST_NAME:
        raise ValueError(
            f"custom: {path}: a column is called {longest[:40]!r}... ({len(longest):,} characters); is there a header?"
        )


def _with_points(column: pa.Array) -> pa.Array:
    present = column.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(column)), 0))
    numbers = pc.all(pc.match_substring_regex(present, r"^\s*[+-]?\d*,?\d+\s*$")).as_py()
    return pc.replace_substring(column, ",", ".") if len(present) and numbers else column


def _delimiter(lines: list[str], path: Path) -> str:
    """The delimiter by which every line has as many cells as the most usual one, two or more.

    Where several do, such as the semicolons and the decimal commas of a spreadsheet, the header must have as many too.
    """
    even: dict[str, tuple[bool, int]] = {}
    seen = {}
    header = next((line for line in lines if re.search(r"[,;\t|]", line)), "")  # a title may stand before it
    for delimiter in DELIMITERS:
        widths = Counter(len(cells) for cells in csv.reader(lines, delimiter=delimiter))
        width, count = widths.most_common(1)[0]
        seen[delimiter] = width
        if width > 1 and count >= 0.8 * len(lines):
            even[delimiter] = len(next(csv.reader([header], delimiter=delimiter))) == width, width
    if even:
        return max(even, key=even.__getitem__)
    if all(len(re.split(r"[,;\t|]", line)) == 1 for line in lines):
        return ","  # one column
    raise ValueError(
        f"custom: {path}: no delimiter divides its lines alike; looked for were comma, semicolon, tab and bar. Line 1 "
        f"is {lines[0][:60]!r}, line 2 {(lines[1:2] or [''])[0][:60]!r}"
    )


def _lines_before_the_header(rows: list[list[str]]) -> int:
    """1 where the first line is a title: it fills one cell, and the next fills several."""
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows[:2]]
    return int(len(filled) == 2 and filled[0] == 1 < filled[1])


def _json_columns(text: str, path: Path) -> dict[str, pa.Array]:
    """{column: cells} of a list of objects, of an object of columns, or of one object a line."""
    first = text.lstrip()[:1]
    try:
        if first == "[" or path.suffix.lower() == ".json":
            content = json_of(text, f"custom: {path}")
        else:
            lines = enumerate(text.splitlines(), 1)
            content = [json_of(line, f"custom: {path}, line {number},") for number, line in lines if line.strip()]
    except ValueError:
        if first == "{" and path.suffix.lower() == ".json" and "\n" in text.strip():
            return _json_columns(text, path.with_suffix(".jsonl"))  # lines of objects under the other name
        raise
    if isinstance(content, dict) and content and all(isinstance(cells, list) for cells in content.values()):
        if len({len(cells) for cells in content.values()}) > 1:
            raise ValueError(f"custom: {path}: its columns have different lengths")
        content = [dict(zip(content, cells, strict=True)) for cells in zip(*content.values(), strict=True)]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise ValueError(
            f"custom: {path} is no table: needed is a list of objects, one object a line, or an object of columns"
        )
    names = dict.fromkeys(name for row in content for name in row)
    _check_names(names, path)
    return {name: _json_column([row.get(name) for row in content]) for name in names}


def _json_column(cells: list) -> pa.Array:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {bool} or kinds <= {int, float}:
        whole = float not in kinds and all(cell is None or -(2**63) <= cell < 2**63 for cell in cells)
        return pa.array(cells, pa.bool_() if kinds == {bool} else pa.int64() if whole else pa.float64())
    texts = [cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in cells]
    return pa.array(texts, pa.string())


def _typed(column: pa.Array, name: str) -> tuple[pa.Array, str | None]:
    """The column with its own type, and a note where cells of text count as missing numbers."""
    if not pa.types.is_string(column.type):
        return column, None
    column = pc.utf8_trim_whitespace(column)
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    present = pc.unique(column.drop_null())
    absent = pc.is_in(pc.utf8_lower(present), value_set=pa.array(sorted(NO_VALUE)))
    numbers = present.filter(pc.invert(absent))
    readable = pc.and_(pc.match_substring_regex(numbers, _NUMBER), pc.match_substring_regex(numbers, r"\d"))
    if len(numbers) == 0 or not pc.all(readable).as_py():
        return column, None
    cells = pc.is_in(pc.utf8_lower(column), value_set=pa.array(sorted(NO_VALUE)))
    missing = pc.sum(cells).as_py() or 0
    column = pc.if_else(cells, pa.scalar(None, pa.string()), column) if missing else column
    note = f"{missing} cells of {name!r} ({', '.join(present.filter(absent).to_pylist())}) are missing numbers"
    whole = pc.all(pc.match_substring_regex(numbers, r"^[+-]?\d{1,18}$")).as_py()
    return pc.cast(column, pa.int64() if whole else pa.float64()), note if missing else None
