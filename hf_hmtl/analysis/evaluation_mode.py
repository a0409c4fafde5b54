"""A network as it is used, for as long as it is looked at."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """While the context lasts the model is in evaluation mode; then each of its modules is as it was.

    One by one, for parts of a model may be frozen in evaluation mode while the rest trains.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
