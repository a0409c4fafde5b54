"""Scores of several yes-or-no labels, as a pure function of two matrices."""

from .measures import scores

__all__ = ["scores"]
