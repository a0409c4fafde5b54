"""From encoded pictures to augmented batches, in one thread: ours, what others write, and decoding alone."""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import torch

from hf_hmtl.benchmark.faces import jpeg_faces
from hf_hmtl.benchmark.measuring import in_turn
from hf_hmtl.benchmark.peers import PIPELINES, peer
from hf_hmtl.benchmark.rows import OURS, Row, compared, missing_row
from hf_hmtl.data.augment import warp, warp_matrices
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.collator import TrainingCollator
from hf_hmtl.data.decode import decode_for_training
from hf_hmtl.data.rows import RowReader
from hf_hmtl.draws import Draws
from hf_hmtl.tasks.classification import Classification
from hf_hmtl.tasks.puzzle import shuffle_tiles

BATCH, SIDE, PUZZLE_SIDE = 64, 224, 225
DECODING = "decoding alone"
GOALS = {
    "weak": {DECODING: ">= 0.75", "torchvision": ">= 10", "albumentations": ">= 4"},
    "strong": {DECODING: ">= 0.65", "torchvision": ">= 16", "albumentations": ">= 5"},
}


def rows(rounds: int, with_peers: bool = True) -> Iterator[Row]:
    """Rows of the data path.

    Args:
        rounds: of each row.
        with_peers: measure other libraries too.
    """
    threads, kept = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        for level, goals in GOALS.items():
            yield from _batches(level, goals, rounds, with_peers)
        yield _gray(rounds)
        yield _one_warp(rounds)
        yield _puzzle(rounds, with_peers)
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(kept)


def collator(level: str, side: int = SIDE) -> TrainingCollator:
    """A collator of the emotion and a level of augmentation."""
    task = Classification.of(jpeg_faces(BATCH), "emotion")
    return TrainingCollator([task], side, on_broken_image="raise", augmentation=Augmentation.level(level))


def _batch(gray: bool = False) -> dict:
    return RowReader(jpeg_faces(BATCH, gray=gray)).__getitems__([(0, row) for row in range(BATCH)])


def _decoding(files: Sequence[bytes]) -> Callable[[], list]:
    buffers = [np.frombuffer(file, np.uint8) for file in files]
    return lambda: [cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB) for buffer in buffers]


def _batches(level: str, goals: dict, rounds: int, with_peers: bool) -> Iterator[Row]:
    made, batch = collator(level), _batch()
    files = [image["bytes"] for image in batch["image"]]
    ways: dict[str, Callable] = {OURS: lambda: made(batch), DECODING: _decoding(files)}
    missing = {}
    if with_peers:
        for name, maker in PIPELINES.items():
            pipeline, missing[name] = peer(maker, Augmentation.level(level), SIDE)
            if pipeline is not None:
                ways[name] = lambda pipeline=pipeline: pipeline(files)
    seconds = in_turn(ways, rounds)
    for other in (DECODING, *PIPELINES):
        name, goal = f"JPEG -> batch, {level} / {other}", goals.get(other, "")
        if other in seconds:
            yield compared(name, seconds, other, goal, limit=other == DECODING, images=BATCH)
        elif with_peers:
            yield missing_row(name, goal, missing[other])


def _gray(rounds: int) -> Row:
    made, gray, coloured = collator("weak"), _batch(gray=True), _batch()
    seconds = in_turn({OURS: lambda: made(gray), "RGB files": lambda: made(coloured)}, rounds)
    return compared(
        "JPEG -> batch, weak, gray files / RGB files", seconds, "RGB files", ">= 1.5", limit=False, images=BATCH
    )


