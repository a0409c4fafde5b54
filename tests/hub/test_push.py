"""`hf-hmtl push` to a Hub in memory: what arrives, what never does, and what is refused."""

import hashlib
import json
import re

import pytest
from hub_names import MACHINE, NAME, PERSON, SECRET, WHOLE
from hub_server import TOKEN
from huggingface_hub import CommitOperationAdd, HfApi, constants
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor

from hf_hmtl import HMTLForImageClassification
from hf_hmtl.commands.push import run as push_command
from hf_hmtl.hub.push import Choices, plan, push
from hf_hmtl.results.result import read


def changed_source(folder, name):
    """The same run, as if it had learned from another source."""
    result = read(folder / "result.json")
    result.recipe["source"]["name"] = name
    result.write(folder / "result.json")


def test_main_holds_the_slim_model_its_code_and_what_was_measured(hub, trained):
    push_command([str(trained), NAME])
    files = hub.files(NAME)
    assert set(files) == WHOLE
    assert json.loads(files["config.json"])["heads"].keys() == {"emotion"}
    assert files["model.safetensors"] == (trained / "model.safetensors").read_bytes()
    assert json.loads(files["result.json"]) == json.loads((trained / "result.json").read_text())
    assert f'model="{NAME}"' in files["README.md"].decode()
    assert hub.model(NAME).history() == ["Upload by hf_hmtl: main", "initial commit"]


def test_no_byte_of_all_that_is_sent_is_secret(hub, trained, monkeypatch):
    """Every branch, and every request: no token, place, person or machine, and no file that is not listed."""
    assert (trained / "checkpoint-4" / "training_args.bin").is_file()  # what transformers leaves in a checkpoint
    (trained / "notes.txt").write_text("mine")
    push_command([str(trained), NAME, "--with_heads", "--training", "--tag", "v1"])
    sent = b"\n".join([*hub.received, *hub.objects.values(), *(request.encode() for request in hub.requests)])
    assert len(sent) > 1_000_000
    for secret in (TOKEN, SECRET, str(trained.parent), PERSON, MACHINE, "notes.txt"):
        assert secret.encode() not in sent, secret
    names = {path for branch in hub.model(NAME).branches for path in hub.files(NAME, branch)}
    for never in ("training_args.bin", "run.json", "predictions.parquet", "notes.txt", "train.log"):
        assert not [name for name in names if name.endswith(never)]


def test_a_folder_that_was_given_relatively_holds_no_place_in_what_is_sent(relative):
    parts = plan(relative, NAME, Choices(branches=["with-heads", "training"])).branches["training"]
    sent = {part.path: part.read() for part in parts}
    assert not [path for path, content in sent.items() if SECRET.encode() in content]
    assert json.loads(sent["checkpoint-4/trainer_state.json"])["best_model_checkpoint"].startswith("checkpoint-")
    assert json.loads(sent["record.json"])["recipe.pretrained"] == "first"


@pytest.mark.parametrize("name", ["outputs", "logits"])
def test_a_word_that_code_uses_is_no_place(folder, monkeypatch, name):
    monkeypatch.chdir(folder.parent)
    assert name in (folder / "modeling_hmtl.py").read_text()
    folder.rename(name)
    assert "main" in plan(name, NAME, Choices()).branches


def test_a_token_reaches_no_file_of_the_run(trained):
    files = [path for path in trained.parent.rglob("*") if path.is_file()]
    assert any(path.name == "training_args.bin" for path in files)
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_a_dry_run_says_what_would_go_and_why_and_sends_nothing(hub, trained, capsys):
    push_command([str(trained), NAME, "--with_heads", "--dry_run"])
    shown = capsys.readouterr().out
    assert hub.requests == [] and "nothing was sent" in shown
    for path in WHOLE - {".gitattributes"}:
        assert f"  {path} " in shown
    size = (trained / "model.safetensors").stat().st_size
    assert f"{size:,}  model.safetensors" in shown and "the weights" in shown and "branch with-heads" in shown
    assert "public, unless your organisation's default is private" in shown


def test_a_repetition_makes_no_further_commit(hub, trained):
    first = push(trained, NAME)
    puts = [request for request in hub.requests if request.startswith("PUT")]
    assert push(trained, NAME).oid == first.oid and len(hub.model(NAME).commits) == 2
    assert [request for request in hub.requests if request.startswith("PUT")] == puts


