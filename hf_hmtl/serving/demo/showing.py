"""From a picture to what the page says and shows of it: everything but the page itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from hf_hmtl.analysis.explain import grad_cam
from hf_hmtl.model.answers_hmtl import CLASSES, NUMBERS, YES_NO, Answer
from hf_hmtl.model.face_detector_hmtl import Face
from hf_hmtl.model.image_processing_hmtl import ImageError, decode
from hf_hmtl.model.pipeline_hmtl import FaceAnalysisPipeline
from hf_hmtl.serving.demo import markup
from hf_hmtl.serving.demo.overlay import with_faces, with_heat
from hf_hmtl.serving.demo.puzzling import pictured, puzzle_head, solve

LARGEST_PICTURE = 50_000_000
"""Pixels."""
SHOWN = 360
"""Pixels at which a face is shown."""
_POSE, _AFFECT = ("yaw", "pitch", "roll"), ("valence", "arousal")


@dataclass(frozen=True)
class _Seen:
    """A face of a picture, and what the network says about it."""

    picture: Image.Image
    faces: Sequence[Face]
    pixels: torch.Tensor
    entry: dict


class Showing:
    """Shows what a network sees in the largest face of a picture.

    Args:
        analyse: `pipeline("face-analysis")` of a network, best one with its training heads.

    Raises:
        ValueError: the network has no head that answers in words or numbers.
    """

    def __init__(self, analyse: FaceAnalysisPipeline):
        if not analyse.asked:
            raise ValueError("the heads of this network answer neither in words nor in numbers; show one that does")
        self._pipeline, self._model = analyse, analyse.model
        self._puzzle = puzzle_head(analyse.model.config)

    def html(self, picture, cropped: bool, seed: int) -> str:
        """The page of a picture; a sentence where there is nothing to show.

        Args:
            picture: whatever `decode` takes; None for no picture.
            cropped: whether the picture is one face that was cut out already.
            seed: of the puzzle.
        """
        if picture is None:
            return markup.page(["Drop a photograph, use the camera, or choose one of the drawings."], [])
        try:
            seen = self._see(decode(picture, LARGEST_PICTURE), cropped)
        except (ImageError, OSError, ValueError) as error:
            return markup.page([f"This cannot be shown: {error}"], [])
        if seen is None:
            return markup.page(
                ["No face was found. If the picture is one face that was cut out closely, tick the box below it."], []
            )
        return markup.page(self._said(seen), [*self._answers(seen), self._heat(seen), self._puzzled(seen, seed)])

    def _see(self, picture: Image.Image, cropped: bool) -> _Seen | None:
        faces = [] if cropped else self._pipeline.find_faces(picture)
        if not faces and not cropped:
            return None
        face = None if cropped else faces[0]
        pixels = self._pipeline.pixels(picture, face)
        values = self._pipeline.answered(pixels)
        return _Seen(picture, faces, pixels, self._pipeline.entry(values[0], face))

    def _said(self, seen: _Seen) -> list[str]:
        said = []
        if len(seen.faces) > 1:
            said.append(f"{len(seen.faces)} faces were found; shown is the largest, in the green frame.")
        if "note" in seen.entry:
            said.append(f"This network {seen.entry['note']}.")
        return said

    def _answers(self, seen: _Seen) -> list[str]:
        """The face with its pose, and a section a head."""
        named = {name: value for answer in self._pipeline.asked for name, value in _numbers(answer, seen.entry).items()}
        pose = tuple(named[name] for name in _POSE) if set(_POSE) <= named.keys() else None
        boxes = [face.box for face in seen.faces]
        face = markup.image(with_faces(seen.picture, boxes, pose), "the photograph with the face that was found")
        axes = "Red runs from ear to ear, green to the chin, blue out of the nose." if pose else ""
        return [
            markup.section("The face", face, axes),
            *(self._answer(each, seen.entry) for each in self._pipeline.asked),
        ]

    def _answer(self, answer: Answer, entry: dict) -> str:
        if answer.kind == CLASSES:
            content = markup.bars(entry[answer.key]["scores"])
        elif answer.kind == YES_NO:
            content = markup.bars(entry[answer.key])
        else:
            named = _numbers(answer, entry)
            content = markup.numbers(named, answer.unit)
            if set(_AFFECT) <= named.keys():
                content = markup.circle(*(named[name] for name in _AFFECT)) + content
        return markup.section(answer.head, content)

    def _heat(self, seen: _Seen) -> str:
        """Grad-CAM of the first answer."""
        answer = next((each for each in self._pipeline.asked if each.kind == CLASSES), self._pipeline.asked[0])
        index, told = 0, answer.keys[0]
        if answer.kind != NUMBERS:
            scores = seen.entry[answer.key]
            scores = scores["scores"] if answer.kind == CLASSES else scores
            told = max(scores, key=scores.__getitem__)
            index = answer.keys.index(told)
        title = "Where the network looks"
        try:
            heat = grad_cam(self._model, answer.head, seen.pixels.to(self._model.device), lambda rows: rows[:, index])
        except ValueError as error:
            return markup.section(title, "", str(error))
        face = seen.pixels[0].permute(1, 2, 0).numpy()
        shown = with_heat(face, heat[0].cpu().numpy()).resize((SHOWN, SHOWN))
        return markup.section(title, markup.image(shown, "heat over the face"), f"What speaks for {told} (Grad-CAM).")

    def _puzzled(self, seen: _Seen, seed: int) -> str:
        title = "The puzzle"
        if self._puzzle is None:
            return markup.section(
                title,
                "",
                "This folder holds no puzzle head: it vanished with the training, as it should. Show the folder of a "
                "run that trained one, in which a checkpoint still has it.",
            )
        solved = solve(self._model, self._puzzle, seen.pixels, seed)
        shuffled, put_back = (
            markup.image(each, described)
            for each, described in zip(pictured(solved), ("shuffled tiles", "tiles put back"), strict=True)
        )
        sentence = f"{solved.right} of {len(solved.sources)} tiles are where they belong; in each, how sure it is."
        return markup.section(title, markup.pair(shuffled, put_back), sentence)


def _numbers(answer: Answer, entry: dict) -> dict[str, float]:
    """The numbers of a head by the names that its head gave them, which an entry may have set apart by the head's."""
    if answer.kind != NUMBERS:
        return {}
    return {key.removeprefix(f"{answer.head}_"): entry[key] for key in answer.keys}


def drawn_examples(count: int = 6, size: int = 360) -> list[np.ndarray]:
    """Drawn faces that nobody's training has seen: (size, size, 3) uint8 each."""
    from hf_hmtl.data.drawn_faces.dataset import draw, face_parameters

    faces = face_parameters(seed=2105, split="test", rows=np.arange(count))
    return [draw(face, size) for face in faces]
