"""Faces drawn by code: the embedded default data set, every label known."""
