import contextlib
import resource

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file

from hf_hmtl.files import is_local, replacing, without_place


@pytest.mark.parametrize("name", ["/some/secret/model", r"C:\secret\model", "~/secret/model", "./model", "../model"])
def test_places_on_a_machine_are_told_from_names_of_the_hub(name):
    assert is_local(name) and without_place(name) == "model"


def test_what_lies_here_is_local_and_the_rest_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_local("user/model") and without_place("user/model") == "user/model" and not is_local("")
    (tmp_path / "user" / "model").mkdir(parents=True)
    assert is_local("user/model") and without_place("user/model") == "model"


@contextlib.contextmanager
def full_disk():
    """No file of this process grows beyond 100 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITERS = {
    "text": lambda path: path.write_text("x" * 1000),
    "torch": lambda path: torch.save({"weights": torch.zeros(1000)}, path),
    "safetensors": lambda path: save_file({"weights": torch.zeros(1000)}, path),
    "numpy": lambda path: np.save(path.open("wb"), np.zeros(1000)),
    "parquet": lambda path: pyarrow.parquet.write_table(pyarrow.table({"a": np.arange(1000)}), path),
}


@pytest.mark.parametrize("library", WRITERS)
def test_a_full_disk_names_the_file_whoever_writes_and_leaves_what_was_there(tmp_path, library):
    (tmp_path / "file").write_text("before")
    with pytest.raises(OSError, match=str(tmp_path / "file")), full_disk(), replacing(tmp_path / "file") as temporary:
        WRITERS[library](temporary)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "before"


def test_other_errors_of_what_is_written_stay_what_they_are(tmp_path):
    for error in (RuntimeError("shapes"), FileNotFoundError(2, "No such file", "picture.png"), KeyError("a")):
        with pytest.raises(type(error)) as raised, replacing(tmp_path / "file"):
            raise error
        assert raised.value is error
