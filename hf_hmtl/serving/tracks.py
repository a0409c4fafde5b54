"""Faces that are followed from frame to frame by how far their boxes overlap."""

from collections.abc import Sequence
from dataclasses import dataclass, field

LEAST_OVERLAP = 0.3
"""Intersection over union of a face with the one that it was (Bochinski, Eiselein and Sikora 2017, "High-speed
tracking-by-detection without using image information", who take 0.5 at every frame; here frames may be left out)."""
MEMORY = 5
"""Frames that are looked at for which a face may be missing."""

Box = Sequence[float]


@dataclass
class Tracks:
    """The faces that were seen of late in one video.

    Attributes:
        count: tracks so far; the next one gets this number.
        seen: {track: (its last box, for how many frames it is missing)}.
    """

    count: int = 0
    seen: dict[int, tuple[list[float], int]] = field(default_factory=dict)

    def follow(self, boxes: Sequence[Box]) -> list[int]:
        """The track of each face of the next frame; the pairs that overlap most are matched first.

        Args:
            boxes: left, top, right, bottom of each.
        """
        overlaps = [
            (overlap(box, last), -track, place)
            for place, box in enumerate(boxes)
            for track, (last, _) in self.seen.items()
        ]
        found: dict[int, int] = {}
        for share, track, place in sorted(overlaps, reverse=True):
            if share >= LEAST_OVERLAP and place not in found and -track not in found.values():
                found[place] = -track
        for place in range(len(boxes)):
            if place not in found:
                found[place], self.count = self.count, self.count + 1
        missing = {track: (box, frames + 1) for track, (box, frames) in self.seen.items() if frames < MEMORY}
        here = {found[place]: (list(map(float, box)), 0) for place, box in enumerate(boxes)}
        self.seen = missing | here
        return [found[place] for place in range(len(boxes))]

    def state(self) -> dict:
        """As JSON has it."""
        return {"count": self.count, "seen": {str(track): list(each) for track, each in self.seen.items()}}

    @classmethod
    def of(cls, state: dict) -> "Tracks":
        """What `state` told."""
        return cls(state["count"], {int(track): (box, frames) for track, (box, frames) in state["seen"].items()})


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes; 0 of boxes without an area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
