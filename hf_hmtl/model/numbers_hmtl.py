"""Heads that answer with numbers: what their description may say, and how numbers are read off logits over bins."""

import torch

from .strangers_hmtl import short

MOST_BINS = 100_000


def expectation(logits: torch.Tensor, bins: dict) -> torch.Tensor:
    """The number that logits over bins stand for: the mean of the bins' values under their softmax (E of Eq. 4).

    Args:
        logits: (..., bins).
        bins: {"first": value of the first bin, "step": from one value to the next, "count": number of bins}.

    Returns:
        (...) float32.
    """
    values = bins["first"] + bins["step"] * torch.arange(bins["count"], device=logits.device, dtype=torch.float32)
    return (logits.float().softmax(-1) * values).sum(-1)


def checked_numbers(name: str, head: dict) -> dict:
    """What the description of a regression head says beside its shape, completed.

    Raises:
        ValueError: it names the key, what was given and what is allowed.
    """
    count = head["shape"][0]
    if len(head["shape"]) != 1:
        raise ValueError(f"head {name!r}: a regression has one number or several, as shape [3], got {head['shape']}")
    names = head["names"] or ([name] if count == 1 else [f"{name}_{index}" for index in range(count)])
    words = isinstance(names, (list, tuple)) and all(isinstance(each, str) for each in names)
    if not words or len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"head {name!r}: names call its {count} numbers by different words, got {short(head['names'])}"
        )
    if not isinstance(head["range"], (list, tuple, type(None))):
        raise ValueError(f"head {name!r}: range is the lowest and the highest number, got {short(head['range'])}")
    limits = None if head["range"] is None else [_number(name, "range", each) for each in head["range"]]
    if limits is not None and (len(limits) != 2 or not limits[0] < limits[1]):
        raise ValueError(f"head {name!r}: range is the lowest and the highest number, got {head['range']!r}")
    bins = head["bins"]
    if head["tanh"] not in (True, False) or (head["tanh"] and (limits is None or bins)):
        raise ValueError(
            f"head {name!r}: tanh is true or false, and bends the numbers into their range, so it needs a range, and "
            f"has no meaning with bins; got tanh {head['tanh']!r}, range {limits} and bins {bins}"
        )
    if bins is not None:
        if not isinstance(bins, dict) or set(bins) != {"first", "step", "count"}:
            raise ValueError(
                f'head {name!r}: bins are like {{"first": -0.95, "step": 0.1, "count": 20}}, got {short(bins)}'
            )
        bins = {key: _number(name, f"bins.{key}", value) for key, value in bins.items()}
        if bins["step"] <= 0 or not 2 <= bins["count"] <= MOST_BINS or bins["count"] != int(bins["count"]):
            raise ValueError(
                f"head {name!r}: bins have a step above 0 and a count of 2 to {MOST_BINS:,}, got {head['bins']}"
            )
        bins["count"] = int(bins["count"])
    return {**head, "names": list(names), "unit": str(head["unit"]), "range": limits, "bins": bins}


def _number(name: str, key: str, value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise ValueError(f"head {name!r}: {key} holds finite numbers, got {short(value)}")
    return float(value)
