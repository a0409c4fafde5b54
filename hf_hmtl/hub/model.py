"""`model.push_to_hub()` and `trainer.push_to_hub()`: a model in memory, published as a folder is."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import CommitInfo
from safetensors.torch import load_file

from hf_hmtl.hub.contents import CONFIG, WEIGHTS, config_of, result_of, same_network
from hf_hmtl.hub.push import Choices, push
from hf_hmtl.model.image_processing_hmtl import HMTLImageProcessor

# {option of transformers: what to do instead}; they would make another main branch than the other ways do.
_REFUSED = {
    "create_pr": "the main branch of a repository of your own is written; give its name",
    "revision": "a push writes main; name a version of it with tag='v1'",
    "commit_description": "say it in commit_message",
    "tags": "the card's tags are made from the model",
    "max_shard_size": "save with model.slim().save_pretrained(FOLDER, max_shard_size=...), then: hf-hmtl push FOLDER",
}


def push_model(
    model: torch.nn.Module,
    repo_id: str,
    *,
    processor=None,
    run_folder: str | Path | None = None,
    private: bool | None = None,
    token: str | bool | None = None,
    commit_message: str | None = None,
    overwrite: bool = False,
    tag: str | None = None,
    **refused: Any,
) -> CommitInfo:
    """Publish a model: without training heads, with code, image processor and card.

    Args:
        model: one of ours.
        repo_id: "user/name", or "name" of whoever is logged in.
        processor: its image processor; that of the folder it was loaded from, else a plain one, unless given.
        run_folder: of the run that made it; the folder that it was loaded from unless given. If these are still its
            weights, to the bit, that folder is published with its results; else the card says that there are none.
        private, overwrite, tag: see `Choices`.
        token: a token; True and None mean whoever is logged in.
        commit_message: of the commit.

    Returns:
        The commit of the main branch.

    Raises:
        ConnectionError, ValueError: as `push`; or an option of transformers that has no meaning here.
    """
    for name, value in refused.items():
        if value and name in _REFUSED:
            raise ValueError(f"push_to_hub({name}={value!r}): {_REFUSED[name]}")
        if name not in _REFUSED:
            raise TypeError(f"push_to_hub has no option {name!r}")
    run = Path(run_folder or getattr(model.config, "name_or_path", "") or "?")
    choices = Choices(
        private=private,
        overwrite=overwrite,
        tag=tag,
        token=token if isinstance(token, str) else None,
        message=commit_message,
        learned_from=_learned_from(model, run, Path(getattr(model.config, "name_or_path", "") or "?")),
    )
    with tempfile.TemporaryDirectory(prefix="hf_hmtl-") as name:
        folder = Path(name)
        slim = model.slim() if hasattr(model, "slim") else model
        slim.save_pretrained(folder)
        (processor or _processor_of(run, model)).save_pretrained(folder)
        measured = result_of(run) is not None and _same_model(folder, run)
        return push(run if measured else folder, repo_id, choices)


def _learned_from(model: torch.nn.Module, *folders: Path) -> list[str]:
    """Sources that a model has learned from, as far as its configuration and the folders know that it was made in or
    loaded from."""
    results = [result for folder in folders if (result := result_of(folder))]
    own = getattr(getattr(model.config, "frame_config", model.config), "learned_from", None) or []
    return list(dict.fromkeys([*(source for result in results for source in result.learned_from), *own]))


def _processor_of(run: Path, model: torch.nn.Module) -> HMTLImageProcessor:
    if (run / "preprocessor_config.json").is_file():
        return HMTLImageProcessor.from_pretrained(run)
    return HMTLImageProcessor(size=model.config.image_size)


def _same_model(folder: Path, run: Path) -> bool:
    """Whether the run's folder holds the network and labels of this one, and its tensors to the bit."""
    if not (run / CONFIG).is_file() or not same_network(config_of(folder), config_of(run)):
        return False
    if not (folder / WEIGHTS).is_file() or not (run / WEIGHTS).is_file():
        return False
    ours, theirs = load_file(folder / WEIGHTS), load_file(run / WEIGHTS)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
