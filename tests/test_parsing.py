"""JSON and YAML of strangers: small values, or one line that says why not."""

import json
import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_hmtl.parsing import DEEPEST, json_of, shown, text_of, yaml_of

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
QUICK = settings(max_examples=1000, deadline=None, derandomize=True, database=None)


@QUICK
@given(PLAIN)
def test_json_is_read_as_the_standard_library_reads_it(value):
    text = json.dumps(value)
    assert json_of(text, "it") == json.loads(text) == json_of(text.encode(), "it")


@settings(QUICK, max_examples=300)  # PyYAML needs 5 ms
@given(PLAIN)
def test_yaml_is_read_as_pyyaml_reads_it(value):
    text = yaml.safe_dump(value)
    assert yaml_of(text, "it") == yaml.safe_load(text)


@QUICK
@given(st.text())
def test_any_text_is_a_value_or_one_sentence(text):
    for read in (json_of, yaml_of):
        try:
            read(text, "it")
        except ValueError as error:
            assert str(error).startswith("it") and len(str(error)) < 1000
            assert type(error).__module__ != "json.decoder"


def nested(levels):
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("read", [json_of, yaml_of])
def test_nesting_ends_somewhere(read):
    assert read(nested(DEEPEST), "it") is not None
    for levels in (DEEPEST + 1, 500, 100_000):
        with pytest.raises(ValueError, match="^it: lists and mappings lie in each other more than 100 levels deep$"):
            read(nested(levels), "it")


@pytest.mark.parametrize(
    ("read", "text", "says"),
    [
        (json_of, '{"a": 1, "b": 2, "a": 3}', "it is not JSON .the name 'a' stands twice"),
        (yaml_of, "b: 1\nc: {a: 1, a: 2}", "it, line 2: a mapping names 'a' twice"),
        (json_of, f"[{'9' * 101}]", "a whole number of 101 digits"),
        (yaml_of, f"a: {'9' * 101}", "it, line 1: a whole number of 101 digits"),
        (json_of, f"[{'9' * 100_000}]", "a whole number of 100,000 digits"),
        (json_of, '{"a": 1,\n b}', "it is not JSON .line 2: "),
        (json_of, b"\xff{}", "it is not UTF-8 .* at byte 0"),
        (yaml_of, "&a [*a]", "it, line 1: an alias stands within what it stands for"),
        (yaml_of, "a: *b", "it, line 1: found undefined alias"),
        (yaml_of, "!!python/object/apply:os.system [exit]", "could not determine a constructor"),
        (yaml_of, "!!timestamp x", "it: a value is none of its type"),
        (yaml_of, "!!bool x", "it: a value is none of its type"),
        (yaml_of, f"a: {'x' * 2001}", "it, line 1: a text of 2,001 characters"),
        (yaml_of, "2024-13-45", "it: a value is none of its type"),
    ],
)
def test_what_nobody_writes_on_purpose_is_refused(read, text, says):
    with pytest.raises(ValueError, match=says):
        read(text, "it")


LAUGHS = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x]"] + [
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 8)}]" for number in range(1, 30)])  # fmt: skip
MERGED = "\n".join(["a0: &a0 {x: 1}"] + [
    f"a{number}: &a{number} {{<<: [*a{number - 1}, *a{number - 1}]}}" for number in range(1, 60)])  # fmt: skip
CHAIN = "\n".join(["a0: &a0 [x]"] + [f"a{number}: &a{number} [*a{number - 1}]" for number in range(1, 5_000)])


@pytest.mark.parametrize("text", [LAUGHS, MERGED], ids=["lists", "merged mappings"])
def test_aliases_count_as_often_as_they_are_written_out(text):
    with pytest.raises(ValueError, match="with its aliases written out it has more than 200,000 values"):
        yaml_of(text, "it")


def test_aliases_do_not_hide_how_deep_something_lies():
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        yaml_of(CHAIN, "it")


def test_an_alias_and_a_merged_mapping_are_read():
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\n"
    assert yaml_of(text, "it") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}


def test_a_whole_number_of_a_hundred_digits_is_a_float_too():
    assert math.isfinite(float(json_of("9" * 100, "it")))


def test_values_are_shown_in_some_hundred_characters():
    assert shown("a word") == "'a word'"
    for value in ("x" * 10**6, ["x" * 10**4] * 10**4, {str(key): key for key in range(10**4)}, b"x" * 10**6):
        assert len(shown(value)) < 1500


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert text_of(tmp_path / "a.yaml") == "a: 1"
