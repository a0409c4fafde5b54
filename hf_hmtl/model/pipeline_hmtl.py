"""`pipeline("face-analysis", model=...)`: a picture with any number of faces to what the network says about each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import GeneratorType

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from transformers.pipelines.base import ChunkPipeline

from .answers_hmtl import RAW, answers_of, note_of
from .face_detector_hmtl import Face, FaceDetector, square_around
from .image_processing_hmtl import decode

DEFAULT_MARGIN = 0.25
"""Where nobody knows how the faces of the training were cut: as `hf-hmtl prepare` cuts them."""
_PLAIN = (str, bytes, bytearray, memoryview, dict, list, Dataset, Image.Image, np.ndarray, torch.Tensor, GeneratorType)

Detector = Callable[[np.ndarray], Sequence[Face]]
"""uint8 (height, width, 3) RGB -> faces with `box` (left, top, right, bottom), `score`, `landmarks` or None."""


class FaceAnalysisPipeline(ChunkPipeline):
    """Finds the faces of pictures and says of each what the heads of the network answer.

    A picture is anything that the image processor takes: a path, a URL, the bytes of a file, a PIL image, an array or a
    tensor; pictures are a list of them, a generator (answers then come one by one), a column of `datasets`, or a torch
    dataset. Order is kept, and batches are of faces, across pictures.

    Of each picture comes a list of entries, the largest face first, [] where there is none:
        box: {"xmin", "ymin", "xmax", "ymax"} in pixels of the upright picture; score: how sure the detector is;
        landmarks: [(x, y), ...] where it gives them. All three are absent with `detect=False`.
        Of a head with classes, by its name: {"label", "score", "scores": {label: probability}}; of a head of yes-or-no
        questions: {question: probability}; numbers by their own names (yaw, valence), in their `units`.
        note: what the weights learned from, where they are not to be taken for more; absent otherwise.
    A picture that cannot be read is one entry, {"error": the reason}.

    Options, of the pipeline or of a call:
        detect: False for pictures that are one cropped face each.
        detector: what finds faces, instead of `FaceDetector`; any `Detector`.
        threshold: lowest score of a face, 0.5 by default.
        margin: share of the face's longer side that is shown on each side of it; by default `face_margin` of the
            model's configuration, and 0.25 where that says nothing. The cut is square around the middle of the box, and
            black beyond the picture.
        heads: names of the heads that are asked for; all of them by default.
        batch_size: faces that the network sees at once.

    Raises:
        FileNotFoundError: faces are to be found and there is no detector; the message says what to type.
        ValueError: an option is out of range, or the answers are not finite.
    """

    _load_processor = False
    _load_image_processor = True
    _load_feature_extractor = False
    _load_tokenizer = False

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.model.eval()  # a model that was handed over may have come from a training
        self._answers = [answer for answer in answers_of(self.model.config) if answer.kind != RAW]
        self._detectors: dict[float, Detector] = {}

    @property
    def asked(self) -> list:
        """How the heads are read that the pipeline was asked for."""
        heads = self._postprocess_params.get("heads")
        return [answer for answer in self._answers if heads is None or answer.head in heads]

    @property
    def units(self) -> dict:
        """{name of a number: its unit}, of the numbers that have one."""
        return {key: answer.unit for answer in self._answers if answer.unit for key in answer.keys}

    @property
    def margin(self) -> float:
        """Share of a face's longer side that is shown on each side of it unless a call says otherwise."""
        known = self.model.config.face_margin
        return DEFAULT_MARGIN if known is None else known

    def _sanitize_parameters(
        self, detect=None, detector=None, threshold=None, margin=None, heads=None
    ) -> tuple[dict, dict, dict]:
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(f"threshold is the lowest score of a face, between 0 and 1, got {threshold!r}")
        if margin is not None and not 0 <= margin <= 2:
            raise ValueError(f"margin is a share of a face's longer side, from 0 to 2, got {margin!r}")
        if heads is not None:
            answers_of(self.model.config, heads)
        finding = {"detect": detect, "detector": detector, "threshold": threshold, "margin": margin}
        given = {name: value for name, value in finding.items() if value is not None}
        return given, {}, {} if heads is None else {"heads": tuple(heads)}

    def __call__(self, inputs, **options):
        """Entries of one picture, or of each of several; see the class."""
        if hasattr(inputs, "column_names"):
            raise ValueError(
                f"a whole dataset was given, with the columns {', '.join(inputs.column_names or ())}; give the column "
                "with the pictures: dataset['image']"
            )
        if isinstance(inputs, (np.ndarray, torch.Tensor)) and inputs.ndim == 4:
            inputs = list(inputs)
        if isinstance(inputs, (list, tuple)):
            return super().__call__(list(inputs), **options) if len(inputs) else []
        if isinstance(inputs, _PLAIN) or hasattr(inputs, "__fspath__"):
            return super().__call__(inputs, **options)
        if hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__"):  # a column of datasets
            return list(super().__call__(_readable(inputs), **options)) if len(inputs) else []
        if isinstance(inputs, Iterable):
            return super().__call__((each for each in inputs), **options)
        return super().__call__(inputs, **options)

    def find_faces(self, picture: Image.Image, detector: Detector | None = None, threshold: float = 0.5) -> list[Face]:
        """The faces of an upright RGB picture, the largest first."""
        if detector is None:
            if threshold not in self._detectors:
                self._detectors[threshold] = FaceDetector(threshold=threshold)
            detector = self._detectors[threshold]
        return sorted(
            (face for face in detector(np.array(picture)) if face.score >= threshold), key=_area, reverse=True
        )

    def pixels(self, picture: Image.Image, face: Face | None = None, margin: float | None = None) -> torch.Tensor:
        """What the network sees of a face, or of a picture that is one: (1, 3, side, side) uint8."""
        if face is not None:
            try:
                square = square_around(face.box, self.margin if margin is None else margin)
            except ValueError as error:
                raise ValueError(f"the detector gave {error}") from error
            picture = picture.crop(square)
        return self.image_processor(picture)["pixel_values"]

    def preprocess(
        self, picture, detect: bool = True, detector: Detector | None = None, threshold: float = 0.5, margin=None
    ) -> Iterator[dict]:
        """What the network sees of each face; of a picture without a face, black pixels that are not answered for."""
        error: str | None = None
        faces: list[Face | None] = []
        try:
            if isinstance(picture, _Unreadable):
                raise OSError(str(picture))
            picture = decode(picture)
        except (OSError, ValueError) as raised:
            error = str(raised)
        if error is None:
            faces = [*self.find_faces(picture, detector, threshold)] if detect else [None]
        if not faces:
            side = self.image_processor.size["height"]
            nothing = torch.zeros(1, 3, side, side, dtype=torch.uint8)
            yield {"pixel_values": nothing, "face": None, "answered": False, "error": error, "is_last": True}
        for number, face in enumerate(faces, 1):
            pixels = self.pixels(picture, face, margin)
            last = number == len(faces)
            yield {"pixel_values": pixels, "face": face, "answered": True, "error": None, "is_last": last}

    def prepared(self, picture) -> list[dict]:
        """All that `preprocess` gives of a picture, with the options of the pipeline."""
        return list(self.preprocess(picture, **self._preprocess_params))

    def answered(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """`values` of (rows, 3, side, side) pixels on the CPU, computed on the device of the pipeline."""
        return self.forward({"pixel_values": pixel_values})["pixel_values"]

    def _forward(self, seen: dict) -> dict:
        return {**seen, "pixel_values": self.values(seen["pixel_values"])}

    def values(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(rows, outputs) float32: probabilities and numbers of all heads side by side, as `entry` reads them."""
        predictions = self.model(pixel_values, return_dict=True).predictions
        return torch.cat([answer.values(predictions[answer.head]) for answer in self._answers], dim=1)

    def entry(self, values: torch.Tensor, face: Face | None = None, heads: tuple | None = None) -> dict:
        """What one row of `values` says, in words; see the class."""
        said: dict = {}
        if face is not None:
            said["box"] = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(float, face.box), strict=True))
            said["score"] = float(face.score)
            if face.landmarks is not None:
                said["landmarks"] = [(float(x), float(y)) for x, y in face.landmarks]
        start = 0
        for answer in self._answers:
            end = start + len(answer.keys)
            if heads is None or answer.head in heads:
                said |= answer.entry(values[start:end].tolist())
            start = end
        note = note_of(self.model.config)
        return said | {"note": note} if note else said

    def postprocess(self, seen: list, heads: tuple | None = None) -> list:
        """The entries of a picture."""
        if seen[0]["error"] is not None:
            return [{"error": seen[0]["error"]}]
        return [self.entry(each["pixel_values"][0], each["face"], heads) for each in seen if each["answered"]]


class _Unreadable(str):
    """Why a row of a column holds no picture."""


def _readable(column) -> Iterator:
    """The rows of a column; where decoding one fails, its reason."""
    for index in range(len(column)):
        try:
            row = column[index]
        except Exception as error:  # whatever Pillow's readers raise on damaged files, see `image_processing_hmtl`
            row = _Unreadable(f"row {index}: {type(error).__name__}: {error}")
        yield row


def _area(face: Face) -> float:
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)
