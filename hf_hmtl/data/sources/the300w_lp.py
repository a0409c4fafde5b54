"""300W-LP: 61,225 faces with head pose, made of 300-W's photographs by turning them; evaluated on AFLW2000-3D.

Facts: datasets page, section 6; `_pose_mat.py` says in which order and direction the angles are.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import datasets

from hf_hmtl.data.ledger import Ledger, Reason
from hf_hmtl.data.own_faces.tree import names_in, walk
from hf_hmtl.data.sources import Source, aflw2000, resolve
from hf_hmtl.data.sources._building import drift
from hf_hmtl.data.sources._pose_mat import CODE, PlaceOf, dataset_of, faces_of, find
from hf_hmtl.data.splits import carve

LICENCE = "No licence is stated: research use; the photographs are 300-W's, which is for non-commercial research only"
CITATION = aflw2000.CITATION
HOMEPAGE = aflw2000.HOMEPAGE
EXPECTED = {"AFW": 5_207, "HELEN": 37_676, "IBUG": 1_786, "LFPW": 16_556}  # 61,225
FOLDERS = ("300W_LP", "300W-LP")
MARGINS = (0.6, 2.0, 0.6, 0.6, 0.2, 0.4)  # HopeNet's training: between 0.2 and 0.4, drawn anew in every epoch

MIRRORED = Reason("mirrored", "mirrored copies in the *_Flip folders (with_mirrored)", expected=True)
POINTS = Reason("landmark_files", "files of landmarks, which are in the faces' own files as well", expected=True)

LAYOUTS = """300W-LP and AFLW2000-3D are read as
  FOLDER/300W_LP/AFW/<name>.jpg  <name>.mat, and HELEN, IBUG, LFPW likewise
  FOLDER/AFLW2000/image00002.jpg  image00002.mat  ...
300W-LP.zip and AFLW2000-3D.zip are linked from www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm. Type
  --data_dir FOLDER"""


def load(
    data_dir: str | Path | None = None,
    landmarks: str = "all",
    with_mirrored: bool = False,
    validation_fraction: float = 0.1,
    aflw2000_dir: str | Path | None = None,
    allow_left_out: Sequence[str] = (),
) -> Source:
    """Head pose of 300W-LP to train on and of AFLW2000-3D to report: yaw, pitch and roll in degrees.

    Faces are cut out by HopeNet's rule (`_box` and `_margins`, see `data.crops`); those with an angle beyond 99 degrees
    are left out, as HopeNet and the paper do.

    Args:
        data_dir: folder with 300W_LP/ and AFLW2000/; None means ${HF_HMTL_DATA}/the300w_lp.
        landmarks: what a face's box is made of: "all" landmarks as HopeNet does, or the "visible" ones. It differs in
            AFLW2000-3D alone, where points that cannot be seen are at (-1, -1).
        with_mirrored: also train on the mirrored copies, 122,450 faces in all, as HopeNet does and the paper does not.
        validation_fraction: share of 300W-LP to select the best epoch on; the copies of a photograph stay together. 0
            selects on AFLW2000-3D itself, as publications do, and reports it as validation.
        aflw2000_dir: folder of AFLW2000-3D, where it is not beside 300W_LP/.
        allow_left_out: names of reasons that may take more than a tenth of the images.

    Raises:
        FileNotFoundError: no folder, or either of the two is not in it.
        ValueError: an option out of its range, or too much that would be left out.
    """
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"the300w_lp: validation_fraction is {validation_fraction}, allowed is 0 <= fraction < 1")
    folder, ledger = resolve("the300w_lp", data_dir, LAYOUTS), Ledger(allow_left_out)
    prefix = find(folder, FOLDERS, lambda path: any((path / part).is_dir() for part in EXPECTED))
    if prefix is None:
        there = names_in(folder)
        raise FileNotFoundError(
            f"the300w_lp: {folder} holds no 300W-LP, whose folders are {', '.join(EXPECTED)} (found: {there}).\n"
            f"{LAYOUTS}"
        )
    other = folder if aflw2000_dir is None else resolve("aflw2000", aflw2000_dir, aflw2000.LAYOUTS)
    test_prefix = aflw2000.place(other)
    if test_prefix is None:
        raise FileNotFoundError(
            f"the300w_lp: {other} holds no AFLW2000-3D to evaluate on. Unpack it to {folder / aflw2000.FOLDERS[0]}, or "
            f"type --set source.aflw2000_dir=FOLDER.\n{LAYOUTS}"
        )
    reported = "test" if validation_fraction else "validation"
    of_test = aflw2000.place_of(test_prefix, reported)
    of_train = _place_of(prefix, with_mirrored)
    if other == folder:
        faces = faces_of(walk(folder), lambda path: of_train(path) or of_test(path), ledger)
    else:
        faces = faces_of(walk(folder), of_train, ledger) | faces_of(walk(other), of_test, ledger)
    found = faces.get("train", {})
    train = dataset_of("the300w_lp", folder, found, MARGINS, landmarks, "train", ledger, _photograph)
    test, notes = aflw2000.rows("the300w_lp", other, faces.get(reported, {}), landmarks, reported, ledger)
    ledger.check({}, {"train": len(train), reported: len(test)}, "the300w_lp")
    parts = Counter(file[len(prefix) :].split("/")[0].removesuffix("_Flip") for file in found)
    notes += drift(
        "the300w_lp", "train", parts, {name: count * (1 + with_mirrored) for name, count in EXPECTED.items()}
    )
    splits = datasets.DatasetDict(train=train)
    if validation_fraction:
        splits["train"], splits["validation"] = carve(train, None, validation_fraction)
        notes.append(f"validation is a share of {validation_fraction:g} of 300W-LP, by photograph; test is AFLW2000-3D")
    else:
        notes.append("validation is AFLW2000-3D: it selects the best epoch and is reported, as publications do")
    splits[reported] = test
    return Source("the300w_lp", splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), ledger=ledger)


def _place_of(prefix: str, with_mirrored: bool) -> PlaceOf:
    def of(path: str) -> str | Reason | None:
        """The split of a face, the reason why a file is none, or None where it lies elsewhere."""
        if not path.startswith(prefix):
            return None
        part, *below = path[len(prefix) :].split("/")
        if part == "Code":
            return CODE
        if part == "landmarks":
            return POINTS
        if part.endswith("_Flip") and part.removesuffix("_Flip") in EXPECTED and not with_mirrored:
            return MIRRORED
        return "train" if part.removesuffix("_Flip") in EXPECTED and len(below) == 1 else None

    return of


def _photograph(file: str) -> str:
    """The face of a photograph that a picture is made of: "AFW_134212_1" of "AFW/AFW_134212_1_4.jpg"."""
    return re.sub(r"_\d+$", "", Path(file).stem)
