"""What others would write for the same batches: each library's own way, by its own documentation.

Every pipeline takes encoded pictures and makes a (rows, 3, side, side) batch with the magnitudes of a level of
`Augmentation`: uint8 where the library can (the fastest it has), float where it cannot.
"""

import io
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from PIL import Image

from hf_hmtl.data.augmentation import Augmentation

Pipeline = Callable[[Sequence[bytes]], torch.Tensor]


def torchvision_transform(level: Augmentation, side: int) -> Callable[[Image.Image], torch.Tensor]:
    """torchvision.transforms.v2 on PIL images, as its training references do by default."""
    from torchvision.transforms import v2

    steps: list = [v2.RandomHorizontalFlip(level.flip)]
    if level.rotation:
        steps.append(v2.RandomRotation(level.rotation, v2.InterpolationMode.BILINEAR))
    if level.zoom != (1.0, 1.0):
        low, high = level.zoom
        steps.append(v2.RandomResizedCrop(side, scale=(low**2, high**2), ratio=(1, 1)))
    else:
        steps.append(v2.Resize((side, side)))
    if level.contrast != (1.0, 1.0):
        steps.append(v2.ColorJitter(brightness=level.brightness, contrast=level.contrast))
    if level.channel_swap:
        steps.append(v2.RandomApply([v2.RandomChannelPermutation()], level.channel_swap))
    steps.append(v2.PILToTensor())
    if max(level.blur) > 1:
        steps.append(v2.RandomChoice([v2.Identity(), v2.GaussianBlur(3, 1.5), v2.GaussianBlur(5, 1.5)]))
    if level.noise:
        steps += [v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise(sigma=level.noise / 2)]
    if level.cutout:
        area = level.cutout**2
        steps.append(v2.RandomErasing(p=1, scale=(area, area), ratio=(1, 1)))
    return v2.Compose(steps)


def torchvision_pipeline(level: Augmentation, side: int) -> Pipeline:
    """Pillow decodes, and torchvision transforms."""
    transform = torchvision_transform(level, side)
    return lambda files: torch.stack([transform(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])


def albumentations_pipeline(level: Augmentation, side: int) -> Pipeline:
    """OpenCV decodes; albumentations' own transforms on uint8 arrays."""
    import albumentations as A

    steps: list = [A.HorizontalFlip(p=level.flip)]
    low, high = level.zoom
    if level.rotation or level.zoom != (1.0, 1.0):
        # One warp, as `Affine` composes its parts; a visible share of the side is 1 / scale.
        steps += [A.Affine(scale=(1 / high, 1 / low), rotate=(-level.rotation, level.rotation), p=1)]
    steps.append(A.Resize(side, side))
    if level.contrast != (1.0, 1.0):
        reach = (level.contrast[0] - 1, level.contrast[1] - 1)
        steps.append(A.RandomBrightnessContrast(brightness_limit=level.brightness, contrast_limit=reach, p=1))
    if level.channel_swap:
        steps.append(A.ChannelShuffle(p=level.channel_swap))
    if level.noise:
        steps.append(A.GaussNoise(std_range=(0.0, level.noise), p=1))
    if max(level.blur) > 1:
        steps.append(A.GaussianBlur(blur_limit=(3, max(level.blur)), sigma_limit=1.5, p=2 / 3))
    if level.cutout:
        steps.append(
            A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(level.cutout,) * 2,
                            hole_width_range=(level.cutout,) * 2, p=1)
        )  # fmt: skip
    transform = A.Compose(steps)

    def pipeline(files: Sequence[bytes]) -> torch.Tensor:
        images = [cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB) for file in files]
        batch = np.stack([transform(image=image)["image"] for image in images])
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    return pipeline


def kornia_pipeline(level: Augmentation, side: int) -> Pipeline:
    """OpenCV decodes and resizes; kornia augments the float batch."""
    import kornia.augmentation as K

    steps: list = [K.RandomHorizontalFlip(p=level.flip)]
    low, high = level.zoom
    if level.rotation or level.zoom != (1.0, 1.0):
        steps.append(K.RandomAffine(degrees=level.rotation, scale=(1 / high, 1 / low), p=1.0))
    if level.contrast != (1.0, 1.0):
        steps.append(K.ColorJiggle(brightness=level.brightness, contrast=level.contrast, p=1.0))
    if level.channel_swap:
        steps.append(K.RandomChannelShuffle(p=level.channel_swap))
    if level.noise:
        steps.append(K.RandomGaussianNoise(std=level.noise / 2, p=1.0))
    if max(level.blur) > 1:
        steps.append(K.RandomGaussianBlur((max(level.blur),) * 2, (1.5, 1.5), p=2 / 3))
    if level.cutout:
        area = level.cutout**2
        steps.append(K.RandomErasing(p=1.0, scale=(area, area), ratio=(1.0, 1.0)))
    transform = K.AugmentationSequential(*steps, data_keys=["input"])

    def pipeline(files: Sequence[bytes]) -> torch.Tensor:
        """Files to a batch of floats."""
        images = [cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB) for file in files]
        images = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous().float() / 255
        with torch.no_grad():
            return transform(batch)

    return pipeline


PIPELINES = {
    "torchvision": torchvision_pipeline,
    "albumentations": albumentations_pipeline,
    "kornia": kornia_pipeline,
}


def peer(make: Callable, *arguments: object) -> tuple[Callable | None, str]:
    """What a peer's maker makes, or None with the reason that it cannot be had."""
    try:
        return make(*arguments), ""
    except ImportError as error:
        return None, f"{error.name} is not installed: pip install 'hf_hmtl[bench]'"
