"""Batch-norm statistics re-estimated on clean images.

Hybrid learning gathers them on corrupted images and evaluates on clean ones; the difference can be mistaken for an
effect of the auxiliary tasks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, Dataset

from hf_hmtl.data.sampler import EpochRowSampler

MOST_BATCHES = 100


@contextmanager
def re_estimated(model: nn.Module, rows: Dataset, collator, args) -> Iterator[nn.Module]:
    """While the context lasts, the model's running means and variances are those of the collator's images.

    They are cumulative averages over at most 100 shuffled training batches (`torch.optim.swa_utils.update_bn`); the
    model's own come back at the end. A model without batch norm stays as it is.
    """
    before = {
        name: buffer.clone()
        for module_name, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        for name, buffer in module.named_buffers(prefix=module_name, recurse=False)
    }
    sampler = EpochRowSampler(len(rows), args.train_batch_size, args.seed)
    loader = DataLoader(rows, batch_sampler=sampler, collate_fn=collator, generator=torch.Generator())
    pixels = (batch["pixel_values"] for batch in islice(loader, MOST_BATCHES))
    torch.optim.swa_utils.update_bn(pixels, model, device=args.device)
    try:
        yield model
    finally:
        model.load_state_dict(before, strict=False)
