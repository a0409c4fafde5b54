"""found = used + left out: what is noted, what is shown, and what stops a run."""

import pytest

from hf_hmtl.data.ledger import FOLDER, HELD_OUT, MISSING_FILE, NOT_IMAGE, SYSTEM, Ledger


def test_entries_add_up_and_keep_the_first_three_names():
    ledger = Ledger()
    ledger.leave_out("train", MISSING_FILE, ["a", "b"])
    ledger.leave_out("train", MISSING_FILE, ["c", "d"])
    ledger.leave_out("test", MISSING_FILE, ["e"])
    ledger.leave_out("test", NOT_IMAGE, [])
    assert ledger.count() == 5 and ledger.count("train") == 4
    what = "rows whose image file does not exist"
    assert ledger.to_dict() == {
        "train": {"missing_file": {"count": 4, "names": ["a", "b", "c"], "what": what}},
        "test": {"missing_file": {"count": 1, "names": ["e"], "what": what}},
    }
    assert ledger.lines() == [f"train: 4 {what} (a, b, c, ...)", f"test: 1 {what} (e)"]


@pytest.mark.parametrize(("count", "raises"), [(1, False), (2, True)])
def test_more_than_a_tenth_raises(count, raises):
    ledger = Ledger()
    ledger.leave_out("train", MISSING_FILE, [f"{number}.jpg" for number in range(count)], ["a"] * count)
    used = {"train": {"a": 9, "b": 0}}, {"train": 9}
    if raises:
        with pytest.raises(
            ValueError, match=r"of 11 in the train split, 2 rows whose.*\(0.jpg, 1.jpg\) would be left out"
        ):
            ledger.check(*used, "mine")
    else:
        ledger.check(*used, "mine")
    allowing = Ledger(["missing_file"])
    allowing.entries = ledger.entries
    allowing.check(*used, "mine")


def test_an_emptied_class_or_split_raises():
    ledger = Ledger()
    ledger.leave_out("train", NOT_IMAGE, ["calm/1.xyz"], ["calm"])
    with pytest.raises(ValueError, match=r"train split has no row left of the class 'calm': 1 files that are no image"):
        ledger.check({"train": {"happy": 100}}, {"train": 100}, "mine")
    ledger.check({"train": {"happy": 100, "calm": 1}}, {"train": 101}, "mine")
    ledger = Ledger()
    ledger.leave_out("test", NOT_IMAGE, ["1.xyz"])
    with pytest.raises(ValueError, match="test split has no row left: 1 files"):
        ledger.check({}, {"train": 100}, "mine")


def test_what_is_expected_may_take_any_share():
    ledger = Ledger()
    ledger.leave_out(FOLDER, SYSTEM, [str(number) for number in range(1000)], ["calm"] * 1000)
    ledger.leave_out("test", HELD_OUT, [str(number) for number in range(1000)])
    ledger.check({"train": {"happy": 1}}, {"train": 1}, "mine")
    assert ledger.count("test") == ledger.count(FOLDER) == 1000


def test_an_unknown_reason_cannot_be_allowed():
    with pytest.raises(ValueError, match="allow_left_out: 'missing' is no reason; the reasons are not_image, "):
        Ledger(["missing"])
