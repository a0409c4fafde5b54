"""The claims of the paper as sentences, each with a verdict that is computed from finished runs.

A verdict needs its preconditions; without them a claim is not tested at this size.
"""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from hf_hmtl.compare.reproduce.evidence import (
    Evidence,
    NotTested,
    best_share,
    best_step,
    loss_falls_faster,
    ratio,
    restlessness,
)
from hf_hmtl.compare.reproduce.paper import AFFECTNET, GENDER, POSE
from hf_hmtl.compare.reproduce.verdicts import (
    HOLDS,
    NOT_TESTED,
    Verdict,
    gains_of,
    in_points,
    in_times,
    word_of,
    word_within,
)
from hf_hmtl.compare.statistics import paired_difference

RADIUS = 2 / 255
"""Largest change of a pixel by which robustness is judged, in units of pixels."""
_ALMOST_TWICE, _MORE, _COSTS, _NOTHING = (1.95, math.inf), (1.25, 1.35), (0.025, 0.045), (-math.inf, 0.01)
AS_ROUNDED = (
    f"Figures are taken as they are rounded: almost twice is {_ALMOST_TWICE[0]:g} times or more, 30 % more "
    f"{_MORE[0]:g} to {_MORE[1]:g} times, 3 to 4 points {100 * _COSTS[0]:g} to {100 * _COSTS[1]:g}, and a gain below "
    f"{100 * _NOTHING[1]:g} point is nothing."
)
"""What the page says of these four."""
_NO_LINES = "80 % of the tiles are never right, or too early or late for a line before the rate drops"


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper.

    Attributes:
        sentence: what is claimed.
        place: where it stands in the paper.
        test: how it is tested; it may raise NotTested.
        takes_settings: whether it can be judged of a setting that validation chose, too: a puzzle of other tiles would
            need a control of its own.
        file: the recipe file of the paper's rows that it is about.
    """

    sentence: str
    place: str
    test: Callable[[Evidence], Verdict]
    takes_settings: bool = False
    file: str = AFFECTNET


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    """The verdict on a claim."""
    try:
        return claim.test(evidence)
    except NotTested as reason:
        return Verdict(NOT_TESTED, str(reason))


_PUZZLES = ("puzzle-3x3-none", "puzzle-2x2-none")
"""The one that the text speaks of, and the one for networks that learn no emotions beside it."""
_PRE_TRAINED = ("pretrain-puzzle", "pretrain-puzzle-rotation")


def _puzzle(evidence: Evidence, *preconditions: Callable[..., None]) -> str:
    """The largest puzzle that meets the preconditions; where none does, the smallest that has runs tells why.

    Beside nine heads of weight 1, a small network solves the puzzle and leaves its emotion head at chance, or takes
    longer than its budget: what puzzles do for emotions cannot be seen there.
    """
    there = _there(evidence)
    for row in there:
        with contextlib.suppress(NotTested):
            for require in (evidence.require, *preconditions):
                require(row)
            return row
    return there[-1]


def _there(evidence: Evidence) -> list[str]:
    """The puzzles that have runs; all where none has."""
    return [row for row in _PUZZLES if evidence.groups.get(row)] or [*_PUZZLES]


def _require_learned(evidence: Evidence, *puzzles: str) -> None:
    """Raise unless puzzles are solved beside a task that is learned to the end: else a budget would be judged."""
    evidence.require_above_chance(*puzzles)
    evidence.require_solved(*puzzles)
    evidence.require_converged(*puzzles)


def _learned_puzzle(evidence: Evidence) -> str:
    """That of `_puzzle`; where 3x3 has further settings, the one of them that validation chose."""
    if _PUZZLES[0] in evidence.settings:
        return evidence.setting(_PUZZLES[0])
    return _puzzle(evidence, functools.partial(_require_learned, evidence))


def strong_from_scratch(evidence: Evidence) -> Verdict:
    """Table 1: against the ImageNet row that is best on validation."""
    fine_tuned = [f"supervised-{level}-imagenet" for level in ("none", "weak", "strong")]
    evidence.require("supervised-strong", *fine_tuned)
    evidence.require_converged("supervised-strong")
    best = max(fine_tuned, key=evidence.validation)
    evidence.require_converged(best)
    found, words = gains_of(evidence, ("supervised-strong", best))
    return Verdict(word_of(*found), words)


def better_features_than_rotation(evidence: Evidence) -> Verdict:
    """Table 2: both of the better pre-trainings above both of the others, of frozen backbones."""
    better = ("nonlinear-puzzle", "nonlinear-inpainting")
    others = ("nonlinear-rotation", "nonlinear-puzzle-rotation")
    evidence.require(*better, *others, *_PRE_TRAINED)
    evidence.require_solved(*_PRE_TRAINED)
    evidence.require_above_chance(*others)
    found, words = gains_of(evidence, *((row, over) for row in better for over in others))
    return Verdict(word_of(*found), words)


def fine_tuned_puzzle_gains(evidence: Evidence) -> Verdict:
    """Table 3: fine-tuning what learned puzzles, alone and with rotation, over random weights."""
    rows, plain = ("finetune-puzzle", "finetune-puzzle-rotation"), "supervised-none"
    evidence.require(*rows, plain, *_PRE_TRAINED)
    evidence.require_solved(*_PRE_TRAINED)
    evidence.require_above_chance(*rows)
    evidence.require_converged(*rows, plain)
    found, words = gains_of(evidence, *((row, plain) for row in rows))
    return Verdict(word_of(*found), words)


def beside_and_not_before(evidence: Evidence) -> Verdict:
    """Tables 3 and 5: the puzzle beside the labels, over fine-tuning what learned it before them."""
    beside, before = _PUZZLES[0], "finetune-puzzle"
    evidence.require(beside, before, _PRE_TRAINED[0])
    evidence.require_solved(_PRE_TRAINED[0])
    _require_learned(evidence, beside)
    evidence.require_converged(before)
    found, words = gains_of(evidence, (beside, before))
    return Verdict(word_of(*found), words)


def larger_puzzles_err_less(evidence: Evidence) -> Verdict:
    """Table 6: 3x3 over 2x2, and that over none."""
    sizes = (*_PUZZLES, "supervised-none")
    evidence.require(*sizes)
    _require_learned(evidence, *_PUZZLES)
    evidence.require_converged(sizes[-1])
    found, words = gains_of(evidence, *itertools.pairwise(sizes))
    return Verdict(word_of(*found), words)


def heads_and_not_images(evidence: Evidence) -> Verdict:
    """Table 6: the puzzle gains over supervised training and over the same images without heads."""
    puzzle = _puzzle(evidence, functools.partial(_require_learned, evidence))
    return _heads_gain(evidence, puzzle, "supervised-none")


def heads_of_other_tasks(evidence: Evidence) -> Verdict:
    """Tables 12 and 13: the 3x3 puzzle, which both have, over supervised training and over the same images."""
    return _heads_gain(evidence, "puzzle-3x3", "supervised")


def _heads_gain(evidence: Evidence, puzzle: str, plain: str) -> Verdict:
    control = f"{puzzle}-without-heads"
    evidence.require(plain, puzzle, control)
    _require_learned(evidence, puzzle)
    evidence.require_above_chance(control)
    evidence.require_converged(plain)
    found, words = gains_of(evidence, (puzzle, plain), (puzzle, control))
    return Verdict(word_of(*found), words)


def most_with_few_labels(evidence: Evidence) -> Verdict:
    """Table 5: there is a gain at 20 % of the rows, and it is larger than that at all of them."""
    puzzles = [evidence.setting(row) for row in ("puzzle-3x3-none-20", "puzzle-3x3-none")]
    rows = (puzzles[0], "supervised-none-20", puzzles[1], "supervised-none")
    evidence.require(*rows)
    evidence.require_converged("supervised-none", "supervised-none-20")
    evidence.require_above_chance("supervised-none", "supervised-none-20")
    _require_learned(evidence, *puzzles)
    few, few_plain, all_of, all_plain = (evidence.scores(row) for row in rows)
    seeds = few.keys() & few_plain.keys() & all_of.keys() & all_plain.keys()
    gains = [{seed: a[seed] - b[seed] for seed in seeds} for a, b in ((few, few_plain), (all_of, all_plain))]
    gain, more = paired_difference(few, few_plain), paired_difference(*gains)
    words = f"{rows[0]} - {rows[1]}: {in_points(gain)}; that - ({rows[2]} - {rows[3]}): {in_points(more)}"
    return Verdict(word_of(gain, more), words)


def sixteen_tiles_need_weights(evidence: Evidence) -> Verdict:
    """Figure 13: 4x4 falls behind 3x3, and region weights help it."""
    rows = ("puzzle-3x3-none", "puzzle-4x4-none", "puzzle-4x4-none-weighted")
    evidence.require(*rows)
    evidence.require_solved(*rows)
    evidence.require_above_chance(*rows)
    found, words = gains_of(evidence, (rows[0], rows[1]), (rows[2], rows[1]))
    return Verdict(word_of(*found), words)


def inpainting_head_resists(evidence: Evidence) -> Verdict:
    """Figure 16: under FGSM, in-painting above both supervised training and the same images without the head.

    Training on images with a part cut out makes robust, too; what the head adds is seen beside that alone. A network
    at chance that answers alike whatever it sees would resist any attack.
    """
    rows = ("inpainting-perceptual-none", "supervised-none", "inpainting-none-without-heads")
    evidence.require(*rows)
    evidence.require_converged(rows[1])
    evidence.require_above_chance(*rows)
    under = {row: _accuracy_under_attack(evidence, row, RADIUS) for row in rows}
    found = [paired_difference(under[rows[0]], under[row]) for row in rows[1:]]
    words = [f"{rows[0]} - {row}: {in_points(each)}" for row, each in zip(rows[1:], found, strict=True)]
    return Verdict(word_of(*found), f"at {255 * RADIUS:g}/255, {'; '.join(words)}")


def puzzles_do_not_resist(evidence: Evidence) -> Verdict:
    """Figure 16: under FGSM, the largest puzzle that is as good as supervised training without it, below that."""
    plain, there = "supervised-none", _there(evidence)
    evidence.require(plain, *there)
    evidence.require_converged(plain)
    evidence.require_above_chance(plain, *there)
    evidence.require_solved(*there)
    clean = {row: _accuracy_under_attack(evidence, row, 0.0) for row in (plain, *there)}
    alike = [row for row in there if paired_difference(clean[row], clean[plain]).high >= 0]
    if not alike:
        means = {row: sum(each.values()) / len(each) for row, each in clean.items()}
        raise NotTested(
            f"{there[0]} has an accuracy of {means[there[0]]:.3f} without an attack, and {plain} {means[plain]:.3f}: "
            "what is worse before cannot be compared under it"
        )
    under = {row: _accuracy_under_attack(evidence, row, RADIUS) for row in (plain, alike[0])}
    found = paired_difference(under[plain], under[alike[0]])
    return Verdict(word_of(found), f"at {255 * RADIUS:g}/255, {plain} - {alike[0]}: {in_points(found)}")


def _accuracy_under_attack(evidence: Evidence, row: str, radius: float) -> dict[int, float]:
    found = {
        int(each["seed"]): float(each["accuracy"])
        for each in evidence.attacked
        if (each["method"], each["attack"]) == (row, "fgsm")
        and str(each["seed"]).isdigit()
        and math.isclose(float(each["radius"]), radius, rel_tol=1e-4, abs_tol=1e-9)
    }
    if not evidence.groups[row].keys() <= found.keys():
        raise NotTested(f"figure 16 was not drawn of every seed of {row}")
    return found


def loss_falls_once_solved(evidence: Evidence) -> Verdict:
    """Section 4.5.2: two slopes of the training loss, before and after 80 % of the tiles are right; of every puzzle
    beside which emotions are learned, or of the one that validation chose."""
    there = _there(evidence)
    puzzles = [row for row in there if evidence.is_above_chance(row)] or there
    if _PUZZLES[0] in evidence.settings:
        puzzles = [evidence.setting(_PUZZLES[0])]
    evidence.require(*puzzles)
    evidence.require_above_chance(*puzzles)
    differences, words = [], []
    for puzzle in puzzles:
        faster = evidence.of_each(puzzle, loss_falls_faster, _NO_LINES)
        found = paired_difference(faster, dict.fromkeys(faster, 0.0))
        differences.append(found)
        words.append(f"{puzzle}: {found.mean:+.3f} nats in 1,000 steps [{found.low:+.3f}, {found.high:+.3f}]")
    return Verdict(word_of(*differences), f"faster by, {'; '.join(words)}")


def twice_the_steps(evidence: Evidence) -> Verdict:
    """Section 4.5.2: steps to 50 % of validation accuracy without heads, as a multiple of those with heads."""
    puzzle = _puzzle(evidence, evidence.require_above_chance, evidence.require_solved)
    control = f"{puzzle}-without-heads"
    evidence.require(control, puzzle)
    evidence.require_above_chance(puzzle)
    evidence.require_solved(puzzle)
    found = ratio(evidence.steps_to(control, 0.5), evidence.steps_to(puzzle, 0.5))
    return Verdict(word_within(*_ALMOST_TWICE, found), f"{control} {in_times(found)} the steps of {puzzle} to 50 %")


def thirty_percent_more_steps(evidence: Evidence) -> Verdict:
    """Section 5.3: the step of the best validation accuracy, hybrid as a multiple of supervised."""
    puzzle, plain = _learned_puzzle(evidence), "supervised-none"
    evidence.require(puzzle, plain)
    evidence.require_above_chance(plain)
    evidence.require_converged(plain)
    _require_learned(evidence, puzzle)
    best = {row: evidence.of_each(row, best_step, "its log holds no validation accuracy") for row in (puzzle, plain)}
    shares = evidence.of_each(plain, best_share, "its log holds no validation accuracy")
    latest = max(shares, key=lambda seed: shares[seed])
    if 1.3 * shares[latest] > 1:
        raise NotTested(
            f"{plain}, seed {latest}, is at its best after {shares[latest]:.0%} of its steps, which leaves no room for "
            "30 % more"
        )
    found = ratio(best[puzzle], best[plain])
    return Verdict(
        word_within(*_MORE, found),
        f"{puzzle} {in_times(found)} the steps of {plain} to the best score",
    )


def no_gain_from_smoothing(evidence: Evidence) -> Verdict:
    """Appendix B: no amount gains a point or more over none."""
    rows = [f"smoothing-{amount}" for amount in ("0.0", "0.1", "0.2", "0.3")]
    evidence.require(*rows)
    evidence.require_converged(rows[0])
    found, words = gains_of(evidence, *((row, rows[0]) for row in rows[1:]))
    return Verdict(word_within(*_NOTHING, *found), words)


def unstable_without_softmax(evidence: Evidence) -> Verdict:
    """Section 4.4.1: trainings that diverge; else how much validation accuracy moves from evaluation to evaluation."""
    rows = ("inpainting-perceptual-none-without-softmax", "inpainting-perceptual-none")
    collapsed, with_softmax = (evidence.diverged.get(row, 0) for row in rows)
    if collapsed and not with_softmax:
        evidence.require(rows[1])
        return Verdict(HOLDS, f"{collapsed} trainings without softmax diverged, and none of those with it")
    evidence.require(*rows)
    moves = [evidence.of_each(row, restlessness, "its log holds no validation accuracy") for row in rows]
    found = paired_difference(*moves)
    return Verdict(word_of(found), f"change between evaluations, without - with softmax: {in_points(found)}")


def barlow_twins_stay_below(evidence: Evidence) -> Verdict:
    """Table 7: fine-tuning Barlow Twins, at both levels, against random weights."""
    levels = ("weak", "strong")
    pairs = [(f"supervised-{level}", f"finetune-barlow-twins-{level}") for level in levels]
    evidence.require(*(row for pair in pairs for row in pair))
    evidence.require_converged(*(row for row, _ in pairs))
    found, words = gains_of(evidence, *pairs)
    return Verdict(word_of(*found), words)


def eighth_class_costs(evidence: Evidence) -> Verdict:
    """Section 4.4.1: accuracy of seven classes, without contempt, minus that of eight; 3 to 4 points in the paper."""
    rows = ("supervised-weak-seven-classes", "supervised-weak")
    evidence.require(*rows)
    evidence.require_converged(*rows)
    scores = evidence.scores(rows[1])
    if (eight := sum(scores.values()) / len(scores)) + 0.04 > 1:
        raise NotTested(f"{rows[1]} has an accuracy of {eight:.3f}, which leaves no room for 4 points more")
    found, words = gains_of(evidence, rows)
    return Verdict(word_within(*_COSTS, *found), words)


CLAIMS = (
    Claim("Strong augmentation from scratch beats ImageNet weights.", "section 4.2", strong_from_scratch),
    Claim("Puzzle and in-painting learn better features than rotation.", "section 5.2", better_features_than_rotation),
    Claim("Fine-tuned puzzle features beat random weights.", "section 5.2", fine_tuned_puzzle_gains),
    Claim("The puzzle gives more beside the labels than before them.", "section 1", beside_and_not_before),
    Claim("The larger the puzzle, the lower the error.", "section 5.3", larger_puzzles_err_less),
    Claim("The heads bring the gain, and not the puzzled images.", "section 4.5.2", heads_and_not_images),
    Claim("Of head pose, too, the heads bring the gain.", "section 4.8.1", heads_of_other_tasks, file=POSE),
    Claim("Of gender, too, the heads bring the gain.", "section 4.8.2", heads_of_other_tasks, file=GENDER),
    Claim("The gain is largest with few labels.", "section 5.3", most_with_few_labels, takes_settings=True),
    Claim("A puzzle of 4x4 needs region weights.", "section 4.5.1", sixteen_tiles_need_weights),
    Claim("The in-painting head resists FGSM.", "section 4.6", inpainting_head_resists),
    Claim("Puzzles do not resist FGSM.", "section 4.6", puzzles_do_not_resist),
    Claim(
        "The emotion loss falls faster once 80 % of the tiles are right.",
        "section 4.5.2",
        loss_falls_once_solved,
        takes_settings=True,
    ),
    Claim("Without heads it takes almost twice the steps to 50 %, or more.", "section 4.5.2", twice_the_steps),
    Claim(
        "Hybrid learning takes 30 % more steps to its best.",
        "section 5.3",
        thirty_percent_more_steps,
        takes_settings=True,
    ),
    Claim("Label smoothing gains nothing.", "appendix B", no_gain_from_smoothing),
    Claim("Eq. 3 is unstable without its softmax.", "section 4.4.1", unstable_without_softmax),
    Claim("Fine-tuning Barlow Twins stays below supervised training.", "section 4.6", barlow_twins_stay_below),
    Claim("Eight classes cost 3 to 4 points against seven.", "section 4.4.1", eighth_class_costs),
)
