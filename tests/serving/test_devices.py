"""`--device`: one sentence where this machine has none of that name, in every command that takes it."""

from types import SimpleNamespace

import pytest

from hf_hmtl.commands import demo, predict, serve
from hf_hmtl.serving import devices
from hf_hmtl.serving import predict as serving


@pytest.fixture
def machine(monkeypatch):
    """Says which devices torch finds."""

    def has(kind, count):
        found = {
            "is_available": lambda: count > 0,
            "current_accelerator": lambda: SimpleNamespace(type=kind),
            "device_count": lambda: count,
        }
        monkeypatch.setattr(devices.torch, "accelerator", SimpleNamespace(**found))

    return has


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "foo", "0", "mps", "meta", "cpu:1", ""])
def test_without_a_gpu_the_cpu_is_named(machine, name):
    machine("cuda", 0)
    with pytest.raises(ValueError, match=f"--device is '{name}', and this machine has cpu. Type --device cpu, or"):
        devices.require_device(name)
    devices.require_device("cpu")


@pytest.mark.parametrize("kind, count", [("cuda", 1), ("cuda", 2), ("mps", 1)])
def test_what_is_there_is_taken_and_the_one_behind_the_last_refused(machine, kind, count):
    machine(kind, count)
    for name in ("cpu", kind, *(f"{kind}:{number}" for number in range(count))):
        devices.require_device(name)
    for name in (f"{kind}:{count}", f"{kind}:7", "xpu"):
        with pytest.raises(ValueError, match=f"--device is '{name}', and this machine has cpu, {kind}:0"):
            devices.require_device(name)


@pytest.mark.parametrize("command", ["predict", "serve", "demo"])
def test_every_command_says_so_before_the_model_is_loaded(machine, folder, tmp_path, monkeypatch, command):
    if command == "demo":
        pytest.importorskip("gradio")
    machine("cuda", 1)
    monkeypatch.setattr(serving, "pipeline", lambda *_, **__: pytest.fail("the model is loaded"))
    (tmp_path / "a.png").write_bytes(b"")
    arguments = {
        "predict": [str(tmp_path / "a.png"), "--model", folder, "--output", str(tmp_path / "a.csv")],
        "serve": [folder, "--port", "0"],
        "demo": [folder, "--port", "0"],
    }
    run = {"predict": predict, "serve": serve, "demo": demo}[command].run
    with pytest.raises(ValueError, match="--device is .cuda:7., and this machine has cpu, cuda:0. Type --device c"):
        run([*arguments[command], "--device", "cuda:7"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
