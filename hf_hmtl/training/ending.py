"""Trainings whose process is told to end: the step at hand is made, and a checkpoint is left to go on from."""

import os
import signal
import threading

import torch
from transformers import Trainer

from hf_hmtl.ending import ToldToEnd, Wish, postponed


class EndsWhenTold(Trainer):
    """A Trainer that leaves a checkpoint when SIGTERM comes, where its process raises `ToldToEnd` then.

    It ends where nothing of a step is left to do, its log and its evaluation included, so that the resumed training is
    the uninterrupted one. All processes end behind the same step.
    """

    _wish, _agreed, _is_saved, _seen_step = Wish(), False, False, -1

    def train(self, *arguments, **options):
        """As the Trainer's.

        Raises:
            ToldToEnd: the process was told to end; the checkpoint is written.
        """
        self._agreed, self._seen_step = False, -1
        with postponed() as self._wish:
            return super().train(*arguments, **options)

    @property
    def is_told_to_end(self) -> bool:
        """Whether this process has been told to end."""
        return self._wish.heard

    def end_behind_this_step(self) -> None:
        """All processes end behind the step at hand, because one of them has been told to."""
        self._agreed = True

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, grad_norm, model, trial, *arguments, **options) -> None:
        """As the Trainer's, behind each step and once more behind each epoch; then the end, where it is wished for."""
        self._is_saved = False
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, model, trial, *arguments, **options)
        step, of_a_step = self.state.global_step, self.state.global_step != self._seen_step
        self._seen_step = step
        alone = self.args.world_size == 1  # an evaluation may have heard it; several have to agree before a step
        if not (self._agreed or (alone and self.is_told_to_end)):
            return
        if of_a_step and step % self._updates_of_an_epoch() == 0:
            return  # what is done behind the epoch comes next
        if not self._is_saved:
            self._save_checkpoint(model, trial)
            self.control = self.callback_handler.on_save(self.args, self.state, self.control)  # type: ignore[has-type]
        raise ToldToEnd(f"checkpoint-{step} is written")

    def _save_checkpoint(self, model, trial) -> None:
        super()._save_checkpoint(model, trial)
        self._is_saved = True

    def _updates_of_an_epoch(self) -> int:
        raise NotImplementedError


def stay_when_told(number: int) -> None:
    """Let a worker of a loader end when its trainer tells it to, and not with all processes of a job: a trainer that is
    told to end, too, still needs it for a step. Where the system does not say who tells, as on macOS, nothing changes.

    Args:
        number: of the worker.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def listen() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
            pass
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
