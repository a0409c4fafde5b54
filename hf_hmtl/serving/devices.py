"""Where a network that answers computes: the devices of this machine, and whether one that is asked for is there."""

import torch


def available() -> list[str]:
    """Names of the devices of this machine as torch knows them: cpu, then cuda:0 and those behind it."""
    if not torch.accelerator.is_available():
        return ["cpu"]
    kind = torch.accelerator.current_accelerator()
    return ["cpu", *(f"{kind.type}:{number}" for number in range(torch.accelerator.device_count()))]


def require_device(name: str) -> None:
    """Raise before a model is loaded where there is no such device.

    Args:
        name: as it was typed; a kind alone, such as cuda, means the first of it.

    Raises:
        ValueError: the message has those of this machine.
    """
    known = available()
    if name not in known and f"{name}:0" not in known:
        raise ValueError(
            f"--device is {name!r}, and this machine has {', '.join(known)}. Type --device {known[-1]}, or leave it out"
        )
