"""Tables as spreadsheets and people write them, read beside what `csv` and `json` say."""

import csv
import io
import json

import pytest

from hf_hmtl.data.own_faces.text_tables import read_text_table

ROWS = [("images/0.png", "angry"), ("images/1.png", "happy, very"), ("images/2.png", "")]


def written(rows, delimiter=",", header=("file_name", "label"), newline="\n"):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=newline)
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()


def read(path, content, encoding="utf-8", **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return read_text_table(path, **options)


def cells(found):
    return {name: found.table[name].to_pylist() for name in found.table.column_names}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_delimiters_and_ends_of_lines(tmp_path, encoding, newline, delimiter):
    rows = [*ROWS, ("images/3.png", "fröhlich")]
    found = read(tmp_path / "a.csv", written(rows, delimiter, newline=newline), encoding)
    assert cells(found) == {
        "file_name": [name for name, _ in rows],
        "label": [label or None for _, label in rows],
    }
    assert any("Windows-1252 ('fröhlich')" in note for note in found.notes) == (encoding == "cp1252")


def test_another_encoding_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(written([("0.png", "счастье")]).encode("cp1251"))
    assert cells(read_text_table(path, "cp1251"))["label"] == ["счастье"]
    with pytest.raises(ValueError, match=r"line 2: the bytes .* are no ascii. Type --set source.encoding=NAME"):
        read_text_table(path, "ascii")
    with pytest.raises(ValueError, match="unknown encoding: cp-none; name an encoding of Python"):
        read_text_table(path, "cp-none")
    path.write_bytes(b"file_name,label\n0.png,a\x81b\n")
    with pytest.raises(ValueError, match=r"a.csv, line 2: the bytes .* are no UTF-8, and no Windows-1252 either"):
        read_text_table(path)


def test_a_title_above_the_header_is_passed_over(tmp_path):
    found = read(tmp_path / "a.csv", "Faces of 2020;\n" + written(ROWS, ";"))
    assert cells(found)["file_name"] == [name for name, _ in ROWS]
    assert found.notes == ["a.csv: line 1 ('Faces of 2020;') is no header and was passed over"]


def test_empty_columns_that_spreadsheets_leave_are_dropped(tmp_path):
    found = read(tmp_path / "a.csv", "file_name,label,,\n0.png,a,,\n1.png,b,,\n")
    assert found.table.column_names == ["file_name", "label"]


def test_a_row_with_too_many_cells_is_named(tmp_path):
    rows = ["0.png,sad", "1.png,happy, very", *[f"{number}.png,a" for number in range(2, 20)]]
    for wrong, told in ((0, ""), (1, ", and 1 more such line"), (2, ", and 2 more such lines")):
        seen = rf"a.csv, line 3: 3 cells where the header has 2 \('1.png,happy, very'\){told}\. Put"
        with pytest.raises(ValueError, match=seen):
            read(tmp_path / "a.csv", "\n".join(["file_name,label", *rows, *["x.png,b, c"] * wrong]) + "\n")


def test_what_is_no_table_says_what_was_seen(tmp_path):
    with pytest.raises(ValueError, match="no delimiter divides its lines alike.* Line 1 is 'a;b', line 2 'c,d,e'"):
        read(tmp_path / "a.csv", "a;b\nc,d,e\nf|g\nh\n")
    with pytest.raises(ValueError, match="is empty; needed are a header"):
        read(tmp_path / "a.csv", "\n\n")
    with pytest.raises(ValueError, match="the header names 'label' twice"):
        read(tmp_path / "a.csv", "file,label,label\n0,1,2\n")


def test_types_of_columns(tmp_path):
    header = ("whole", "measure", "truth", "padded", "date", "word", "holes", "big")
    rows = [
        (1, 0.5, "true", "001", "2020-01-01", "NA", 3, 10**20),
        (-1, "1e3", "False", "002", "2020-01-02", "null", "NaN", 1),
        ("", ".5", "", "010", "", "", "", 2),
    ]
    found = read(tmp_path / "a.csv", written(rows, header=header))
    assert cells(found) == {
        "whole": [1, -1, None],
        "measure": [0.5, 1000.0, 0.5],
        "truth": ["true", "False", None],
        "padded": ["001", "002", "010"],
        "date": ["2020-01-01", "2020-01-02", None],
        "word": ["NA", "null", None],
        "holes": [3, None, None],
        "big": [1e20, 1.0, 2.0],
    }
    assert found.notes == ["a.csv: 1 cells of 'holes' (NaN) are missing numbers"]


def test_a_decimal_comma_in_a_table_of_semicolons(tmp_path):
    found = read(tmp_path / "a.csv", "file;valence;note\n0;0,25;a,b\n1;-1,0;c\n")
    assert cells(found) == {"file": [0, 1], "valence": [0.25, -1.0], "note": ["a,b", "c"]}


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_json_in_each_form(tmp_path, suffix):
    rows = [{"file": "0.png", "label": "2020-01-01", "age": 3}, {"file": "1.png", "age": None, "smile": True}]
    expected = {"file": ["0.png", "1.png"], "label": ["2020-01-01", None], "age": [3, None], "smile": [None, True]}
    lines = "\n".join(map(json.dumps, rows))
    forms = [json.dumps(rows), lines]
    if suffix == ".json":
        forms.append(json.dumps({name: [row.get(name) for row in rows] for name in expected}))
    for form in forms:
        assert cells(read(tmp_path / f"a{suffix}", form)) == expected


def test_json_of_mixed_cells_is_text_and_broken_json_names_its_line(tmp_path):
    found = read(tmp_path / "a.jsonl", '{"label": 1}\n{"label": "a"}\n')
    assert cells(found)["label"] == ["1", "a"]
    with pytest.raises(ValueError, match=r"a.json is not JSON \(line 2: "):
        read(tmp_path / "a.json", '[{"label": 1},\n{"label" 2}]')
    with pytest.raises(ValueError, match="is no table: needed is a list of objects"):
        read(tmp_path / "a.json", '"text"')


@pytest.mark.parametrize("title", [[], ["My labels"]])
def test_decimal_commas_are_no_delimiters_of_a_table_with_semicolons(tmp_path, title):
    rows = [f"{number}.jpg;0,{number}5" for number in range(9)]
    (tmp_path / "labels.csv").write_text("\n".join([*title, "file;valence", *rows]))
    table = read_text_table(tmp_path / "labels.csv").table
    assert table["file"].to_pylist() == [f"{number}.jpg" for number in range(9)]
    assert table["valence"].to_pylist() == pytest.approx([number / 10 + 0.05 for number in range(9)])
