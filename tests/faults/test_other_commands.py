"""Commands beside training that are killed or told to end: what they leave goes on with the same command."""

import pandas
import pytest
from broken_runs import OPTIONS, TRAINER, outcome
from child_commands import at, interrupt_all, kill, run, tell
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.faults]
ENDS = {"killed": (kill, -9), "told": (tell, 143), "interrupted": (interrupt_all, 130)}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The scores of an uninterrupted comparison."""
    folder = tmp_path_factory.mktemp("compared")
    return scores(compare(folder, 1), folder)


def compare(folder, at_a_time, fault=None):
    rows = ["quickstart/supervised", "quickstart/puzzle-3x3"]
    arguments = ["compare", *rows, "--seeds", "1", "--at_a_time", str(at_a_time), "--output_dir", str(folder / "all")]
    return run([*arguments, "--", *OPTIONS], folder / "log", fault)


def scores(ended, folder):
    assert ended.status == 0, ended.printed[-3000:]
    return {path.parent.parent.name: outcome(path.parent)["metrics"] for path in folder.rglob("result.json")}


@pytest.mark.parametrize("how", ENDS)
def test_a_comparison_goes_on_within_the_run_that_was_broken_off(compared, tmp_path, how):
    befalls, status = ENDS[how]
    ended = compare(tmp_path, 1, at(f"{TRAINER}.training_step", 13, befalls))  # the second run's fifth
    assert ended.status == status, ended.printed[-3000:]
    if status > 0:
        assert ended.last_line.startswith("hf-hmtl compare: ") and ended.last_line.endswith("The same command goes on")
        assert "Traceback" not in ended.printed
    assert len(list(tmp_path.rglob("result.json"))) == 1
    assert scores(compare(tmp_path, 1), tmp_path) == compared


@pytest.mark.parametrize("how", ENDS)
def test_runs_side_by_side_end_with_their_comparison(compared, tmp_path, how):
    """It ends when they have; how far they came is no matter."""
    befalls, status = ENDS[how]
    ended = compare(tmp_path, 2, at("hf_hmtl.compare.side_by_side:wait", 1, befalls))
    assert ended.status == status, ended.printed[-3000:]
    if status > 0:
        assert ended.last_line.endswith("The same command goes on") and "Traceback" not in ended.printed
    assert ended.leaves_no_process()
    assert scores(compare(tmp_path, 2), tmp_path) == compared


@pytest.mark.parametrize("how", ENDS)
def test_a_table_of_faces_is_whole_or_goes_on(whole, tmp_path, how):
    befalls, status = ENDS[how]
    (tmp_path / "pictures").mkdir()
    for number in range(6):
        Image.new("RGB", (48, 48), (40 * number, 90, 120)).save(tmp_path / "pictures" / f"{number}.png")
    arguments = ["predict", str(tmp_path / "pictures"), "--model", str(whole), "--cropped", "--output"]
    for place in ("hf_hmtl.serving.table:Parts.add", "hf_hmtl.serving.table:Parts.finish"):
        table = tmp_path / f"{place.rpartition('.')[2]}.csv"
        ended = run([*arguments, str(table)], tmp_path / "log", at(place, 1, befalls))
        assert ended.status == status and not table.exists(), ended.printed[-3000:]
        ended = run([*arguments, str(table)], tmp_path / "log")
        assert ended.status == 0 and len(pandas.read_csv(table)) == 6, ended.printed[-3000:]
        assert {path.name for path in tmp_path.iterdir()} <= {"pictures", "log", "add.csv", "finish.csv"}
