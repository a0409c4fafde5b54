"""One pass over a data set of photographs that leaves a data set of faces, whole or not at all.

The faces are gathered in `OUT.unfinished/`, a file for every few hundred pictures, and the folder gets its name when
the last one stands. A pass that was stopped goes on with the files that are there; it refuses to go on with other
options or other pictures.
"""

import hashlib
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from hf_hmtl.data.faces import shards as writing
from hf_hmtl.data.faces.given import GivenFaces
from hf_hmtl.data.faces.record import EMPTIED, RECORD, record_of, write_record
from hf_hmtl.data.faces.shards import Method, Shard, facts_of, stream_of, write_shards
from hf_hmtl.data.identity import (
    CLIP,
    FEATURES,
    FILE,
    GROUP,
    ID,
    PICTURE,
    RESERVED,
    identity,
    numbered,
    readable,
)  # fmt: skip
from hf_hmtl.data.ledger import Ledger, Reason, lines_of
from hf_hmtl.data.own_faces.groups import Grouping
from hf_hmtl.data.own_faces.images import files_of
from hf_hmtl.data.own_faces.reading import Reading, image_folder
from hf_hmtl.data.own_faces.tables import with_every_column
from hf_hmtl.data.sources import SPLITS
from hf_hmtl.data.sources._building import in_memory
from hf_hmtl.data.splits import fingerprint
from hf_hmtl.locks import sole_writer
from hf_hmtl.parquet import read_table

ROWS_A_SHARD = 500
_MOST_CLASSES = 100
_REMNANTS = ".*.tmp"  # of a process that was killed while it wrote
REASONS = {
    writing.BROKEN: Reason(writing.BROKEN, "images that cannot be read"),
    writing.NO_FACE: Reason(writing.NO_FACE, "pictures in which no face was found"),
    writing.NO_GIVEN_FACE: Reason(writing.NO_GIVEN_FACE, "pictures that the table of boxes gives no face"),
}


@dataclass(frozen=True)
class Prepared:
    """What a pass has left.

    Attributes:
        folder: where.
        faces: {split: faces}.
        pictures: {split: pictures that were looked at}.
        left_out: what is not used, by split and reason, as `Ledger.to_dict` gives it.
        notes: what was found and decided.
        columns: of the faces.
    """

    folder: Path
    faces: dict[str, int]
    pictures: dict[str, int]
    left_out: dict[str, dict[str, dict]]
    notes: tuple[str, ...]
    columns: tuple[str, ...]

    def describe(self) -> str:
        """For people to read."""
        lines = [f"{self.folder}: {sum(self.faces.values()):,} faces"]
        looked_at = "frames" if CLIP in self.columns else "pictures"
        lines += [
            f"  {split}: {count:,} faces of {self.pictures[split]:,} {looked_at}" for split, count in self.faces.items()
        ]
        lines += [f"  left out, {line}" for line in lines_of(self.left_out)]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def next_command(self) -> str:
        """What to type next."""
        folder = shlex.quote(str(self.folder))
        if CLIP in self.columns:
            return f"hf-hmtl train custom-clips/affect --data_dir {folder} --set source.labels=LABELS.csv"
        known = ("image", *RESERVED, PICTURE, *writing.OF_FACES)
        labels = [column for column in self.columns if column not in known]
        if not labels:
            return f"hf-hmtl train custom/pretrain-puzzle-3x3 --data_dir {folder}"
        command = f"hf-hmtl train custom/supervised --data_dir {folder}"
        if "label" in labels:
            return command
        if len(labels) == 1:
            return f"{command} --label_column {shlex.quote(labels[0])}"
        return f"{command} --label_column NAME   (NAME is one of {', '.join(labels)})"


@dataclass
class _Photographs:
    """The pictures of each split with their columns, and what was found on the way to them."""

    splits: datasets.DatasetDict
    ledger: Ledger
    notes: list[str] = field(default_factory=list)


