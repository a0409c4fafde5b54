"""Scores of class predictions, as pure functions of two integer vectors."""

from .measures import confusion_matrix, majority_baseline, scores

__all__ = ["confusion_matrix", "majority_baseline", "scores"]
