"""AFLW2000-3D: 2,000 photographs with head pose, to evaluate on; 1,969 of them within +-99 degrees.

Facts: datasets page, section 6; `_pose_mat.py` says in which order and direction the angles are. The source
`the300w_lp` trains on 300W-LP and evaluates on these.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets

from hf_hmtl.data.ledger import Ledger, Reason
from hf_hmtl.data.own_faces.tree import names_in, walk
from hf_hmtl.data.sources import Source, resolve
from hf_hmtl.data.sources._building import drift
from hf_hmtl.data.sources._pose_mat import CODE, OTHER, PlaceOf, dataset_of, faces_of, find

LICENCE = "No licence is stated: research use; the photographs are AFLW's, which is for non-commercial research only"
CITATION = "Zhu, Lei, Liu, Shi and Li, Face Alignment Across Large Poses: A 3D Solution, CVPR 2016, arXiv:1511.07212"
HOMEPAGE = "http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm"
FOUND, USED = 2_000, 1_969
FOLDERS = ("AFLW2000", "AFLW2000-3D")
MARGINS = (2.0, 2.0, 2.0, 0.6, 0.2, 0.2)  # HopeNet's evaluation: 0.2 always

LAYOUTS = """AFLW2000-3D is read as
  FOLDER/image00002.jpg  image00002.mat  ...                 or the same in FOLDER/AFLW2000/
AFLW2000-3D.zip is linked from the page of 3DDFA, www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm. Type
  --data_dir FOLDER"""


def load(data_dir: str | Path | None = None, landmarks: str = "all", allow_left_out: Sequence[str] = ()) -> Source:
    """AFLW2000-3D, as a test split alone: yaw, pitch and roll in degrees, and HopeNet's crop of each face.

    Args:
        data_dir: folder of the images, or with AFLW2000/ in it; None means ${HF_HMTL_DATA}/aflw2000.
        landmarks: what a face's box is made of: "all" points of AFLW as HopeNet does, those that cannot be seen being
            at (-1, -1), or the "visible" ones. It moves the error, and scores of one do not compare with the other's.
        allow_left_out: names of reasons that may take more than a tenth of the images.

    Raises:
        FileNotFoundError: no folder, or no face in it.
        ValueError: another choice of landmarks, or too much that would be left out.
    """
    folder, ledger = resolve("aflw2000", data_dir, LAYOUTS), Ledger(allow_left_out)
    prefix = place(folder)
    if prefix is None:
        found = names_in(folder)
        raise FileNotFoundError(f"aflw2000: {folder} holds no image with a .mat file (found: {found}).\n{LAYOUTS}")
    of_test = place_of(prefix, "test")
    beside = tuple(f"{name}/" for name in ("300W_LP", "300W-LP"))
    faces = faces_of(walk(folder), lambda path: OTHER if path.startswith(beside) else of_test(path), ledger)
    test, notes = rows("aflw2000", folder, faces.get("test", {}), landmarks, "test", ledger)
    ledger.check({}, {"test": len(test)}, "aflw2000")
    notes = ["it is to be evaluated on: the source the300w_lp trains on 300W-LP and reports on these faces", *notes]
    splits = datasets.DatasetDict(test=test)
    return Source("aflw2000", splits, LICENCE, CITATION, HOMEPAGE, tuple(notes), ledger=ledger, evaluation_only=True)


def place(folder: Path) -> str | None:
    """Where the faces lie below a folder: "" or "AFLW2000/"; None if nowhere."""
    return find(folder, FOLDERS, lambda path: any(path.glob("image*.mat")))


def place_of(prefix: str, split: str) -> PlaceOf:
    """Which files below `prefix` are faces, as `_pose_mat.faces_of` asks it."""

    def of(path: str) -> str | Reason | None:
        """The split of a face, the reason why a file is none, or None where it lies elsewhere."""
        if not path.startswith(prefix):
            return None
        parts = path[len(prefix) :].split("/")
        if parts[0] == "Code":
            return CODE
        return split if len(parts) == 1 else None

    return of


def rows(
    source: str, folder: Path, faces: Mapping[str, str], landmarks: str, split: str, ledger: Ledger
) -> tuple[datasets.Dataset, list[str]]:
    """The faces, and notes on what differs from the published counts."""
    data = dataset_of(source, folder, faces, MARGINS, landmarks, split, ledger)
    counts = {"images": len(faces), "within 99 degrees": len(data)}
    notes = [f"{split}: faces are cut out by HopeNet's rule around {landmarks} landmarks"]
    return data, notes + drift(source, split, counts, {"images": FOUND, "within 99 degrees": USED})
