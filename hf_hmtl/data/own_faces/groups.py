"""Who a row is of: what a split must not tear apart, usually a person."""

import re
from collections.abc import Sequence

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.identity import FILE, GROUP, PICTURE, RESERVED
from hf_hmtl.data.own_faces.text_tables import NO_VALUE
from hf_hmtl.data.own_faces.tree import shortened
from hf_hmtl.data.sources import did_you_mean

GROUP_COLUMNS = (
    GROUP, "subject", "subject_id", "subjectid", "person", "person_id", "personid", "group", "group_id",
)  # fmt: skip
_OFFERED = re.compile(r"(^|_)(id|user|identity|actor|patient|participant|speaker|name|video|clip|sequence)($|_)")
_MOST_DISTINCT = 0.9


class Grouping:
    """The groups of all splits, and what a reader should know of them.

    Args:
        column: of the groups; None takes one of `GROUP_COLUMNS`.
        pattern: a regular expression searched for in the path of each file; its first group in brackets, or the whole
            match, is the group.

    Raises:
        ValueError: both are given, or the pattern is no regular expression.
    """

    def __init__(self, column: str | None = None, pattern: str | None = None):
        if column is not None and pattern is not None:
            raise ValueError("custom: give --group_column or --group_pattern, not both")
        self.column, self.pattern = column, None
        if pattern is not None:
            try:
                self.pattern = re.compile(pattern)
            except re.error as error:
                raise ValueError(f"custom: --group_pattern {pattern!r} is no regular expression: {error}") from error
        self.notes: list[str] = []

    def of(
        self, tables: dict[str, datasets.Dataset], files: dict[str, list[str] | None], labels: Sequence[str]
    ) -> dict[str, pa.Array | None]:
        """The group of every row by split, null where a row has none; None where no groups are known.

        Rows of one photograph are one group, where it is not known who they are of.

        Args:
            tables: the rows with the user's own columns.
            files: the path of every row's image, None where images are not files.
            labels: columns of labels, which are no groups.

        Raises:
            ValueError: the column is absent or different in nearly every row, or the pattern fits no path.
        """
        persons, photographs = self._persons(tables, files, labels), _photographs(tables, files)
        if photographs is not None:
            self._note_photographs(photographs, persons)
        if persons is None:
            return photographs or dict.fromkeys(tables)
        groups = persons
        if photographs is not None:
            groups = {split: pc.coalesce(values, photographs[split]) for split, values in persons.items()}
        if alone := sum(values.null_count for values in groups.values()):
            self.notes.append(f"{alone:,} rows belong to no group: each of them is one")
        return groups

    def _persons(
        self, tables: dict[str, datasets.Dataset], files: dict[str, list[str] | None], labels: Sequence[str]
    ) -> dict[str, pa.Array] | None:
        if self.pattern is not None:
            return self._by_pattern(tables, files)
        for column in self._columns(tables, labels):
            groups = {split: _texts(table, column) for split, table in tables.items()}
            if self._usable(groups, f"column {column!r}", column == self.column):
                self._note_groups(groups, f"column {column!r}", column == GROUP)
                return groups
        self._note_unknown(tables, labels)
        return None

    def _by_pattern(
        self, tables: dict[str, datasets.Dataset], files: dict[str, list[str] | None]
    ) -> dict[str, pa.Array]:
        known = {split: _paths(table, files[split]).to_pylist() for split, table in tables.items()}
        if not any(path for paths in known.values() for path in paths):
            raise ValueError(
                f"custom: --group_pattern reads the paths of image files, and these images are no files, nor does a "
                f"column {FILE} say which they were. Type --group_column NAME"
            )
        found = {split: [self._match(path or "") for path in paths] for split, paths in known.items()}
        if all(group is None for groups in found.values() for group in groups):
            example = next(path for paths in known.values() for path in paths if path)
            raise ValueError(f"custom: --group_pattern {self.pattern.pattern!r} fits no path; the first is {example!r}")
        groups = {split: pa.array(values, pa.string()) for split, values in found.items()}
        self._usable(groups, f"pattern '{self.pattern.pattern}'", True)
        self._note_groups(groups, f"pattern '{self.pattern.pattern}'")
        return groups

    def _match(self, path: str) -> str | None:
        match = self.pattern.search(path)
        return None if match is None else match.group(1 if match.re.groups else 0) or None

    def _columns(self, tables: dict[str, datasets.Dataset], labels: Sequence[str]) -> list[str]:
        """The column that was named, or those of training that may tell persons; other splits may lack these."""
        if self.column is not None:
            for split, table in tables.items():
                if self.column not in table.column_names:
                    raise ValueError(
                        f"custom: the {split} split has no column {self.column!r}."
                        f"{did_you_mean(self.column, table.column_names)} Its columns are "
                        f"{', '.join(table.column_names)}; type --group_column NAME"
                    )
            return [self.column]
        plain = {_plain(name): name for name in tables["train"].column_names if name not in labels}
        return [plain[name] for name in GROUP_COLUMNS if name in plain]

    def _usable(self, groups: dict[str, pa.Array], what: str, asked_for: bool) -> bool:
        """Whether these are groups: what is different in nearly every row tells rows.

        Raises:
            ValueError: they are none, and were asked for.
        """
        everything = pa.concat_arrays(list(groups.values())).drop_null()
        distinct = len(pc.unique(everything))
        if distinct == 0:
            told = f"the {what} is empty in every row"
        elif distinct > max(_MOST_DISTINCT * len(everything), 1):
            told = f"the {what} has {distinct:,} values in {len(everything):,} rows: it tells rows, not persons"
        else:
            return True
        if asked_for:
            option = "--group_pattern" if self.pattern else "--group_column"
            raise ValueError(f"custom: {told}; choose another {option}, or leave it out")
        self.notes.append(f"{told}: it was not taken for groups")
        return False

    def _note_groups(self, groups: dict[str, pa.Array], what: str, reserved: bool = False) -> None:
        """Say how many there are, and which of them may be no persons or twice the same."""
        names = pc.unique(pa.concat_arrays(list(groups.values()))).drop_null().to_pylist()
        if not reserved:
            self.notes.append(f"{len(names):,} groups by the {what}")
        if words := [name for name in names if name.lower() in (*NO_VALUE, "unknown")]:
            shown = ", ".join(map(repr, words))
            self.notes.append(f"{what}: {shown} is a group like any other; only an empty cell is a person nobody knows")
        written: dict[str, list[str]] = {}
        for name in names:
            written.setdefault(name.casefold(), []).append(name)
        if twice := [" and ".join(map(repr, forms)) for forms in written.values() if len(forms) > 1]:
            self.notes.append(f"{what}: {shortened(twice)} differ in case alone and are groups of their own")

    def _note_photographs(self, photographs: dict[str, pa.Array], persons: dict[str, pa.Array] | None) -> None:
        """Say that photographs are groups, where they are those of any row."""
        every = pa.concat_arrays(list(photographs.values()))
        if persons is not None:
            every = every.filter(pc.is_null(pa.concat_arrays(list(persons.values()))))
        counted = pc.value_counts(every.drop_null()).flatten()[1]
        if several := pc.sum(pc.greater(counted, 1)).as_py():
            which = "1 photograph has" if several == 1 else f"{several:,} photographs have"
            self.notes.append(f"{which} several rows, which stay in one split")

    def _note_unknown(self, tables: dict[str, datasets.Dataset], labels: Sequence[str]) -> None:
        names = [name for name in tables["train"].column_names if name not in ("image", *RESERVED, *labels)]
        offered = [name for name in names if _OFFERED.search(_plain(name))]
        column = f" --group_column NAME ({shortened(offered)}?)" if offered else " --group_column NAME"
        self.notes.append(
            f"no groups are known, so one person may be on both sides of a split; type{column} or --group_pattern "
            "'S(\\d+)_', which is searched for in the paths"
        )


