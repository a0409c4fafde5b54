"""The page on speed shows the table of the committed measurement."""

import json
from pathlib import Path

from hf_hmtl.benchmark.rows import Row, table

PAGES = Path(__file__).parents[2] / "model_cards"


def test_the_table_of_the_page_is_that_of_the_committed_rows():
    rows = [Row(**row) for row in json.loads((PAGES / "benchmark.json").read_text(encoding="utf-8"))]
    page = (PAGES / "speed.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- table -->\n")[2].partition("\n<!-- end of table -->")[0]
    assert shown == table(rows)
