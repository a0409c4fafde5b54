"""Who publishes a model: hf_hmtl where it is installed, since it knows what may leave; else transformers itself."""

import os
from collections.abc import Callable

_OPTIONS = (
    "repo_id", "private", "token", "commit_message", "commit_description", "create_pr", "revision", "tags", "overwrite",
    "tag",
)  # fmt: skip
_publishers: list[Callable] = []


def publish_with(publisher: Callable):
    """Let our models be published by `publisher(model, repo_id, **options)`."""
    _publishers[:] = [publisher]


class Publishing:
    """How a model gets to the Hub; it stands before `PreTrainedModel` among the bases of a model."""

    def push_to_hub(self, repo_id: str, **options):
        """Publishes the model as it is used: without training heads, with code, image processor and card.

        Args:
            repo_id: "user/name", or "name" of whoever is logged in.
            options: `private`, `token`, `commit_message`, `overwrite`, `tag`; see `hf_hmtl.hub.model.push_model`. Where
                hf_hmtl is not installed, those of transformers, which publishes all that `save_pretrained` saves.

        Raises:
            ConnectionError, ValueError: the Hub cannot be reached, or the repository holds another model.
        """
        if _publishers:
            return _publishers[0](self, repo_id, **options)
        return super().push_to_hub(repo_id, **options)  # type: ignore[misc]

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **options):
        """As the base class's; with `push_to_hub`, then publishes by way of `push_to_hub(repo_id, ...)`."""
        if not push_to_hub or not _publishers:
            return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **options)  # type: ignore[misc]
        asked = {name: options.pop(name) for name in _OPTIONS if name in options}
        super().save_pretrained(save_directory, **options)  # type: ignore[misc]
        repo_id = asked.pop("repo_id", None) or os.path.basename(os.path.abspath(save_directory))
        return self.push_to_hub(repo_id, **asked)
