"""Scores of solved puzzles, as a pure function of two integer matrices."""

from .measures import scores

__all__ = ["scores"]
