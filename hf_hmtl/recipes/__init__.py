"""The recipe files: package data, so that a wheel has them too."""
