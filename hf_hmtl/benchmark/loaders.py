"""Whole loaders with two worker processes: JPEG files to batches."""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import datasets
import torch
from torch.utils.data import DataLoader

from hf_hmtl.benchmark.faces import jpeg_faces
from hf_hmtl.benchmark.images import BATCH, SIDE, collator
from hf_hmtl.benchmark.measuring import in_turn
from hf_hmtl.benchmark.peers import peer, torchvision_transform
from hf_hmtl.benchmark.rows import OURS, Row, compared, missing_row
from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.rows import RowReader
from hf_hmtl.data.sampler import EpochRowSampler

WORKERS = 2
GOAL = ">= 2.5"


def rows(rounds: int, count: int = 2048) -> Iterator[Row]:
    """Rows of the loaders; an epoch each, by workers that stay from one to the next.

    Args:
        rounds: of each row.
        count: images of an epoch.
    """
    faces = jpeg_faces(count)
    with tempfile.TemporaryDirectory() as folder:
        _write_class_folders(faces, Path(folder))
        ways: dict[str, Callable] = {OURS: _an_epoch_of(_ours(faces))}
        missing = {}
        makers = {"timm.create_loader": (_timm, folder), "datasets with_transform": (_with_transform, faces)}
        for name, (maker, argument) in makers.items():
            loader, missing[name] = peer(maker, argument)
            if loader is not None:
                ways[name] = _an_epoch_of(loader)
        seconds = in_turn(ways, rounds)
    for name in makers:
        row = f"loader with {WORKERS} workers, weak / {name}"
        if name in seconds:
            yield compared(row, seconds, name, GOAL, limit=False, images=count)
        else:
            yield missing_row(row, GOAL, missing[name])


def _an_epoch_of(loader: Iterable) -> Callable[[], None]:
    def run() -> None:
        for _ in loader:
            pass

    return run


def _ours(faces: datasets.Dataset) -> DataLoader:
    return DataLoader(
        RowReader(faces),
        batch_sampler=EpochRowSampler(len(faces), BATCH, seed=0),
        collate_fn=collator("weak"),
        num_workers=WORKERS,
        persistent_workers=True,
    )


def _write_class_folders(faces: datasets.Dataset, folder: Path) -> None:
    names = faces.features["emotion"].names
    for row, face in enumerate(faces):
        path = folder / names[face["emotion"]] / f"{row}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(face["image"]["bytes"])


def _timm(folder: str) -> Iterable:
    """As timm's training script calls it, with what is nearest to the weak level."""
    from timm.data import create_dataset, create_loader

    level = Augmentation.level("weak")
    reach = level.contrast[1] - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return create_loader(
            create_dataset("", root=folder),
            (3, SIDE, SIDE),
            BATCH,
            is_training=True,
            use_prefetcher=False,
            scale=(level.zoom[0] ** 2, 1.0),
            ratio=(1.0, 1.0),
            color_jitter=(0.0, reach, 0.0),
            num_workers=WORKERS,
            persistent_workers=True,
        )


def _with_transform(faces: datasets.Dataset) -> Iterable:
    """As transformers' image-classification example does it, with the weak level by torchvision."""
    transform = torchvision_transform(Augmentation.level("weak"), SIDE)

    def transformed(batch: dict) -> dict:
        """What set_transform makes of a batch."""
        return {
            "pixel_values": [transform(image.convert("RGB")) for image in batch["image"]],
            "labels": batch["emotion"],
        }

    def collate(rows: list) -> dict:
        """Stacks pixels and labels."""
        return {
            "pixel_values": torch.stack([row["pixel_values"] for row in rows]),
            "labels": torch.tensor([row["labels"] for row in rows]),
        }

    decoded = faces.select_columns(["image", "emotion"]).cast_column("image", datasets.Image())
    return DataLoader(
        decoded.with_transform(transformed),
        batch_size=BATCH,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        collate_fn=collate,
    )
