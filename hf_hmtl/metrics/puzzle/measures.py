"""How well puzzles are solved: tile by tile, and whole puzzles, with numpy alone."""

import numpy as np

MISSING = -100


def scores(predictions, targets) -> dict[str, float]:
    """Score the answers of the N heads of a puzzle of N tiles.

    Args:
        predictions: (rows, N) integers in 0..N-1, the original place answered for each slot.
        targets: (rows, N) integers, the true original place; a row of -100 was no puzzle and is left out.

    Returns:
        tile_accuracy: share of tiles answered rightly (a guess gives 1/N).
        exact_solve: share of rows whose N tiles are all answered rightly.
        count: number of puzzles; if it is 0, both scores are NaN.

    Raises:
        ValueError: the shapes differ, the values are not integers, or a puzzle's row is no order of 0..N-1.
    """
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if predictions.shape != targets.shape or targets.ndim != 2 or targets.shape[1] == 0:
        raise ValueError(
            f"predictions and targets must both have shape (rows, tiles), got {predictions.shape} and {targets.shape}. "
            "Logits of shape (rows, tiles, tiles) become places by .argmax(-1)."
        )
    for given, values in (("predictions", predictions), ("targets", targets)):
        if values.dtype.kind not in "iu":
            raise ValueError(f"{given} must be integers (places of tiles), got {values.dtype}.")
    puzzles = (targets != MISSING).any(axis=1)
    predictions, targets = predictions[puzzles], targets[puzzles]
    tiles = targets.shape[1]
    wrong = (np.sort(targets, axis=1) != np.arange(tiles)).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"{int(wrong.sum())} rows of targets are no order of the places 0 to {tiles - 1}, the first is "
            f"{targets[wrong][0].tolist()}; a row that is no puzzle is {MISSING} in all its {tiles} slots."
        )
    if len(targets) == 0:
        return {"tile_accuracy": np.nan, "exact_solve": np.nan, "count": 0.0}
    right = predictions == targets
    return {
        "tile_accuracy": float(right.mean()),
        "exact_solve": float(right.all(axis=1).mean()),
        "count": float(len(targets)),
    }