@pytest.mark.parametrize("address", ["POST .*/preupload/", "POST .*lfs/objects/batch", "PUT /lfs/", "POST .*/commit/"])
@pytest.mark.parametrize("status", [401, 429, 500, None])
def test_whatever_cuts_it_off_the_same_command_goes_on(hub, trained, address, status):
    hub.fail(address, status, times=99)
    with pytest.raises(ConnectionError) as error:
        push(trained, NAME)
    told = "hf auth login" if status == 401 and not address.startswith("PUT") else "go|push it"
    assert (
        re.search(told, str(error.value))
        and "\n" not in str(error.value)
        and set(hub.files(NAME)) == {".gitattributes"}
    )
    hub.faults.clear()
    push(trained, NAME)
    assert set(hub.files(NAME)) == WHOLE and len(hub.model(NAME).commits) == 2


def test_a_moment_of_trouble_is_passed(hub, trained):
    hub.fail("POST .*/preupload/", 429)
    hub.fail("PUT /lfs/", 503, times=2)
    push(trained, NAME)
    assert set(hub.files(NAME)) == WHOLE


def test_without_a_network_it_ends_at_once_and_says_what_to_do(hub, trained, monkeypatch):
    attempts = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: attempts.append(seconds))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the port of "discard", where nobody listens
    with pytest.raises(ConnectionError, match="cannot be reached.*hf-hmtl push"):
        push(trained, NAME)
    with pytest.raises(ConnectionError, match="cannot be reached.*hf-hmtl push"):
        push(trained, "faces")
    assert attempts == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="HF_HUB_OFFLINE=1 forbids"):
        push(trained, NAME)


def test_a_name_alone_is_that_of_whoever_is_logged_in(hub, trained, monkeypatch):
    push(trained, "faces")
    assert set(hub.files(NAME)) == WHOLE and f'model="{NAME}"' in hub.files(NAME)["README.md"].decode()
    with pytest.raises(ConnectionError, match="must not write"):
        push(trained, "somebody/faces")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ConnectionError, match="hf auth login"):
        push(trained, NAME)


def test_another_model_is_refused_unless_it_is_to_be_replaced(hub, trained, folder):
    push(trained, NAME)
    other = read(folder / "result.json")
    other.seeds["training"] = 43
    other.write(folder / "result.json")
    with pytest.raises(ValueError, match="another run.*43.*--overwrite"):
        push(folder, NAME)
    assert hub.files(NAME)["result.json"] == (trained / "result.json").read_bytes()
    push(folder, NAME, Choices(overwrite=True))
    assert json.loads(hub.files(NAME)["result.json"])["seeds"]["training"] == 43


def test_a_repository_with_other_files_is_refused_and_emptied_when_asked(hub, trained):
    api = HfApi()
    api.create_repo(NAME)
    api.create_commit(NAME, [CommitOperationAdd("training_args.bin", b"pickle")], commit_message="by hand")
    with pytest.raises(ValueError, match="training_args.bin.*--overwrite"):
        push(trained, NAME)
    push(trained, NAME, Choices(overwrite=True))
    assert set(hub.files(NAME)) == WHOLE


def test_another_network_is_refused(hub, trained, folder):
    push(trained, NAME)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"backbone": "test_resnet"}))
    with pytest.raises(ValueError, match="another network.*test_efficientnet"):
        push(folder, NAME)


def test_versions_stay_what_they_are(hub, trained, folder):
    push(trained, NAME, Choices(tag="v1"))
    push(trained, NAME, Choices(tag="v1"))
    (folder / "curves.png").write_bytes(b"another picture")
    with pytest.raises(ValueError, match="versions stay what they are"):
        push(folder, NAME, Choices(tag="v1"))
        push(folder, NAME, Choices(tag="v1"))
    push(folder, NAME, Choices(tag="v2"))
    assert hub.files(NAME, "v1")["curves.png"] == (trained / "curves.png").read_bytes()
    assert hub.files(NAME, "v2")["curves.png"] == b"another picture"


@pytest.mark.parametrize("source, known", [("affectnet", "AffectNet"), ("fer2013", "FER2013"), ("custom", "whoever")])
def test_weights_of_faces_on_terms_are_private_unless_one_answers_for_it(hub, folder, source, known):
    changed_source(folder, source)
    shown = str(plan(folder, NAME, Choices()))
    assert "private, because the weights learned from" in shown and known in shown and "--public" in shown
    push(folder, NAME)
    assert hub.model(NAME).private
    push(folder, f"{NAME}-open", Choices(private=False))
    opened = hub.model(f"{NAME}-open")
    assert not opened.private and opened.gated == ("manual" if source != "custom" else False)
    card = hub.files(f"{NAME}-open")["README.md"].decode()
    assert ("extra_gated_prompt" in card) == (source != "custom") and "license: other" in card


def test_what_is_private_is_not_put_into_a_public_repository(hub, trained, folder):
    push(trained, NAME)
    changed_source(folder, "affectnet")
    with pytest.raises(ValueError, match="is public, and this push is private.*AffectNet.*--public"):
        push(folder, NAME)


