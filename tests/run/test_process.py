"""What a run sets for its whole process, and how the processes of a run end."""

import os

import torch

from hf_hmtl.run.process import cores_of_this_process, leave_together


def test_a_process_on_the_cpu_takes_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert cores_of_this_process() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert cores_of_this_process() == 2


def test_a_run_closes_its_process_group(tmp_path):
    leave_together()  # without a group there is nothing to do
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    leave_together()
    assert not torch.distributed.is_initialized()
