"""The table at the end of a run."""

import dataclasses
import re
from pathlib import Path

from hf_hmtl.results.result import read
from hf_hmtl.run.report import summary_table

KEPT = Path(__file__).parents[2] / "model_cards" / "results" / "drawn-tasks"


def test_every_number_stands_under_the_name_of_its_measure():
    lines = summary_table(read(KEPT / "all-at-once" / "seed-1" / "result.json"), Path("run")).splitlines()
    (header,) = [line for line in lines if "CCC valence" in line]
    answers = lines[lines.index(header) + 1]
    assert answers.startswith("affect")
    names = list(re.finditer(r"\S+(?: \S+)*", header))  # two blanks and more are between two names
    assert [each.group() for each in names] == ["CCC", "CCC valence", "CCC arousal", "RMSE"]
    ends = [each.end() for each in re.finditer(r"-?\d+\.\d{4}", answers)]
    assert ends == [each.end() for each in names]


def ended(losses, **changes):
    """The sentence of a run on its end, whose validation losses these were."""
    result = read(KEPT / "emotion" / "seed-1" / "result.json")
    history = [
        {"step": 100 * (number + 1), "eval_emotion_loss": loss, "eval_emotion_accuracy": 0.5}
        for number, loss in enumerate(losses)
    ]
    result = dataclasses.replace(result, **{"steps": 100 * len(losses), "history": history, **changes})
    return [line for line in summary_table(result, Path("run")).splitlines() if "at its end" in line]


def test_a_run_says_whether_it_was_at_its_end():
    (over,) = ended([1.0, 0.8, 0.9, 1.2])
    assert over.startswith("this training was at its end: the validation loss of emotion was lowest after 50% of the")
    assert over.endswith("steps and has risen since")
    (still,) = ended([1.0, 0.9, 0.8, 0.81])  # less than 2 % is noise
    assert still.startswith("this training was not at its end: the validation loss of emotion was lowest after 75%")
    assert still.endswith("of the steps and ends less than 2 % above that; more steps may change the scores")
    assert "after 100% of the steps; more steps" in ended([1.0, 0.9, 0.8, 0.7])[0]


def test_of_few_evaluations_a_run_says_that_it_cannot_be_told():
    assert ended([1.0, 0.8, 0.9]) == [
        "whether this training was at its end cannot be told by 3 evaluations; 4 can: --eval_steps"
    ]
    assert "by one evaluation;" in ended([1.0])[0]


def test_what_trained_no_label_or_was_not_evaluated_says_nothing_of_its_end():
    result = read(KEPT / "emotion" / "seed-1" / "result.json")
    probed = result.protocol | {"notes": ["A linear probe."]}
    assert ended([1.0, 0.8, 0.9, 1.2], recipe=result.recipe | {"probe": "linear"}, protocol=probed) == []
    assert ended([1.0, 0.8, 0.9, 1.2], model=result.model | {"supervised": [], "primary": None}) == []
    assert ended([]) == [] and ended([1.0, 0.8, 0.9, 1.2], steps=0) == []
