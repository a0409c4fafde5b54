"""Scores of predicted numbers, as pure functions of two vectors of real numbers."""

from .measures import angle_scores, scores

__all__ = ["angle_scores", "scores"]
