import pytest

from hf_hmtl.files import is_local, without_place


@pytest.mark.parametrize("name", ["/some/secret/model", r"C:\secret\model", "~/secret/model", "./model", "../model"])
def test_places_on_a_machine_are_told_from_names_of_the_hub(name):
    assert is_local(name) and without_place(name) == "model"


def test_what_lies_here_is_local_and_the_rest_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_local("user/model") and without_place("user/model") == "user/model" and not is_local("")
    (tmp_path / "user" / "model").mkdir(parents=True)
    assert is_local("user/model") and without_place("user/model") == "model"
