"""The figures of a reproduction: drawn anew where the runs are others than those that they were drawn of.

Beside `figure-NAME.png` and `figure-NAME.csv` lies `figure-NAME.runs.json`: {"ROW/seed-N": what came of it}.
"""

import hashlib
import json
from pathlib import Path

from hf_hmtl.compare.figures import FigureOptions, write_figure
from hf_hmtl.compare.reproduce import paper
from hf_hmtl.compare.reproduce.plan import Reproduction, part_folder
from hf_hmtl.compare.rows import run_folder
from hf_hmtl.compare.statistics import Groups
from hf_hmtl.files import replacing
from hf_hmtl.parsing import read_json
from hf_hmtl.results import result as results
from hf_hmtl.results.result import Result

FIGURES = "figures"
_LOOKS_AT_IMAGES = ("11", "12", "16")


def path_of(folder: Path, figure: str, ending: str) -> Path:
    """A file of a figure in the folder of its reproduction: of `ending` "png", "csv" or "runs.json"."""
    return folder / FIGURES / f"figure-{figure}.{ending}"


def rows_of(reproduction: Reproduction, figure: str) -> list[str]:
    """The rows that a figure is drawn of, of those that the reproduction has."""
    part = reproduction.part_of(paper.FIGURES[figure][0])
    return [row for row in paper.rows_of_figure(figure) if part is not None and row in part.rows]


def runs_of(reproduction: Reproduction, figure: str, groups: Groups) -> dict[str, str]:
    """{"ROW/seed-N": what came of it} of the finished runs of a figure.

    Args:
        groups: {row: {seed: Result}} of its recipe file.
    """
    return {
        f"{row}/seed-{seed}": _came_of(result)
        for row in rows_of(reproduction, figure)
        for seed, result in groups.get(row, {}).items()
    }


def drawn_of(folder: Path, figure: str) -> dict[str, str] | None:
    """The runs that a figure was drawn of, as `runs_of` gives them; None of one that was not drawn or does not tell."""
    path = path_of(folder, figure, "runs.json")
    if not (path.is_file() and path_of(folder, figure, "csv").is_file()):
        return None
    found = read_json(path)
    return found if isinstance(found, dict) else None


def draw_figures(reproduction: Reproduction, folder: Path, data_dir: str | None) -> list[str]:
    """Draw the figures that are wanted and not there, or of other runs; sentences on what is left out."""
    notes = []
    for name in reproduction.drawn:
        folders = _finished(reproduction, folder, name)
        groups: Groups = {}
        for (row, seed), place in folders.items():
            groups.setdefault(row, {})[seed] = results.read(place / "result.json")
        runs = runs_of(reproduction, name, groups)
        if not runs or (path_of(folder, name, "png").is_file() and drawn_of(folder, name) == runs):
            continue
        told = FigureOptions(data_dir=data_dir if name in _LOOKS_AT_IMAGES else None)
        try:
            drawn, _ = write_figure(name, list(folders.values()), told, folder / FIGURES)
        except (ValueError, FileNotFoundError) as error:
            notes.append(f"figure {name} is not drawn: {error}")
            continue
        notes += [f"figure {name}: {note}" for note in drawn.notes]
        with replacing(path_of(folder, name, "runs.json")) as temporary:
            temporary.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    return notes


def _finished(reproduction: Reproduction, folder: Path, figure: str) -> dict[tuple[str, int], Path]:
    part = reproduction.part_of(paper.FIGURES[figure][0])
    if part is None:
        return {}
    places = {
        (row, seed): run_folder(part_folder(folder, part), row, seed)
        for row in rows_of(reproduction, figure)
        for seed in (*reproduction.seeds, *reproduction.further)
    }
    return {key: place for key, place in places.items() if (place / "result.json").is_file()}


def _came_of(result: Result) -> str:
    """Sixteen hexadecimal digits of what a figure may show of a run; of a copy that is kept the same."""
    content = json.dumps([result.name, result.seeds, result.metrics], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
