"""The import direction of the house: who may import whom, read from the source."""

import ast
import graphlib
from pathlib import Path

import pytest

import hf_hmtl

PACKAGE = Path(hf_hmtl.__file__).parent
ROOT = PACKAGE.parent

# room -> what it may import, from the ground up; itself is always allowed. The package's own files that are not here
# (`__init__`, `__main__`) put the rest together.
GROUND = {
    "draws": set(),
    "schedule": set(),
    "files": set(),
    "ending": set(),
    "locks": set(),
    "workers": set(),
    "parsing": set(),
    "option_types": {"parsing"},
    "parquet": {"parsing"},
    "_version": set(),
    "printed": {"option_types", "parsing"},
    "recipe": {"printed", "files", "option_types", "parsing"},
    "model": set(),
    "metrics": set(),
}
ALLOWED = GROUND | {
    "tasks": {"metrics", "draws", "schedule"},
    "results": {"metrics", "printed", "_version", "files", "option_types", "parquet", "parsing", "workers"},
    "hub": {"model", "results", "files", "parsing"},
    "data": {
        "tasks",
        "draws",
        "files",
        "locks",
        "workers",
        "option_types",
        "parquet",
        "parsing",
        "model.image_processing_hmtl",
        "model.face_detector_hmtl",
        "hub.research_data",
    },
    "training": {"model", "tasks", "data", "files", "ending", "hub", "schedule", "option_types", "parsing"},
    "analysis": {"model", "metrics", "tasks", "data", "draws", "files"},
    "run": {
        "model",
        "metrics",
        "tasks",
        "data",
        "training",
        "results",
        "analysis",
        "recipe",
        "files",
        "locks",
        "option_types",
        "parsing",
        "schedule",
        "_version",
        "draws",
        "hub",
        "workers",
    },
    "serving": {"model", "data", "tasks", "analysis", "files", "locks", "parquet", "parsing", "workers", "_version"},
    "benchmark": {
        "serving",
        "run",
        "training",
        "model",
        "tasks",
        "data",
        "analysis",
        "draws",
        "files",
        "parsing",
        "ending",
    },
    "compare": {
        "run",
        "results",
        "training.checkpoint",
        "training.finite_steps",
        "metrics",
        "analysis",
        "tasks",
        "recipe",
        "printed",
        "files",
        "option_types",
        "parsing",
        "ending",
        "workers",
    },
    "commands": {
        "hub",
        "results",
        "benchmark",
        "serving",
        "compare",
        "run",
        "analysis",
        "data",
        "recipe",
        "files",
        "ending",
    },
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def imported(path):
    """Names of hf_hmtl modules that a file imports, without the package's own name; and its relative imports."""
    own, relative = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            own |= {alias.name for alias in node.names if alias.name.split(".")[0] == "hf_hmtl"}
        elif isinstance(node, ast.ImportFrom) and node.level:
            relative.add((node.level, node.module))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hf_hmtl":
            deep = (PACKAGE / "/".join(node.module.split(".")[1:])).is_dir()
            own |= {f"{node.module}.{alias.name}" for alias in node.names} if deep else {node.module}
    return {name.removeprefix("hf_hmtl").lstrip(".") for name in own}, relative


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = room_of(path)
    if room not in ALLOWED:
        return  # the package itself and the modules that put the rest together
    for name in imported(path)[0]:
        target = name.split(".")[0]
        fits = target == room or any(name == rule or name.startswith(f"{rule}.") for rule in ALLOWED[room])
        assert fits, f"{path.relative_to(ROOT)} imports hf_hmtl.{name}; {room} may import {sorted(ALLOWED[room])}"


def test_rooms_stand_on_the_rooms_before_them():
    built = []
    for room, below in ALLOWED.items():
        missing = {name.split(".")[0] for name in below} - set(built)
        assert not missing, f"{room} stands above {missing}, which are built later"
        built.append(room)
    named = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in modules()}
    data_only = {"recipes"}  # package data with an __init__
    assert named - set(built) - data_only == {"__init__", "__main__"}


def test_no_file_imports_another_in_a_circle():
    """Imports for type checkers and inside functions count too."""
    files = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path for path in modules()
    }
    graph = {}
    for name, path in files.items():
        own, relative = imported(path)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        own |= {f"{package}.{module}" for _, module in relative}
        graph[name] = {target if target in files else target.rpartition(".")[0] for target in own} & set(files) - {name}
    in_order = graphlib.TopologicalSorter(graph).static_order()  # raises CycleError, which names the circle
    assert set(in_order) == set(files)


def test_the_model_folder_travels_alone():
    for path in (PACKAGE / "model").glob("*.py"):
        own, relative = imported(path)
        assert not own, f"{path.name} imports {own}: the Hub copies flat files only"
        assert all(level == 1 and module and "." not in module for level, module in relative), path.name


def test_commands_are_short():
    for path in (PACKAGE / "commands").glob("*.py"):
        assert len(path.read_text().splitlines()) < 80, path


def test_no_file_is_too_long_to_hold_in_mind():
    long = {path.name: lines for path in modules() if (lines := len(path.read_text().splitlines())) > 450}
    assert not long
