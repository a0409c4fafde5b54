"""The one way to the Hub: one commit a branch that makes it hold what `contents` lists, and nothing else.

A commit is whole or absent, so whatever interrupts a push, the same command goes on: files that have arrived are not
sent again, and a branch that holds them already gets no further commit.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from hf_hmtl.hub.contents import CONFIG, MAIN, RESULT, Part, config_of, of_branch, result_of, same_network
from hf_hmtl.hub.private import require_nothing_private
from hf_hmtl.parsing import read_json
from hf_hmtl.results.terms import gating, restricted

SECONDS = 10  # to wait for the Hub's first answer
KEPT = (".gitattributes",)  # what the Hub puts into a new repository


@dataclass
class Plan:
    """What a push would do.

    Attributes:
        repo_id: of the repository.
        branches: {branch: its files}.
        private: whether a new repository is private; None for the Hub's own default.
        why: the reason, for readers.
        gated: whether the Hub asks for the card's conditions before it gives out files.
    """

    repo_id: str
    branches: dict[str, list[Part]]
    private: bool | None
    why: str
    gated: bool = False

    def __str__(self) -> str:
        lines = [f"{self.repo_id}: {self.why}"]
        for branch, parts in self.branches.items():
            lines.append(f"\nbranch {branch}: {len(parts)} files, {sum(part.size for part in parts):,} bytes")
            lines += [f"{part.size:>14,}  {part.path:36} {part.reason}" for part in parts]
        return "\n".join(lines)


@dataclass
class Choices:
    """How to publish.

    Attributes:
        private: True or False; None decides by the terms of the data.
        overwrite: replace another model that the repository holds.
        tag: name of a version to give to the main branch.
        branches: beside main, with-heads or training.
        token: of the Hub; the one that is logged in unless given.
        message: of the commit.
        runs: folders of runs of the same recipe with other seeds, whose mean and deviation the card tells.
        learned_from: names of sources, where the folder has no result.json that tells.
    """

    private: bool | None = None
    overwrite: bool = False
    tag: str | None = None
    branches: Sequence[str] = ()
    token: str | None = None
    message: str | None = None
    runs: Sequence[str | Path] = ()
    learned_from: Sequence[str] = ()


def plan(folder: str | Path, repo_id: str, choices: Choices) -> Plan:
    """Find out what would be pushed, without the network.

    Raises:
        FileNotFoundError, ValueError: no repository can be called so, the folder lacks something, or it holds what must
            not leave.
    """
    validate_repo_id(repo_id)
    folder = Path(folder)
    others = [Path(run) for run in choices.runs]
    branches = {branch: of_branch(branch, folder, repo_id, others) for branch in (MAIN, *choices.branches)}
    for parts in branches.values():
        require_nothing_private(parts, folder, choices.token)
    result = result_of(folder)
    sources = result.learned_from if result else list(choices.learned_from)
    found = restricted(sources)
    names = " and ".join(f"{terms.name}{' (research only)' * bool(terms.research_only)}" for terms in found)
    private, gated = choices.private, False
    if found and private is None:
        private = True
        why = f"private, because the weights learned from {names}; --public says that you may pass them on"
    elif found and not private:
        gated = bool(gating(sources))
        why = f"public: you say that the terms of {names} let you pass on what was learned from it"
        why += ", and whoever asks must accept the conditions of the card" * gated
    elif private is None:
        why = "public, unless your organisation's default is private: no terms are known that forbid it"
    else:
        why = "private, as you asked" if private else "public, as you asked"
    return Plan(repo_id, branches, private, why, gated)


def push(folder: str | Path, repo_id: str, choices: Choices | None = None) -> CommitInfo:
    """Publish a folder.

    Args:
        folder: of a run, or with a saved model.
        repo_id: "user/name", or "name" of whoever is logged in.
        choices: how.

    Returns:
        The commit of the main branch.

    Raises:
        ConnectionError: the Hub cannot be reached or refuses; the message says what to type.
        FileNotFoundError, ValueError: the folder cannot be published, or the repository holds another model.
    """
    validate_repo_id(repo_id)
    choices = choices or Choices()
    api = HfApi(token=choices.token)
    with _explained(repo_id):
        repo_id = full_name(api, repo_id)
        wanted = plan(folder, repo_id, choices)
        head = _head(api, repo_id)
        if head is None:
            api.create_repo(repo_id, private=wanted.private)
        else:
            _require_the_same_model(api, repo_id, Path(folder), wanted, choices.overwrite)
            _require_visibility(api, repo_id, wanted)
        if wanted.gated:
            api.update_repo_settings(repo_id, gated="manual")
        _require_free_tag(api, repo_id, choices.tag)
        made = {
            branch: _commit(api, repo_id, branch, parts, choices.message) for branch, parts in wanted.branches.items()
        }
        if choices.tag:
            api.create_tag(repo_id, tag=choices.tag, revision=made[MAIN].oid, exist_ok=True)
    return made[MAIN]


def require_reachable(repo_id: str, token: str | None) -> None:
    """Raise before a long training when its end could not be published.

    Raises:
        ConnectionError: no network, or nobody is logged in; the message says what to type.
        ValueError: no repository can be called so.
    """
    validate_repo_id(repo_id)
    api = HfApi(token=token)
    with _explained(repo_id):
        _head(api, repo_id if "/" in repo_id else "hf-hmtl/is-it-there")
        api.whoami()


def full_name(api: HfApi, repo_id: str) -> str:
    """The name with that of its owner, who is whoever is logged in unless it says so itself."""
    if "/" in repo_id:
        return repo_id
    _head(api, f"hf-hmtl/{repo_id}")  # fails in seconds without a network, which whoami does not
    return f"{api.whoami()['name']}/{repo_id}"


def _head(api: HfApi, repo_id: str, revision: str = MAIN) -> str | None:
    """The last commit, or None where there is no such repository."""
    try:
        return api.model_info(repo_id, revision=revision, timeout=SECONDS).sha
    except RepositoryNotFoundError:
        return None


def _commit(api: HfApi, repo_id: str, branch: str, parts: list[Part], message: str | None) -> CommitInfo:
    """Make a branch hold these files and no others."""
    if branch != MAIN:
        api.create_branch(repo_id, branch=branch, exist_ok=True)
    head = _head(api, repo_id, branch)
    there = set(api.list_repo_files(repo_id, revision=head))
    operations: list = [CommitOperationAdd(part.path, part.content) for part in parts]
    strangers = there - {part.path for part in parts} - set(KEPT)
    operations += [CommitOperationDelete(path, is_folder=False) for path in sorted(strangers)]
    summary = message or f"Upload by hf_hmtl: {branch}"
    return api.create_commit(repo_id, operations, commit_message=summary, revision=branch, parent_commit=head)


def _require_the_same_model(api: HfApi, repo_id: str, folder: Path, wanted: Plan, overwrite: bool) -> None:
    """Raise when the main branch holds anything but an earlier state of this model."""
    if overwrite:
        return
    there = set(api.list_repo_files(repo_id)) - set(KEPT)
    strangers = there - {part.path for part in wanted.branches[MAIN]}
    if strangers:
        _refuse(repo_id, f"files that are none of this model's ({', '.join(sorted(strangers)[:5])})")
    if CONFIG in there:
        theirs, ours = _json(api, repo_id, CONFIG), config_of(folder)
        if not same_network(theirs, ours):
            _refuse(repo_id, f"another network (backbone {theirs.get('backbone')}, heads {theirs.get('heads')})")
    if RESULT in there and (result := result_of(folder)) is not None:
        theirs = _json(api, repo_id, RESULT)
        for key, value in (("name", result.name), ("seeds", result.seeds)):
            if theirs.get(key) != value:
                _refuse(repo_id, f"a model of another run ({key}: {theirs.get(key)}, and here {value})")


def _refuse(repo_id: str, what: str) -> None:
    raise ValueError(
        f"{repo_id} holds {what}. Choose another name, or replace what is there with --overwrite (in Python "
        "overwrite=True); its history keeps it"
    )


def _json(api: HfApi, repo_id: str, name: str) -> dict:
    return read_json(Path(api.hf_hub_download(repo_id, name)))


def _require_visibility(api: HfApi, repo_id: str, wanted: Plan) -> None:
    """Raise when a repository that everybody sees would get what is private."""
    if wanted.private and not api.model_info(repo_id).private:
        raise ValueError(
            f"{repo_id} is public, and this push is {wanted.why}. Make the repository private on its page, choose "
            "another name, or pass --public (in Python private=False)"
        )


def _require_free_tag(api: HfApi, repo_id: str, tag: str | None) -> None:
    taken = {each.name: each.target_commit for each in api.list_repo_refs(repo_id).tags} if tag else {}
    if tag in taken and taken[tag] != _head(api, repo_id):
        raise ValueError(
            f"{repo_id} has a version {tag} already, and versions stay what they are. Choose another --tag"
        )


@contextlib.contextmanager
def _explained(repo_id: str) -> Iterator[None]:
    """Turn what the network says into one sentence with what to do."""
    again = "Type the same again: it goes on where it stopped, and no branch is ever left in between"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise ConnectionError(
            f"HF_HUB_OFFLINE=1 forbids the network, and {repo_id} is on the Hub. Unset it, then push the folder: "
            f"hf-hmtl push FOLDER {repo_id}"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        said = {
            401: "nobody is logged in, or the token is no longer valid. Type: hf auth login, or set HF_TOKEN to one "
            "that may write",
            403: "the token must not write there. Give a name of your own, or a token that may write",
            412: f"somebody else has changed it meanwhile. {again}",
            429: f"the Hub wants fewer requests. Wait some minutes. {again}",
        }.get(status, f"the Hub answered {status}. {again}")
        raise ConnectionError(f"{repo_id}: {said}") from error
    except (OSError, RuntimeError) as error:
        if isinstance(error.__cause__, HfHubHTTPError) or _is_transport(error.__cause__):
            cause = str(error.__cause__).splitlines()[0]
            raise ConnectionError(f"{repo_id}: a file did not arrive ({cause}). {again}") from error
        raise
    except Exception as error:
        if not _is_transport(error):
            raise
        raise ConnectionError(
            f"the Hub ({HfApi().endpoint}) cannot be reached ({type(error).__name__}). The folder stays as it is; "
            f"with a network, push it: hf-hmtl push FOLDER {repo_id}"
        ) from error


def _is_transport(error: BaseException | None) -> bool:
    """Whether it is of the client's network library, which changed its name (httpx, httpx2)."""
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