def _paths(table: datasets.Dataset, files: list[str] | None) -> pa.Array:
    """The path of each row's image, or of the one that it was made of where it is no file; null where nobody knows."""
    if files is not None:
        return pa.array(files, pa.string())
    known = FILE in table.column_names
    return column_array(table, FILE).cast(pa.string()) if known else pa.nulls(len(table), pa.string())


def _photographs(tables: dict[str, datasets.Dataset], files: dict[str, list[str] | None]) -> dict[str, pa.Array] | None:
    """The photograph that each row is of, null where it is not known; None where no two rows of a split are of one."""
    found = {}
    for split, table in tables.items():
        if PICTURE in table.column_names:
            found[split] = column_array(table, PICTURE).cast(pa.string())
        else:
            found[split] = _paths(table, files[split])
    known = [values.drop_null() for values in found.values()]
    return found if any(len(pc.unique(values)) < len(values) for values in known) else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", name.lower())


def _texts(table: datasets.Dataset, column: str) -> pa.Array:
    """The text of every row, null where there is none or nothing in it, or where the rows have no such column."""
    if column not in table.column_names:
        return pa.nulls(len(table), pa.string())
    feature = table.features[column]
    values = column_array(table, column)
    if not isinstance(feature, datasets.ClassLabel | datasets.Value):
        raise ValueError(f"custom: column {column!r} is {feature}; groups are text or numbers")
    if isinstance(feature, datasets.ClassLabel):
        unknown = pc.or_(pc.less(values, 0), pc.greater_equal(values, len(feature.names)))
        return pa.array(feature.names, pa.string()).take(pc.if_else(unknown, pa.scalar(None, values.type), values))
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    texts = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
