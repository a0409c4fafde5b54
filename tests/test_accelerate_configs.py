"""The configuration files for accelerate, as its own launcher reads them."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

import hf_hmtl

FOLDER = Path(hf_hmtl.__file__).parent / "accelerate_configs"


def launched(name, *options):
    arguments = ["--config_file", str(FOLDER / name), *options, "-m", "hf_hmtl", "train", "quickstart"]
    parsed, _, _ = _validate_launch_command(launch_command_parser().parse_args(arguments))
    return parsed


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_is_read_and_says_the_precision(path):
    config = load_config_from_file(str(path))
    assert config.mixed_precision == "bf16" and not config.use_cpu and not config.debug


def test_there_is_one_for_each_machine_park():
    assert {path.name for path in FOLDER.iterdir()} == {"one_gpu_bf16.yaml", "several_gpus.yaml", "two_hosts.yaml"}


def test_one_gpu_is_one_process_that_sees_one():
    parsed = launched("one_gpu_bf16.yaml")
    assert (parsed.num_processes, parsed.multi_gpu, parsed.gpu_ids, parsed.mixed_precision) == (1, False, "0", "bf16")


def test_several_gpus_are_as_many_processes():
    parsed = launched("several_gpus.yaml", "--num_processes", "8")
    assert (parsed.num_processes, parsed.multi_gpu, parsed.num_machines) == (8, True, 1)
    assert parsed.training_script == "hf_hmtl" and parsed.training_script_args == ["train", "quickstart"]


@pytest.mark.parametrize("rank", [0, 1])
def test_two_hosts_differ_in_their_rank_alone(rank):
    parsed = launched("two_hosts.yaml", "--main_process_ip", "first", "--machine_rank", str(rank))
    assert (parsed.machine_rank, parsed.main_process_ip, parsed.num_machines) == (rank, "first", 2)
    assert (parsed.num_processes, parsed.multi_gpu, parsed.main_process_port) == (4, True, 29500)
