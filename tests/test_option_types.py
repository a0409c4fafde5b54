"""What fits an annotation, and what is said of a value that does not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from hf_hmtl import recipe
from hf_hmtl.option_types import fits, require_mapping, require_types


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [0, -3], [True, 1.0, "1", None]),
        (float, [0, 1.5], [True, "1.5", math.nan, None]),
        (bool, [True], [1, "true"]),
        (str, [""], [1, False, ["a"]]),
        (str | None, ["a", None], [1]),
        (tuple[float, float] | None, [[0, 1], (0.5, 1), None], [[1], [1, 2, 3], ["a", "b"], 1]),
        (tuple[str, ...], [[], ["a"]], ["a", [1]]),
        (Sequence[str], [["a"]], ["a", {"a": 1}]),
        (dict[str, float], [{}, {"a": 1}], [{"a": "x"}, {1: 2.0}, [1]]),
    ],
)
def test_what_fits(hint, right, wrong):
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)


@dataclass
class Options:
    grid: int = 3
    word: str = ""
    rate: float = 0.1
    zoom: tuple[float, float] | None = None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"grid": [2]}, r"option of mine: grid is \[2\], which is a list; allowed is a whole number\.$"),
        (
            {"word": False},
            "allowed is text. YAML reads yes, no, on and off as true and false: write the word in 'quotes'",
        ),
        ({"rate": "1e-3"}, "YAML reads 1e-3 as text: write it as 0.001"),
        ({"zoom": [1]}, "allowed is a list of 2 or null"),
        ({"rate": math.nan}, "which is not a number; allowed is a number"),
    ],
)
def test_what_does_not_fit_is_told(given, message):
    with pytest.raises(ValueError, match=message):
        require_types(Options, given, "option of mine")
    require_types(Options, given, "option of mine", besides=given)


def test_names_are_texts():
    require_mapping({"a": 1}, "it")
    with pytest.raises(ValueError, match="it has the name False, which is true or false. YAML reads yes, no"):
        require_mapping({False: 1}, "it")
    with pytest.raises(ValueError, match="it is 3, which is a whole number; allowed are names"):
        require_mapping(3, "it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a recipe file needs `rows`"),
        (
            "rows:\n\ta: {}\n",
            "line 2: found character .* that cannot start any token; a recipe is YAML, indented by blanks",
        ),
        ("- a\n", "which is a list; allowed are names"),
        ("rows: {no: {}}\n", "has the name False.*write the word in 'quotes'"),
        ("rows: {a: 3}\n", "row 'a' of .* is 3, which is a whole number"),
        ("defaults: []\nrows: {a: {auxiliary: {puzzle: {}}}}\n", None),
        ("rows: {a: {auxiliary: [puzzle]}}\n", "`auxiliary` of recipe mine/a is .*which is a list"),
        ("rows: {a: {auxiliary: {puzzle: 3}}}\n", "`auxiliary.puzzle` of recipe mine/a is 3"),
        ("rows: {a: {auxiliary: {puzzle: {}}, image_size: '48'}}\n", "image_size is '48', which is text"),
        ("rows: {a: {auxiliary: {puzzle: {}}, crop: [1, 1]}}\n", "crop is .*, which is a list; allowed is a mapping"),
        ("rows: {a: {auxiliary: {puzzle: {}}, source: null}}\n", "source is None, which is null"),
    ],
)
def test_a_recipe_file_that_is_none_says_where(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    if message is None:
        assert recipe.load(str(path)).name == "mine/a"
    else:
        with pytest.raises(ValueError, match=message):
            recipe.load(str(path))


def test_a_crop_of_one_kind_leaves_the_other_whole():
    assert recipe.load("quickstart", {"crop": {"train": 0.7}}).crop == {"train": 0.7, "eval": 1.0}


def test_a_recipe_file_of_another_encoding_says_so(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes("about: schön\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is not UTF-8"):
        recipe.load(str(path))
