"""The Hub in memory, asked by the installed client for what the other tests rely on."""

import pytest
from hub_server import USER
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

NAME = f"{USER}/model"


@pytest.fixture
def api(hub):
    """The installed client, with a repository of two commits."""
    api = HfApi()
    api.create_repo("model")
    operations = [CommitOperationAdd("a/one.txt", b"one"), CommitOperationAdd("model.safetensors", bytes(1000))]
    api.create_commit(NAME, operations, commit_message="first")
    api.create_tag(NAME, tag="v1")
    api.create_commit(NAME, [CommitOperationAdd("a/one.txt", b"two")], commit_message="second")
    return api


def test_revisions_are_what_they_were(hub, api):
    assert hub.model(NAME).history() == ["second", "first", "initial commit"]
    first = api.model_info(NAME, revision="v1").sha
    for revision, content in (("main", "two"), ("v1", "one"), (first, "one"), (first[:8], "one")):
        with open(hf_hub_download(NAME, "a/one.txt", revision=revision)) as file:
            assert file.read() == content
    assert api.list_repo_files(NAME, revision="v1") == [".gitattributes", "a/one.txt", "model.safetensors"]
    with pytest.raises(RevisionNotFoundError):
        api.model_info(NAME, revision="v2")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(NAME, "two.txt")


def test_large_files_travel_once_and_come_back(hub, api):
    info = {file.path: file for file in api.list_repo_tree(NAME, recursive=True)}
    assert info["model.safetensors"].lfs.size == 1000 and info["a/one.txt"].lfs is None
    api.create_commit(NAME, [CommitOperationAdd("copy.safetensors", bytes(1000))], commit_message="third")
    assert len([request for request in hub.requests if request.startswith("PUT /lfs/")]) == 1
    folder = snapshot_download(NAME)
    with open(f"{folder}/copy.safetensors", "rb") as file:
        assert file.read() == bytes(1000)


def test_nothing_is_committed_twice_and_deletions_are(hub, api):
    api.create_commit(NAME, [CommitOperationAdd("a/one.txt", b"two")], commit_message="again")
    assert hub.model(NAME).history()[0] == "second"
    api.create_commit(NAME, [CommitOperationDelete("a/", is_folder=True)], commit_message="gone")
    assert set(hub.files(NAME)) == {".gitattributes", "model.safetensors"}


def test_branches_tags_and_parents_are_kept(hub, api):
    api.create_branch(NAME, branch="other", revision="v1")
    api.create_branch(NAME, branch="other", exist_ok=True)
    api.create_commit(NAME, [CommitOperationAdd("b.txt", b"b")], revision="other", commit_message="aside")
    refs = api.list_repo_refs(NAME)
    assert {branch.name for branch in refs.branches} == {"main", "other"} and refs.tags[0].name == "v1"
    assert "b.txt" not in hub.files(NAME) and hub.files(NAME, "other")["a/one.txt"] == b"one"
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag(NAME, tag="v1")
    old = api.model_info(NAME, revision="v1").sha
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit(NAME, [CommitOperationAdd("c", b"c")], commit_message="late", parent_commit=old)


def test_who_may_see_and_write(hub, api, monkeypatch):
    api.create_repo("hidden", private=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("hidden")
    assert api.create_repo("hidden", exist_ok=True).repo_id == f"{USER}/hidden"
    assert api.model_info(f"{USER}/hidden").private
    anonymous = HfApi(token=False)
    with pytest.raises(RepositoryNotFoundError):
        anonymous.model_info(f"{USER}/hidden")
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(token="hf_wrong").model_info(NAME)
    with pytest.raises(HfHubHTTPError, match="403"):
        api.create_repo("somebody/model")
    api.update_repo_settings(NAME, gated="manual")
    assert api.model_info(NAME).gated == "manual"


def test_faults_are_met_and_passed(hub, api):
    hub.fail("POST .*/preupload/", 429, times=2)
    hub.fail("POST .*lfs/objects/batch", 503)
    hub.fail("PUT /lfs/", None)
    api.create_commit(NAME, [CommitOperationAdd("x.safetensors", b"x" * 99)], commit_message="through")
    assert hub.files(NAME)["x.safetensors"] == b"x" * 99
    hub.fail("POST .*/commit/", 500)
    with pytest.raises(HfHubHTTPError, match="500"):
        api.create_commit(NAME, [CommitOperationAdd("y.txt", b"y")], commit_message="lost")
    assert hub.model(NAME).history()[0] == "through"


def test_a_card_that_is_no_yaml_is_refused_and_one_without_a_licence_warned_of(api):
    with pytest.raises(ValueError, match="mapping values"):
        api.create_commit(NAME, [CommitOperationAdd("README.md", b"---\na: b: c\n---\n")], commit_message="card")
    with pytest.warns(UserWarning, match="license"):
        api.create_commit(NAME, [CommitOperationAdd("README.md", b"---\ntags: []\n---\n")], commit_message="card")