def prepare(
    place: str | Path,
    out: str | Path,
    method: Method | None = None,
    reading: Reading | None = None,
    boxes: str | Path | None = None,
    group_pattern: str | None = None,
    processes: int = 1,
    rows_a_shard: int = ROWS_A_SHARD,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Find the faces of a data set, cut them out and write them as parquet files with all columns of their pictures.

    Args:
        place: what the source `custom` reads, labelled or not, or a folder of photographs.
        out: the folder to write; it must not exist, unless it was finished with the same options.
        method: how faces are found and cut out.
        reading: how the pictures are read.
        boxes: table of faces that were found elsewhere, see `data.faces.given`; the detector is not asked then.
        group_pattern: finds in the path of a file who it is of; the paths are gone from what is written.
        processes: that share the work; the result is the same with any number.
        rows_a_shard: pictures of a file.
        progress: called with the number of pictures that are done, and of all.

    Raises:
        FileExistsError: `out` exists, or an unfinished pass with other options.
        BlockingIOError: another process is writing it.
        OSError, ValueError: pictures, table or weights cannot be used; no face is found.
    """
    method, reading = method or Method(), reading or Reading()
    out, place = Path(os.path.abspath(Path(out).expanduser())), Path(place).expanduser()
    check_places(place, out, method, processes)
    given = None if boxes is None else GivenFaces(Path(boxes).expanduser())
    if given is None:
        method.detector()  # raises here and not in every process
    elif method.cutting.align:
        given.require_eyes()
    found = _read(place.resolve(), reading, group_pattern)
    if method.which == writing.ALL:
        found.splits = datasets.DatasetDict({split: _with_pictures(data) for split, data in found.splits.items()})
    faces = _given_faces(given, found.splits) if given else {}
    plan = _plan(found, method, boxes, rows_a_shard)
    with sole_writer(out, lock_of(out)):
        if out.exists():
            return earlier(out, plan)
        unfinished = begun(out, plan)
        total, done = sum(map(len, found.splits.values())), 0
        todo = []
        for shard in _shards(found.splits, unfinished, rows_a_shard):
            if shard[0].is_file():
                done += facts_of(shard[0])[1]
            else:
                todo.append(shard)
        progress(done, total)
        for count in write_shards(_loaded(todo, found.splits, faces), method, given is None, processes):
            done += count
            progress(done, total)
        return _finish(out, unfinished, found, plan, [] if given is None else given.notes())


def check_places(place: Path, out: Path, method: Method, processes: int) -> None:
    """Raise before a pass that could not end well.

    Raises:
        FileNotFoundError, ValueError: an option is not allowed, there is nothing to read, or `out` lies in it.
    """
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise ValueError(f"num_proc is the number of processes, 1 or more, got {processes!r}")
    if method.which not in writing.WHICH:
        raise ValueError(f"faces is {method.which!r}, allowed are {' and '.join(writing.WHICH)}")
    if not place.exists():
        raise FileNotFoundError(f"prepare: there is no folder or table {place}")
    if place.resolve() in out.parents:
        raise ValueError(
            f"prepare: {out} lies in {place}, whose pictures it would then be one of; choose another folder"
        )


def _read(place: Path, reading: Reading, group_pattern: str | None) -> _Photographs:
    """The pictures with all their columns, and who they are."""
    image_dir = image_folder(reading.image_dir, place.parent if place.is_file() else place)
    found, ledger = with_every_column(place, replace(reading, image_dir=image_dir))
    files = {split: files_of(table, found.folder) for split, table in found.tables.items()}
    grouping = Grouping(None, group_pattern)
    groups = grouping.of(found.tables, files, []) if group_pattern else dict.fromkeys(found.tables)
    notes = [f"layout: {found.layout}", *found.notes, *grouping.notes]
    splits = {
        split: _identified(table, split, place, files[split], groups[split])
        for split in SPLITS
        if (table := found.tables.get(split)) is not None and len(table)
    }
    return _Photographs(datasets.DatasetDict(splits), ledger, notes)


def _identified(table: datasets.Dataset, split: str, place: Path, files, groups) -> datasets.Dataset:
    """The rows with the reserved columns: those they have, and else by file or number."""
    name = place.stem if place.is_file() else place.name
    ids = table[ID][:] if ID in table.column_names else files
    who = identity(name, ids, files, groups) if ids is not None else numbered(name, split, len(table), groups)
    own = set(table.column_names) - ({ID} if groups is None else {ID, GROUP})
    kept = [column for column in table.column_names if column not in (*writing.OF_FACES, *RESERVED)]
    arrays = table.with_format("arrow")[:]
    features = datasets.Features({column: table.features[column] for column in kept})
    columns = {column: arrays[column] for column in kept}
    for column in RESERVED:
        if column in own or column != GROUP or groups is not None:
            features[column] = FEATURES[column]
            columns[column] = arrays[column] if column in own else who[column]
    return in_memory(pa.table(columns), features)


def _with_pictures(data: datasets.Dataset) -> datasets.Dataset:
    """The rows with what tells that faces are of one photograph, also where these are faces of photographs already."""
    if PICTURE in data.column_names:
        return data
    features = datasets.Features({**data.features, PICTURE: FEATURES[ID]})
    arrays = data.with_format("arrow")[:]
    return in_memory(arrays.append_column(PICTURE, pc.coalesce(arrays[FILE], arrays[ID])), features)


def _given_faces(given: GivenFaces, splits: datasets.DatasetDict) -> dict[str, list]:
    """The given faces of every picture of each split."""
    names = [name for data in splits.values() for name in zip(data[FILE][:], data[ID][:], strict=True)]
    faces = iter(given.match(names))
    return {split: list(islice(faces, len(data))) for split, data in splits.items()}


def _plan(found: _Photographs, method: Method, boxes: str | Path | None, rows_a_shard: int) -> dict[str, Any]:
    """What decides the result, as JSON."""
    columns = {PICTURE: True} if method.which == writing.ALL else {}
    return {
        **asdict(method.cutting),
        "faces": method.which,
        **columns,
        **finding(method, None if boxes is None else digest(boxes)),
        "rows_a_shard": rows_a_shard,
        "data": fingerprint(found.splits, (PICTURE,)),
    }


def finding(method: Method, boxes: str | None) -> dict[str, Any]:
    """What decides which faces are found: the digest of given boxes, or the options of the detector."""
    if boxes is not None:
        return {"boxes": boxes}
    return {
        "threshold": method.threshold,
        "largest_side": method.largest_side,
        "weights": digest(method.detector().weights),
    }


def digest(path: str | Path) -> str:
    """What tells whether a file is still the same."""
    return hashlib.blake2b(Path(path).expanduser().read_bytes(), digest_size=16).hexdigest()


def _differing(earlier: dict, plan: dict) -> str:
    words = {"data": "the pictures", PICTURE: f"the column {PICTURE}, which an earlier hf_hmtl did not write"}
    names = sorted(name for name in {*earlier, *plan} if earlier.get(name) != plan.get(name))
    if "faces" in names:
        names = [name for name in names if name != PICTURE]  # which only all faces have
    return ", ".join(words.get(name, f"--{name}") for name in names)


def earlier(out: Path, plan: dict) -> Prepared:
    """The finished folder that is there, where it is what was asked for."""
    if not (out / RECORD).is_file():
        raise FileExistsError(f"prepare: {out} exists; choose a folder that does not")
    record = record_of(out)
    if record["plan"] != plan:
        raise FileExistsError(
            f"prepare: {out} was prepared before and differs in {_differing(record['plan'], plan)}; choose another "
            "folder, or remove this one"
        )
    if absent := [name for name in ("faces", "pictures", "left_out", "notes", "columns") if name not in record]:
        raise ValueError(
            f"prepare: {out / RECORD} says nothing of {', '.join(absent)}; remove {out}, and prepare again"
        )
    notes = ("it was there already, and nothing was done", *record["notes"])
    return Prepared(out, record["faces"], record["pictures"], record["left_out"], notes, tuple(record["columns"]))


def lock_of(out: Path) -> Path:
    """The lock of a folder that is to be written; it lies beside it, because the folder comes last."""
    return out.with_name(f".{out.name}.lock")


def begun(out: Path, plan: dict) -> Path:
    """The folder of the unfinished pass, with its plan; one that was begun with the same plan goes on."""
    unfinished = out.with_name(f"{out.name}.unfinished")
    if (unfinished / RECORD).is_file():
        before = record_of(unfinished)["plan"]
        if before != plan:
            raise FileExistsError(
                f"prepare: {unfinished} was begun before and differs in {_differing(before, plan)}; remove it to "
                "begin anew, or type the same options to go on"
            )
        for remnant in unfinished.glob(_REMNANTS):
            remnant.unlink()
    elif unfinished.exists() and any(not path.match(_REMNANTS) for path in unfinished.iterdir()):
        raise FileExistsError(f"prepare: {unfinished} exists and is not of an unfinished pass; move it away")
    else:
        write_record(unfinished, {"plan": plan})
    return unfinished


def _shards(splits: datasets.DatasetDict, folder: Path, rows: int) -> Iterator[tuple[Path, str, int, int]]:
    """The file, split, first and last row of each shard."""
    for split, data in splits.items():
        count = -(-len(data) // rows)
        for number in range(count):
            path = folder / f"{split}-{number:05d}-of-{count:05d}.parquet"
            yield path, split, number * rows, min((number + 1) * rows, len(data))


def _loaded(todo: list, splits: datasets.DatasetDict, faces: dict[str, list]) -> Iterator[Shard]:
    for path, split, first, last in todo:
        data = splits[split]
        features = datasets.Features({**data.features, "image": datasets.Image(), **writing.FEATURES})
        given = faces[split][first:last] if faces else None
        yield Shard(path, stream_of(data.with_format("arrow")[first:last]), features, given)


def _without_faces(data: datasets.Dataset, files: list[Path]) -> list[str]:
    """Notes on classes of which no face is left, in columns of names or of few words."""
    notes = []
    for column, feature in data.features.items():
        if column in (*RESERVED, PICTURE) or not (
            isinstance(feature, datasets.ClassLabel) or getattr(feature, "dtype", None) in ("string", "bool")
        ):
            continue
        before = Counter(readable(data, column))
        if len(before) <= _MOST_CLASSES:
            kept = set(pa.concat_tables([read_table(path, [column]) for path in files])[column].to_pylist())
            if isinstance(feature, datasets.ClassLabel):
                kept = {feature.names[value] for value in kept if value is not None and value >= 0}
            notes += [
                f"{EMPTIED} {name!r} ({count:,} pictures) in the column {column!r}"
                for name, count in before.items()
                if name is not None and name not in kept
            ]
    return notes


def _finish(out: Path, unfinished: Path, found: _Photographs, plan: dict, told: list[str]) -> Prepared:
    """Count what stands in all shards, write it down, and give the folder its name."""
    ledger, notes = found.ledger, found.notes + told
    pictures = {split: len(data) for split, data in found.splits.items()}
    faces: dict[str, int] = {}
    names: dict[str, dict[str, list[str]]] = {}
    for split in found.splits:
        files = sorted(unfinished.glob(f"{split}-*.parquet"))
        facts = [facts_of(path) for path in files]
        for name, reason in REASONS.items():
            lost = [each for left_out, _, _ in facts for each, why in left_out if why == name]
            ledger.leave_out(split, reason, lost)
            if lost:
                names.setdefault(split, {})[name] = lost
        if count := sum(count for *_, count in facts):
            faces[split] = count
            notes += [f"{split}: {told}" for told in _without_faces(found.splits[split], files)]
        else:
            notes.append(f"{split} has no face, and is not written")
            for path in files:
                path.unlink()
    if not faces:
        shutil.rmtree(unfinished)
        raise ValueError(f"prepare: there is no face in any picture: {'; '.join(ledger.lines())}")
    columns = next(iter(found.splits.values())).column_names
    prepared = Prepared(out, faces, pictures, ledger.to_dict(), tuple(notes), (*columns, *writing.OF_FACES))
    record = {"faces": faces, "pictures": pictures, "left_out": prepared.left_out, "names": names, "notes": notes}
    write_record(unfinished, {**record, "columns": prepared.columns, "plan": plan})
    os.replace(unfinished, out)
    return prepared