def _one_warp(rounds: int) -> Row:
    """Where most of the time beside decoding goes, and designs of the warp that lost."""
    files = [image["bytes"] for image in _batch()["image"]]
    images = [decode_for_training(file, SIDE) for file in files]
    matrices = warp_matrices(Draws(0, [0] * BATCH, list(range(BATCH))), Augmentation.level("weak"))
    out = np.empty((SIDE, SIDE, 3), np.uint8)

    def all_by(design: Callable) -> Callable[[], None]:
        """Warps every image by one design."""

        def run() -> None:
            for image, matrix in zip(images, matrices, strict=True):
                design(image, matrix, out)

        return run

    lost = {"cv2.warpAffine on three channels": _warp_of_three, "cv2.remap, fixed-point maps": _remap}
    ways = {OURS: all_by(warp), DECODING: _decoding(files)} | {name: all_by(each) for name, each in lost.items()}
    seconds = in_turn(ways, rounds)
    return compared("the warp / decoding alone", seconds, DECODING, "", limit=True, images=BATCH, lost=list(lost))


def _pixel_matrix(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The map of `warp_matrices` between pixel centres."""
    height, width = image.shape[:2]
    to_unit = np.array([[1 / SIDE, 0, 0.5 / SIDE], [0, 1 / SIDE, 0.5 / SIDE], [0, 0, 1]])
    return np.diag([width, height]) @ matrix @ to_unit - np.array([[0, 0, 0.5], [0, 0, 0.5]])


def _warp_of_three(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Without the antialiasing that ours has, and slower all the same."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(image, _pixel_matrix(image, matrix), (SIDE, SIDE), dst=out, flags=flags)


def _remap(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Without antialiasing too."""
    pixel = _pixel_matrix(image, matrix).astype(np.float32)
    down, right = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    x, y = (row[0] * right + row[1] * down + row[2] for row in pixel)
    maps = cv2.convertMaps(x, y, cv2.CV_16SC2)
    cv2.remap(image, *maps, cv2.INTER_LINEAR, dst=out)


def _puzzle(rounds: int, with_peers: bool) -> Row:
    pixels = torch.randint(256, (BATCH, PUZZLE_SIDE, PUZZLE_SIDE, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    sources = torch.from_numpy(Draws(0, [0] * BATCH, list(range(BATCH))).permutations("puzzle", 9))
    buffer = torch.empty_like(pixels)
    lost = {"gather on a view of tiles": _tiles_by_gather, "a loop over tiles": _tiles_by_loop}
    ways: dict[str, Callable] = {
        OURS: lambda: shuffle_tiles(pixels, sources),
        "a copy into a reused buffer": lambda: buffer.copy_(pixels),
        **{name: lambda each=each: each(pixels, sources) for name, each in lost.items()},
    }
    if with_peers:
        made, _ = peer(_grid_shuffle)
        if made is not None:
            images = list(pixels.permute(0, 2, 3, 1).numpy())
            ways["albumentations.RandomGridShuffle"] = lambda: [made(image=image) for image in images]
    seconds = in_turn(ways, 4 * rounds)
    others = [name for name in ways if name not in (OURS, "a copy into a reused buffer")]
    return compared(
        "puzzle 3x3 on uint8 / a copy", seconds, "a copy into a reused buffer", "<= 1.3", limit=True, lost=others
    )


def _grid_shuffle() -> Callable:
    import albumentations

    return albumentations.Compose([albumentations.RandomGridShuffle((3, 3), p=1)])


def _tiles_by_gather(pixels: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    tile = PUZZLE_SIDE // 3
    tiles = pixels.permute(0, 2, 3, 1).reshape(BATCH, 3, tile, 3, tile * 3).transpose(2, 3).reshape(BATCH, 9, -1)
    chosen = tiles.gather(1, sources[:, :, None].expand_as(tiles))
    return chosen.view(BATCH, 3, 3, tile, tile * 3).transpose(2, 3).reshape(BATCH, PUZZLE_SIDE, PUZZLE_SIDE, 3)


def _tiles_by_loop(pixels: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    tile, result = PUZZLE_SIDE // 3, torch.empty_like(pixels)
    for row, places in enumerate(sources.tolist()):
        for slot, place in enumerate(places):
            to, source = (divmod(each, 3) for each in (slot, place))
            result[row, :, to[0] * tile : (to[0] + 1) * tile, to[1] * tile : (to[1] + 1) * tile] = pixels[
                row, :, source[0] * tile : (source[0] + 1) * tile, source[1] * tile : (source[1] + 1) * tile
            ]
    return result
