"""Metrics: arrays in, floats out; each in a folder that `evaluate.load(folder)` reads as well."""
