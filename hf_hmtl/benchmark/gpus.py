"""Training on a GPU, where there is one: the trainer on files against the same bare loop on tensors on the card."""

import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator

import torch

from hf_hmtl.benchmark.loops import BARE, USUAL, bare_loop, emotion, whole_loop
from hf_hmtl.benchmark.measuring import in_turn
from hf_hmtl.benchmark.rows import OURS, Row, compared, missing_row
from hf_hmtl.run.process import cores_of_this_process

GOAL = ">= 0.95"
SIDE, BATCH, STEPS = 224, 128, 120
SAMPLE_MILLISECONDS = 200


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
    workers = max(1, cores_of_this_process() - 1)
    options = {"bf16": True, "torch_compile": compiled, "dataloader_num_workers": workers}
    warm_steps = 3 * workers  # each worker keeps two batches ready
    ways = {
        BARE: bare_loop(backbone, SIDE, BATCH, STEPS, device="cuda", compiled=compiled),
        OURS: whole_loop([emotion()], backbone, SIDE, BATCH, STEPS, warm_steps=warm_steps, **options),
    }
    torch.cuda.reset_peak_memory_stats()
    seconds = in_turn(ways, rounds)
    peak = torch.cuda.max_memory_allocated() / 2**30
    busy = _busy(ways[OURS])
    idle = "" if busy is None else f", busy for {busy:.0f} % of the time"
    note = f"{torch.cuda.get_device_name()}{idle}, {workers} workers, peak {peak:.1f} GiB"
    return compared(name, seconds, BARE, GOAL, limit=True, images=BATCH * STEPS, note=note)


def _busy(way: Callable[[], object]) -> float | None:
    """Per cent of the time in which something ran on the card, by its driver: the median over a run of its own, its
    first half, in which workers start, left out. None where there is no nvidia-smi."""
    if not shutil.which("nvidia-smi"):
        return None
    card = str(torch.cuda.get_device_properties(0).uuid)
    asked = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"--loop-ms={SAMPLE_MILLISECONDS}"]
    with subprocess.Popen(
        ["nvidia-smi", f"--id=GPU-{card}", *asked], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as watch:
        way()
        watch.terminate()
        shares = [int(line) for line in watch.stdout or () if line.strip().isdigit()]
    return statistics.median(shares[len(shares) // 2 :]) if shares else None
