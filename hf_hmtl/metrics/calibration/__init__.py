"""How well probabilities hold, as pure functions of arrays."""

from .measures import BINS, reliability, scores

__all__ = ["BINS", "reliability", "scores"]
