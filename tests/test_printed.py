"""What a recipe row may say of the paper's figures, and what is refused."""

import pytest
import yaml

from hf_hmtl import printed
from hf_hmtl.recipe import load

PAPER = {
    "table": "Tables 5 and 6",
    "row": "SL",
    "metric": "emotion_accuracy",
    "value": 0.5876,
    "also": {"emotion_macro_f1": 0.55},
    "plus_minus": 0.0002,
    "in_table": {"Table 6": {"row": "SL alone", "value": 0.5871}},
}


@pytest.fixture
def file(tmp_path):
    """Writes a recipe file whose one row has changes to `PAPER`, None for what is left out."""

    def write(**changes):
        paper = {key: value for key, value in (PAPER | changes).items() if value is not None}
        rows = {"a": {"supervised": {"emotion": {"task": "classification"}}, "paper": paper}}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({"defaults": {"source": {"name": "drawn"}}, "rows": rows}))
        return str(path)

    return write


def test_a_table_that_differs_has_its_own_name_and_figure(file):
    paper = load(file()).paper
    assert paper == PAPER
    of_five, of_six = (printed.in_table(paper, table) for table in ("5", "6"))
    assert (of_five["row"], of_five["value"]) == ("SL", 0.5876)
    assert (of_six["row"], of_six["value"], of_six["also"]) == ("SL alone", 0.5871, {"emotion_macro_f1": 0.55})


def test_one_figure_is_enough(file):
    paper = load(file(also=None, plus_minus=None, in_table=None)).paper
    assert printed.figures(paper) == {"emotion_accuracy": 0.5876}
    assert printed.in_table(paper, "6") == paper
    assert printed.figures(PAPER) == {"emotion_accuracy": 0.5876, "emotion_macro_f1": 0.55}


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("Table 12", {"12"}),
        ("Tables 1, 3 and 5", {"1", "3", "5"}),
        ("Appendix B, Table 2", {"B"}),
        ("Figure", set()),
    ],
)
def test_tables_are_read_off_their_names(text, tables):
    assert printed.tables_named(text) == tables


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": None}, "`paper` of recipe mine/a lacks value; it needs table, row, metric, value"),
        ({"alos": {}}, "unknown key of `paper` of recipe mine/a 'alos'. Did you mean 'also'"),
        ({"row": 3}, "`row` of `paper` of recipe mine/a is 3; allowed is text"),
        ({"metric": ["a"]}, "`metric` of .* allowed is text"),
        ({"metric": "affect_ccc"}, "'affect_ccc', which is no measure of emotion; write it as result.json does"),
        ({"value": 58.76}, "emotion_accuracy is 58.76; .* a share from 0 to 1, not percent"),
        ({"value": "high"}, "emotion_accuracy is 'high'; allowed are numbers"),
        ({"also": 0.55}, "`also` of `paper` of recipe mine/a is 0.55"),
        ({"also": {"emotion_macro_f1": 55.0}}, "emotion_macro_f1 is 55.0; .* not percent"),
        (
            {"also": {"test_emotion_macro_f1": 0.5}},
            "'test_emotion_macro_f1', which is no measure of emotion.*its split",
        ),
        ({"also": {"emotion_accuracy": 0.5}}, "gives emotion_accuracy as `metric` and under `also`"),
        ({"plus_minus": 2}, "`plus_minus` of `paper` of recipe mine/a says that emotion_accuracy is 2; .* not percent"),
        ({"in_table": "6"}, "`in_table` of `paper` of recipe mine/a is '6'"),
        ({"in_table": {"Table 7": {"value": 0.5}}}, "names 'Table 7', and the row stands in 'Tables 5 and 6'"),
        ({"in_table": {"six": {"value": 0.5}}}, "names 'six', and the row stands in 'Tables 5 and 6'"),
        ({"in_table": {"Table 6": {}}}, "it says what differs: row or value"),
        ({"in_table": {"Table 6": {"also": {}}}}, "it says what differs: row or value"),
        ({"in_table": {"Table 6": {"row": 6}}}, "`row` of Table 6 in .* is 6; allowed is text"),
        ({"in_table": {"Table 6": {"value": 58.71}}}, "Table 6 in `in_table` .* is 58.71; .* not percent"),
    ],
)
def test_mistakes_are_named(file, changes, message):
    with pytest.raises(ValueError, match=message):
        load(file(**changes))
