"""From frames to clips: which rows are one clip, windows over them, and answers back in the order of the rows."""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from torch.utils.data import Dataset

from hf_hmtl.data.arrow_columns import column_array
from hf_hmtl.data.identity import CLIP, FRAME
from hf_hmtl.data.rows import IMAGE, RowReader
from hf_hmtl.draws import Draws

FEATURES = "features"
ROWS = "frame_rows"
"""The row of each frame of a window."""


def clips_of(dataset: datasets.Dataset) -> list[np.ndarray]:
    """The rows of each clip in the order of their frames, clips in the order in which they come.

    Raises:
        ValueError: the rows are no frames of clips, or a frame is there twice.
    """
    if absent := [name for name in (CLIP, FRAME) if name not in dataset.column_names]:
        raise ValueError(
            f"faces in time are learned from frames of clips, and these rows have no {' and no '.join(absent)}: they "
            "are single images. Take a source of clips (drawn_clips, afew_va, ckplus), or train on images"
        )
    clips = np.array(column_array(dataset, CLIP).to_pylist(), dtype=object)
    frames = column_array(dataset, FRAME).to_numpy(zero_copy_only=False)
    rows_of: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        rows_of.setdefault(clip, []).append(row)
    found = []
    for clip, rows in rows_of.items():
        ordered = np.array(rows)[np.argsort(frames[rows], kind="stable")]
        if (np.diff(frames[ordered]) == 0).any():
            twice = int(frames[ordered][:-1][np.diff(frames[ordered]) == 0][0])
            raise ValueError(f"frame {twice} of the clip {clip!r} is there twice; give each frame of a clip once")
        found.append(ordered)
    return found


def cut_windows(clips: Sequence[np.ndarray], length: int | None, stride: int | None = None) -> list[np.ndarray]:
    """Windows of so many rows over each clip; every frame is in one, and the last of a clip may be shorter.

    Args:
        clips: the rows of each, in order.
        length: frames of a window; None takes clips whole.
        stride: frames from the begin of a window to that of the next; as many as a window has if not given.
    """
    if length is None:
        return list(clips)
    firsts = first_frames([len(rows) for rows in clips], length, stride or length)
    return [clips[clip][first : first + length] for clip, first in firsts]


def first_frames(lengths: Sequence[int], length: int, stride: int) -> list[tuple[int, int]]:
    """(clip, first frame) of the windows of so many frames over clips of these lengths."""
    found = []
    for clip, frames in enumerate(lengths):
        last = max(frames - length, 0)
        found += [(clip, first) for first in (*range(0, last, stride), -(-last // stride) * stride)]
    return found


class Windows(Dataset):
    """Windows over the clips of a dataset of frames: an item is {column: [a value a frame]}.

    Args:
        frames: with the columns of clips.
        length, stride: as `cut_windows` takes them.
        features: (rows, channels) of the frames, which then stand in the place of their images.
        offset_seed: of a random offset, one a clip and epoch, by which all windows of a clip begin up to half a stride
            earlier or later, but none before its first frame or so late that it would be shorter; None for none.

    Attributes:
        dataset: the frames.
        windows: the rows of each window, without an offset.

    Raises:
        ValueError: as `clips_of`; or clips that are taken whole would have an offset.
    """

    def __init__(
        self,
        frames: datasets.Dataset,
        length: int | None,
        stride: int | None = None,
        features: np.ndarray | None = None,
        offset_seed: int | None = None,
    ):
        self.dataset, self.features, self.offset_seed = frames, features, offset_seed
        self._clips = clips_of(frames)
        self.windows = cut_windows(self._clips, length, stride)
        if offset_seed is not None:
            if length is None:
                raise ValueError("clips that are taken whole begin with their first frame: there is no offset to draw")
            self._length, self._stride = length, stride or length
            self._firsts = first_frames([len(rows) for rows in self._clips], self._length, self._stride)
        self._reader = RowReader(frames if features is None else frames.remove_columns(IMAGE))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self._read(self.windows[number])

    def of_epoch(self, epoch: int, number: int) -> dict[str, Any]:
        """A window as an epoch sees it: with the offset of its clip, where there is one."""
        if self.offset_seed is None:
            return self[number]
        clip, first = self._firsts[number]
        offset = int(Draws(self.offset_seed, epoch, clip).integers("offset", self._stride)[0]) - self._stride // 2
        latest = max(len(self._clips[clip]) - self._length, 0)
        begin = min(max(first + offset, 0), latest)
        return self._read(self._clips[clip][begin : begin + self._length])

    def _read(self, rows: np.ndarray) -> dict[str, Any]:
        read = self._reader.__getitems__(rows.tolist())
        columns = {name: values for name, values in read.items() if name not in ("row", "epoch", "progress")}
        columns[ROWS] = rows.tolist()
        return columns if self.features is None else columns | {FEATURES: list(self.features[rows])}

    @property
    def clips(self) -> list[str]:
        """The clip of each window."""
        names = column_array(self.dataset, CLIP)
        return [names[int(rows[0])].as_py() for rows in self.windows]

    @property
    def last_rows(self) -> np.ndarray:
        """(windows,) the row of the last frame of each, whose label is that of a clip with one answer, as in CK+."""
        return np.array([rows[-1] for rows in self.windows])

    def by_frame(self, answers: np.ndarray) -> np.ndarray:
        """(frames, ...) in the order of the rows, of (windows, time, ...) answers; what is behind the last frame of a
        window is passed over.

        Raises:
            ValueError: a frame would have no answer, or more than one.
        """
        rows = np.concatenate(self.windows)
        if len(rows) != len(self.dataset) or len(np.unique(rows)) != len(rows):
            raise ValueError("these windows overlap or leave frames out, so that a frame has not one answer")
        found = np.empty((len(rows), *answers.shape[2:]), dtype=answers.dtype)
        for window, answer in zip(self.windows, answers, strict=True):
            found[window] = answer[: len(window)]
        return found
