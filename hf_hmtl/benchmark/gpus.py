"""Training on a GPU, where there is one: the trainer on files against the same bare loop on tensors on the card."""

from collections.abc import Iterator

import torch

from hf_hmtl.benchmark.loops import BARE, USUAL, bare_loop, emotion, whole_loop
from hf_hmtl.benchmark.measuring import in_turn
from hf_hmtl.benchmark.rows import OURS, Row, compared, missing_row
from hf_hmtl.run.process import cores_of_this_process

GOAL = ">= 0.95"
SIDE, BATCH, STEPS = 224, 128, 40


def rows(rounds: int) -> Iterator[Row]:
    """Rows of EfficientNet-B0 and ResNet50, in bfloat16, with and without torch.compile."""
    for backbone in (USUAL, "resnet50"):
        for compiled in (False, True):
            name = f"GPU, whole loop on JPEGs / bare loop, {backbone}, {'compiled' if compiled else 'eager'}"
            if torch.cuda.is_available():
                yield _measured(name, rounds, backbone, compiled)
            else:
                yield missing_row(name, GOAL, "torch finds no GPU here")


def _measured(name: str, rounds: int, backbone: str, compiled: bool) -> Row:
    options = {"bf16": True, "torch_compile": compiled, "dataloader_num_workers": cores_of_this_process() - 1}
    ways = {
        BARE: bare_loop(backbone, SIDE, BATCH, STEPS, device="cuda", compiled=compiled),
        OURS: whole_loop([emotion()], backbone, SIDE, BATCH, STEPS, **options),
    }
    torch.cuda.reset_peak_memory_stats()
    seconds = in_turn(ways, rounds)
    peak = torch.cuda.max_memory_allocated() / 2**30
    note = f"{torch.cuda.get_device_name()}, {options['dataloader_num_workers']} workers, peak {peak:.1f} GiB"
    return compared(name, seconds, BARE, GOAL, limit=True, images=BATCH * STEPS, note=note)
