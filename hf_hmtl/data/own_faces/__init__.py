"""Faces of the user's own, in whatever shape they lie: files -> rows, with everything that is left out named."""