def test_terms_are_inherited_from_the_weights_that_a_run_began_with(hub, folder):
    result = read(folder / "result.json")
    assert result.started_from == {"name": "quickstart/puzzle-3x3", "base_model": None, "sources": ["drawn"]}
    result.started_from["sources"] = ["affectnet"]
    result.write(folder / "result.json")
    push(folder, NAME)
    assert hub.model(NAME).private


def test_a_folder_that_cannot_be_used_is_not_pushed(hub, trained, folder):
    with pytest.raises(ValueError, match="heads that serve training only.*puzzle.*slim"):
        push(trained / "checkpoint-4", NAME)
    with pytest.raises(FileNotFoundError, match="holds no model"):
        push(folder.parent, NAME)
    (folder / "losses_hmtl.py").unlink()
    with pytest.raises(FileNotFoundError, match="losses_hmtl.py"):
        push(folder, NAME)
    assert not [request for request in hub.requests if "create" in request]


@pytest.mark.parametrize("text", [TOKEN, "hf_" + "x" * 34, "{folder}"])
def test_the_last_look_finds_what_must_not_leave(hub, folder, text):
    with open(folder / "recipe.yaml", "a") as file:
        file.write("# " + text.format(folder=folder))
    with pytest.raises(ValueError, match="recipe.yaml holds .*must not leave"):
        push(folder, NAME)
    assert NAME not in [name for _, name in hub.repositories]


def test_names_of_rows_that_were_left_out_stay_here(hub, folder):
    result = read(folder / "result.json")
    result.left_out = {"train": {"no face": {"count": 2, "names": ["ann/1.jpg", "bob/2.jpg"]}}}
    result.write(folder / "result.json")
    push(folder, NAME)
    assert json.loads(hub.files(NAME)["result.json"])["left_out"] == {"train": {"no face": {"count": 2}}}
    assert not any(b"ann/1.jpg" in content for content in hub.received)


def exported(folder, **names):
    """The files of an export of a folder, but for what is in them; as `hf-hmtl export` names them, or others too."""
    (folder / "onnx").mkdir()
    for name in ("model.onnx", "example.py", *names):
        (folder / "onnx" / name).write_bytes(name.encode())
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "onnx" / "export.json").write_text(json.dumps({"weights": {"model.safetensors": digest}}))


def test_what_was_exported_of_these_weights_goes_too(hub, folder):
    exported(folder, **{"my_photograph.png": None})
    push_command([str(folder), NAME])
    files = hub.files(NAME)
    assert set(files) == WHOLE | {"onnx/model.onnx", "onnx/example.py", "onnx/export.json"}
    assert files["onnx/model.onnx"] == b"model.onnx"
    assert "[onnx/model.onnx](onnx/model.onnx)" in files["README.md"].decode()


def test_what_was_exported_of_other_weights_is_refused(hub, folder):
    exported(folder)
    weights = load_file(folder / "model.safetensors")
    weights[next(iter(weights))] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="onnx was made of other weights than .* Export again: hf-hmtl export "):
        push_command([str(folder), NAME])
    assert not hub.requests or "create" not in " ".join(hub.requests)


def test_a_model_without_a_result_tells_of_its_export_too(trained, tmp_path):
    HMTLForImageClassification.from_pretrained(trained).save_pretrained(tmp_path)
    AutoImageProcessor.from_pretrained(trained).save_pretrained(tmp_path)
    exported(tmp_path)
    cards = [
        part.read().decode() for part in plan(tmp_path, NAME, Choices()).branches["main"] if part.path == "README.md"
    ]
    assert "[onnx/example.py](onnx/example.py)" in cards[0]


def test_runs_with_other_seeds_stand_in_the_card_and_nowhere_else(hub, trained, folder):
    other = read(folder / "result.json")
    other.seeds["training"] = 43
    other.write(folder / "result.json")
    push_command([str(trained), NAME, "--runs", str(folder)])
    files = hub.files(NAME)
    assert set(files) == WHOLE and "The seeds 42, 43; this model is that of seed 42." in files["README.md"].decode()
    assert json.loads(files["result.json"])["seeds"]["training"] == 42


@pytest.mark.parametrize("name", ["bad name!!", "bad name/x y", "user/", "a/b/c", "x..y"])
def test_a_name_that_no_repository_can_have_is_told_before_all_else(hub, trained, capsys, name):
    for options in ([], ["--dry_run"]):
        with pytest.raises(ValueError, match="[Rr]epo"):
            push_command([str(trained), name, *options])
    assert capsys.readouterr().out == "" and hub.requests == []
