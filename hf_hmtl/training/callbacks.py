"""What the trainer does at the beginning of a training and of an epoch."""

from pathlib import Path

from transformers import EarlyStoppingCallback, TrainerCallback

from hf_hmtl.training.checkpoint import remove_flawed_behind


class BeginTraining(TrainerCallback):
    """Measures the weights that are to be calibrated, before the first step of a new run.

    A resumed one goes on counting evaluations without a better score, and stops by the patience that it is given now.
    """

    def __init__(self, trainer):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        """Before the first step of this process, whether the run is new or resumed."""
        if state.best_model_checkpoint:  # by its name, because the folder of the run may have been moved
            best = Path(args.output_dir) / Path(state.best_model_checkpoint).name
            state.best_model_checkpoint = str(best) if best.is_dir() else state.best_model_checkpoint
        if args.early_stopping_patience is not None:
            for callback in self.trainer.callback_handler.callbacks:
                if isinstance(callback, EarlyStoppingCallback):
                    callback.early_stopping_patience = args.early_stopping_patience
        if state.global_step == 0:
            self.trainer.calibrate()
        elif state.is_world_process_zero:
            remove_flawed_behind(state.global_step, args)


class BeginEpoch(TrainerCallback):
    """Tells the sampler its epoch; the Trainer's own call does not reach it behind accelerate's batch skipping."""

    def __init__(self, trainer):
        self.trainer = trainer

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Before the first batch of each epoch; `state.epoch` is whole there, except after a resume within an epoch."""
        self.trainer.begin_epoch(int(state.epoch or 0))
