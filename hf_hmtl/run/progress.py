"""What a person sees while a run trains: one bar, one short line a log and one an evaluation."""

from transformers.trainer_callback import ProgressCallback

_LEFT_OUT = ("grad_norm", "total_flos", "epoch", "_count", "_runtime", "_per_second", "eval_loss", "learning_rate")


class ProgressLines(ProgressCallback):
    """The Trainer's progress bar, with readable lines in place of printed dictionaries.

    Recall of single classes stays in the log and the model card; it is not printed. Evaluations have no bar of their
    own during training, since they would push the lines apart.
    """

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if self.training_bar is None:
            super().on_prediction_step(args, state, control, eval_dataloader, **kwargs)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero and self.training_bar is not None and "train_runtime" not in logs:
            self.training_bar.write(line(logs))


def line(logs: dict[str, float]) -> str:
    """One log entry as text: "epoch 2.00  loss 3.4102  emotion_accuracy 0.412 ..."."""
    shown = [f"epoch {logs.get('epoch', 0):.2f}"]
    for name, value in logs.items():
        if isinstance(value, float | int) and not name.endswith(_LEFT_OUT) and "_recall_" not in name:
            shown.append(f"{name} {value:.4f}")
    return "  ".join(shown)
