"""Shared by 300W-LP and AFLW2000-3D: faces as an image and a MATLAB file of one name, with head pose and landmarks.

Facts: datasets page, section 6, from 3DDFA's files and code and from HopeNet's `datasets.py`. `Pose_Para` holds pitch,
yaw and roll, in this order and in radians. The face model, x to the right, y up and z towards the viewer, is turned by

    R = Rx(pitch) Ry(yaw) Rz(roll),  each with the sines of the usual right-handed matrix negated,

which is the inverse sign of every angle in scipy's intrinsic "XYZ". In the picture: yaw > 0 turns the nose to the left,
pitch > 0 lifts it, roll > 0 turns the head clockwise, all as the viewer sees it, and as HopeNet's `utils.py` draws the
axes of a face; a mirror negates yaw and roll.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
from tqdm.auto import tqdm

from hf_hmtl.data import crops
from hf_hmtl.data.identity import identity
from hf_hmtl.data.ledger import FOLDER, MISSING_FILE, NO_ANNOTATION, NO_BOX, NO_SPLIT, Ledger, Reason
from hf_hmtl.data.own_faces.tree import Tree
from hf_hmtl.data.sources._building import images_of_paths, make_dataset
from hf_hmtl.data.sources._index import indexed
from hf_hmtl.data.sources._mat_file import matrices

ANGLES = ("yaw", "pitch", "roll")
LARGEST_ANGLE = 99.0  # degrees, of all three angles, 99 itself kept: HopeNet's filter (section 6)
LANDMARKS = ("all", "visible")
PlaceOf = Callable[[str], str | Reason | None]

BEYOND = Reason("beyond_99_degrees", "faces with an angle beyond 99 degrees, which HopeNet leaves out", expected=True)
OTHER = Reason("other_release", "files of the other data set, which lies in the same folder", expected=True)
CODE = Reason("code", "files of the MATLAB code that comes along", expected=True)


def find(folder: Path, names: Iterable[str], holds: Callable[[Path], bool]) -> str | None:
    """Where a release lies in a folder: "" for the folder itself, or "NAME/", "NAME/NAME/" below it; None if nowhere.

    Args:
        names: of the folder that the archive unpacks to.
        holds: whether a folder holds the release.
    """
    for prefix in ("", *(f"{name}/" * depth for name in names for depth in (1, 2))):
        if (folder / prefix).is_dir() and holds(folder / prefix):
            return prefix
    return None


def faces_of(tree: Tree, place_of: PlaceOf, ledger: Ledger) -> dict[str, dict[str, str]]:
    """{split: {image file: its .mat file}}; every other file goes to the ledger.

    Args:
        tree: the files.
        place_of: the split of a path, or why what lies there is left out; None for what belongs to no release.
    """
    mats = {_stem(path): path for path, _ in tree.others if path.lower().endswith(".mat")}
    faces: dict[str, dict[str, str]] = {}
    for path in tree.images:
        place = place_of(path)
        if not isinstance(place, str):
            ledger.leave_out(FOLDER, place or NO_SPLIT, [path])
        elif _stem(path) in mats:
            faces.setdefault(place, {})[path] = mats[_stem(path)]
        else:
            ledger.leave_out(place, NO_ANNOTATION, [path])
    read = {mat for found in faces.values() for mat in found.values()}
    for path, reason in (*tree.others, *tree.unread_tables):
        place = place_of(path)
        if path in read:
            continue
        if isinstance(place, str) and mats.get(_stem(path)) == path:
            ledger.leave_out(place, MISSING_FILE, [path])
        else:
            ledger.leave_out(FOLDER, place if isinstance(place, Reason) else reason, [path])
    return faces


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]


def dataset_of(
    source: str,
    root: Path,
    faces: Mapping[str, str],
    margins: tuple[float, ...],
    landmarks: str,
    split: str,
    ledger: Ledger,
    group_of: Callable[[str], str] | None = None,
) -> datasets.Dataset:
    """The faces of one split within +-99 degrees: image, yaw, pitch and roll in degrees, and HopeNet's crop.

    Args:
        source: name of the source.
        root: the folder.
        faces: {image file below it: its .mat file}.
        margins: of the crop, as `data.crops.MARGINS`.
        landmarks: "all" takes the box of all points, as HopeNet does, where a point that cannot be seen is at (-1, -1)
            and pulls the box into the corner; "visible" that of the others.
        split: name for the ledger, which gets what is left out.
        group_of: what a file must not be torn apart from.

    Raises:
        ValueError: another choice of landmarks.
    """
    if landmarks not in LANDMARKS:
        raise ValueError(f"{source}: landmarks is {landmarks!r}, allowed are {' and '.join(LANDMARKS)}")
    table, files = _labels(source, root, list(faces.values())), list(faces)
    angles = np.stack([table[name].to_numpy() for name in ANGLES], axis=1).reshape(-1, 3)
    boxes = table[landmarks].to_pylist()
    keep = []
    for row, (file, pose, box) in enumerate(zip(files, angles, boxes, strict=True)):
        if np.isnan(pose).any():
            ledger.leave_out(split, NO_ANNOTATION, [file])
        elif np.abs(pose).max() > LARGEST_ANGLE:
            ledger.leave_out(split, BEYOND, [file])
        elif box is None:
            ledger.leave_out(split, NO_BOX, [file])
        else:
            keep.append(row)
    kept = [files[row] for row in keep]
    columns = {name: (datasets.Value("float32"), angles[keep, place]) for place, name in enumerate(ANGLES)}
    columns[crops.BOX] = (crops.FEATURES[crops.BOX], [boxes[row] for row in keep])
    columns[crops.MARGINS] = (crops.FEATURES[crops.MARGINS], [list(margins)] * len(keep))
    groups = None if group_of is None else [group_of(file) for file in kept]
    paths = [os.path.join(os.path.abspath(root), file) for file in kept]
    return make_dataset(images_of_paths(paths), columns, identity(source, kept, kept, groups))


def _labels(source: str, root: Path, mats: list[str]) -> pa.Table:
    """Angles in degrees and boxes of each .mat file: of the index, or read, which takes a minute."""
    paths = [root / mat for mat in mats]
    facts = [(str(path), (status := path.stat()).st_size, status.st_mtime_ns) for path in paths]
    return indexed(f"{source}-1", facts, lambda: _read(source, paths))


def _read(source: str, mats: list[Path]) -> pa.Table:
    rows = [_face(path) for path in tqdm(mats, desc=f"{source}: first reading of the .mat files", disable=None)]
    columns = zip(*rows, strict=True) if rows else [[]] * 5
    number, box = pa.float64(), pa.list_(pa.float64())
    names = zip((*ANGLES, *LANDMARKS), (number, number, number, box, box), strict=True)
    return pa.table({name: pa.array(values, kind) for (name, kind), values in zip(names, columns, strict=True)})


def _face(path: Path) -> tuple:
    """Yaw, pitch and roll in degrees, NaN where the file has none; the boxes of all and of the visible landmarks."""
    nothing = (math.nan, math.nan, math.nan, None, None)
    try:
        found = matrices(path.read_bytes(), ("Pose_Para", "pt2d"))
    except (OSError, ValueError):  # cut off, damaged, or of another kind, as MATLAB 7.3 writes them
        return nothing
    pose = np.asarray(found.get("Pose_Para", ())).ravel()
    if len(pose) < 3 or pose.dtype.kind not in "fiu" or not np.isfinite(pose[:3]).all():
        return nothing
    pitch, yaw, roll = np.degrees(pose[:3].astype(np.float64)).tolist()
    points = np.asarray(found.get("pt2d", ()))
    if points.ndim != 2 or len(points) != 2 or points.dtype.kind not in "fiu" or not np.isfinite(points).all():
        return yaw, pitch, roll, None, None
    return yaw, pitch, roll, _box(points), _box(points[:, (points != -1).any(0)])


def _box(points: np.ndarray) -> list[float] | None:
    """Left, top, right and bottom of (2, points); None where they have no extent."""
    if points.shape[1] < 2:
        return None
    (left, top), (right, bottom) = points.min(1).tolist(), points.max(1).tolist()
    return [left, top, right, bottom] if right > left and bottom > top else None
