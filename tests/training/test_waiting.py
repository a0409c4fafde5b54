"""A step asks a GPU for nothing: each answer would wait until all that was queued before is done. Whether its numbers
are finite travels by itself, and is read within the next step (`training/finite_steps.py`).

What asks is seen on a CPU too: a number taken out of a tensor, or a shape that hangs on a tensor's values.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from trainers import first_batch, make

from hf_hmtl.tasks.barlow_twins import BarlowTwins
from hf_hmtl.tasks.inpainting import InPainting
from hf_hmtl.tasks.puzzle import Puzzle
from hf_hmtl.tasks.rotation import Rotation

ASKING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal"}


class Questions(TorchDispatchMode):
    """Counts the operators that need a tensor's values on the CPU."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in ASKING or any(mask is not None and mask.dtype == torch.bool for mask in masks):
            self.asked.append(name)
        return func(*args, **(kwargs or {}))


def asked(trainer):
    with Questions() as questions:
        trainer.train()
    return questions.asked


@pytest.mark.parametrize("weighting", ["static", "uncertainty"])
def test_a_further_step_asks_for_nothing(faces, tmp_path, weighting):
    pretexts = Puzzle(grid=2, share=0.5), Rotation(), InPainting(), BarlowTwins(hidden=16, features=8)
    options = {"weighting": weighting, "logging_steps": 100}
    few, more = (asked(make(faces, tmp_path, *pretexts, max_steps=steps, **options)) for steps in (1, 4))
    assert set(more) == set(few) == {"_local_scalar_dense"} and len(more) == len(few)


def test_a_batch_moves_without_waiting_and_its_broken_rows_stay(faces, tmp_path, monkeypatch):
    trainer = make(faces, tmp_path, Puzzle(grid=2))
    batch = first_batch(trainer) | {"broken_rows": torch.tensor([3])}
    moved, to = [], torch.Tensor.to

    def watched(tensor, *arguments, **options):
        moved.append((tensor, options))
        return to(tensor, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "to", watched)
    prepared = trainer._prepare_inputs(batch)
    assert prepared.keys() == batch.keys() and prepared["broken_rows"] is batch["broken_rows"]
    expected = [batch["pixel_values"], *batch["targets"].values()]
    assert {id(tensor) for tensor, _ in moved} == {id(tensor) for tensor in expected}
    assert all(options == {"non_blocking": True} for _, options in moved)
