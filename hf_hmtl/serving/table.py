"""The table of all faces: its columns, and how it is written so that no row is ever lost or there twice.

Rows go into parts beside the table, each whole or absent, with the place where the next one begins in the part itself.
Whoever is stopped goes on behind the last part; when all are there, they become the table.
"""

import csv
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_hmtl.files import replacing
from hf_hmtl.model.answers_hmtl import CLASSES, NUMBERS, Answer
from hf_hmtl.parquet import read_table, told
from hf_hmtl.parsing import json_of, read_json

logger = logging.getLogger(__name__)

FORMATS = (".parquet", ".csv", ".jsonl")
_STATE = b"hf_hmtl"
_PLAN = "plan.json"
_BOX = ("xmin", "ymin", "xmax", "ymax")
_OF_A_FACE: dict[str, pa.DataType] = {
    "file": pa.string(), "frame": pa.int64(), "seconds": pa.float64(), "face": pa.int64(), "track": pa.int64(),
    **dict.fromkeys(_BOX, pa.float64()), "score": pa.float64(),
}  # fmt: skip


class Columns:
    """The columns of the table; README documents them.

    Args:
        answers: how the heads are read.
        note: what the weights learned from, where that has to be said in every row.

    Attributes:
        schema: their names and types.

    Raises:
        ValueError: two of them would have one name, by the longer names too.
    """

    def __init__(self, answers: Sequence[Answer], note: str | None):
        self._answers = answers
        self._shares = _names_of_shares(answers)
        columns = list(_OF_A_FACE.items())
        for answer in answers:
            if answer.kind == NUMBERS:
                columns += [(name, pa.float64()) for name in answer.keys]
            else:
                columns += [(answer.key, pa.string())] if answer.kind == CLASSES else []
                columns += [(self._shares[part], pa.float64()) for part in _parts_of(answer)]
        columns += [("error", pa.string()), *([("note", pa.string())] if note else [])]
        (name, count), *_ = Counter(name for name, _ in columns).most_common(1)
        if count > 1:
            raise ValueError(
                f"the table would have {count} columns {name!r}. Ask for fewer heads with --heads; this model has "
                f"{', '.join(answer.head for answer in answers)}"
            )
        self.schema = pa.schema(columns)

    def row(self, entry: dict, place: dict) -> dict[str, Any]:
        """The row of an entry of `FaceAnalysisPipeline`.

        Args:
            entry: of one face, or {} or {"error": ...} of a picture without one.
            place: file, frame, seconds, face and track.
        """
        flat = place | entry.get("box", {})
        flat |= {name: entry[name] for name in ("score", "error", "note") if name in entry}
        for answer in self._answers:
            if answer.kind == NUMBERS:
                flat |= {name: entry[name] for name in answer.keys if name in entry}
            elif said := entry.get(answer.key):
                shares = said
                if answer.kind == CLASSES:
                    flat |= {answer.key: said["label"], self._shares[answer.key, None]: said["score"]}
                    shares = said["scores"]
                flat |= {self._shares[answer.key, label]: share for label, share in shares.items()}
        return flat


_Part = tuple[str, str | None]  # key of a head, and one of its labels; None for the probability of its answer


def _parts_of(answer: Answer) -> list[_Part]:
    of_the_answer: list[_Part] = [(answer.key, None)] if answer.kind == CLASSES else []
    return [*of_the_answer, *((answer.key, label) for label in answer.keys)]


def _names_of_shares(answers: Sequence[Answer]) -> dict[_Part, str]:
    """{probability: its column}: HEAD_score and HEAD_CLASS, and where another column is called so, longer ones."""
    parts = [part for answer in answers if answer.kind != NUMBERS for part in _parts_of(answer)]
    short = {(key, label): f"{key}_{'score' if label is None else label}" for key, label in parts}
    taken = Counter([*_OF_A_FACE, "error", "note", *short.values()])
    for answer in answers:
        taken.update(answer.keys if answer.kind == NUMBERS else [answer.key])
    return {
        (key, label): name
        if taken[name] == 1
        else f"{key}_{'answer_score' if label is None else f'probability_{label}'}"
        for (key, label), name in short.items()
    }


