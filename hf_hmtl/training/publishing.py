"""How a trainer publishes: the finished model, by the same way as everything else; checkpoints stay where they are."""

from pathlib import Path

from huggingface_hub import CommitInfo
from transformers import Trainer

from hf_hmtl.hub.model import push_model
from hf_hmtl.hub.push import require_reachable
from hf_hmtl.training.final import without_adapters


class Publishing(Trainer):
    """A trainer whose pushes are ours; transformers' own would send what lies in the output folder."""

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Look, before the first step, whether the end of this training could be published; nothing is made yet.

        Raises:
            ConnectionError: no network, or nobody is logged in.
        """
        if self.is_world_process_zero():
            require_reachable(self._repository(), token or self.args.hub_token)

    def push_to_hub(
        self,
        commit_message: str | None = None,
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **options,
    ) -> CommitInfo | None:
        """Publish the model as `model.push_to_hub()` does, with the results of this run if they are in `output_dir`.

        Args:
            commit_message: of the commit.
            blocking: False is refused, since a process that ends would cut the upload off.
            token, private: those of the arguments unless given.
            revision: refused; `tag="v1"` names a version.
            options: `overwrite`, `tag`.

        Returns:
            The commit of the main branch; None on processes other than the first.

        Raises:
            ConnectionError, ValueError: as `hf_hmtl.hub.push.push`.
        """
        if not blocking:
            raise ValueError("push_to_hub(blocking=False): a process that ends would cut the upload off. Leave it out")
        if not self.is_world_process_zero():
            return None
        return push_model(
            without_adapters(self.accelerator.unwrap_model(self.model)),
            self._repository(),
            processor=self.processing_class,
            run_folder=self.args.output_dir,
            private=self.args.hub_private_repo if private is None else private,
            token=token or self.args.hub_token,
            commit_message=commit_message,
            revision=revision,
            **options,
        )

    def _repository(self) -> str:
        return self.args.hub_model_id or Path(self.args.output_dir).absolute().name

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Nothing: a checkpoint has training heads and no result (`--hub_strategy` other than end is refused)."""