class Parts:
    """The parts of a table that is being made, in a folder beside it.

    Args:
        output: the table; its suffix says its format.
        plan: all that decides what stands in it, as JSON has it.
        columns: its schema.
        overwrite: whether an earlier table or the beginning of another one may be lost.

    Raises:
        FileExistsError: there is a table already, and it may not be lost.
        OSError: the folder cannot be written to.
        ValueError: another format; or the beginning of another table is there, or one that cannot be read.
    """

    def __init__(self, output: Path, plan: dict, columns: pa.Schema, overwrite: bool = False):
        if output.suffix not in FORMATS:
            raise ValueError(f"--output {output}: a table ends in {', '.join(FORMATS)}")
        self.output, self.columns = output, columns
        self.folder = output.with_name(f"{output.name}.parts")
        if output.exists() and not overwrite:
            raise FileExistsError(f"{output} exists already; give another --output, or --overwrite")
        if flaw := self._flaw(plan):
            if not overwrite:
                raise ValueError(f"{self.folder} {flaw}. To begin anew give --overwrite, to keep it another --output")
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / _PLAN) as temporary:
            temporary.write_text(json.dumps(plan) + "\n", encoding="utf-8")
        self._remove_damaged()

    def _flaw(self, plan: dict) -> str | None:
        """Why what is in the folder is not the beginning of this table; None where it is, or nothing is there."""
        path = self.folder / _PLAN
        if not path.is_file():
            return f"holds parts of a table and no {_PLAN}" if self.files() else None
        try:
            before = read_json(path)
        except ValueError as error:
            return f"holds the beginning of a table that cannot be known: {error}"
        if before == plan:
            return None
        names = [key for key in plan if not isinstance(before, dict) or before.get(key) != plan[key]]
        return f"holds the beginning of another table ({names[0] if names else 'its plan'} differs)"

    def _remove_damaged(self) -> None:
        """Where a part is missing or damaged, it and all behind it are made again: each begins where the last ended."""
        files = self.files()
        for number, path in enumerate(files):
            try:
                if path != self._part(number):
                    raise ValueError(f"{self._part(number)} is missing")
                if read_table(path).schema.names != self.columns.names:
                    raise ValueError(f"{path} has other columns")
                self._state_of(path)
            except ValueError as error:
                logger.warning("%s; this part and the %d behind it are made again", error, len(files) - number - 1)
                for each in files[number:]:
                    each.unlink()
                return

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:08d}.parquet"

    def _state_of(self, path: Path) -> dict:
        with told(path):
            kept = pq.read_schema(path).metadata or {}
        state = json_of(kept.get(_STATE, b"null"), path)
        if not isinstance(state, dict):
            raise ValueError(f"{path} does not say where the next part begins")
        return state

    def files(self) -> list[Path]:
        """The parts that are there, in order."""
        return sorted(self.folder.glob("part-*.parquet"))

    def state(self) -> dict | None:
        """What the last part says about how to go on; None where there is none."""
        files = self.files()
        return self._state_of(files[-1]) if files else None

    def add(self, rows: list[dict], state: dict) -> None:
        """Write a part: rows, and how to go on behind them."""
        described = self.columns.with_metadata({_STATE: json.dumps(state).encode()})
        with replacing(self._part(len(self.files()))) as temporary:
            pq.write_table(pa.Table.from_pylist(rows, described), temporary)

    def rows(self) -> Iterator[dict]:
        """All rows so far, part after part."""
        for path in self.files():
            yield from pq.read_table(path).to_pylist()

    def finish(self) -> None:
        """Make the table of the parts, and remove them."""
        with replacing(self.output) as temporary:
            if self.output.suffix == ".parquet":
                with pq.ParquetWriter(temporary, self.columns) as writer:
                    for path in self.files():
                        writer.write_table(pq.read_table(path).replace_schema_metadata(None))
            else:
                with open(temporary, "w", encoding="utf-8", newline="") as file:
                    self._write_text(file)
        self.discard()

    def discard(self) -> None:
        """Remove the parts."""
        shutil.rmtree(self.folder)

    def _write_text(self, file) -> None:
        if self.output.suffix == ".jsonl":
            for each in self.rows():
                file.write(json.dumps(each, ensure_ascii=False) + "\n")
            return
        writer = csv.DictWriter(file, self.columns.names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
