"""What a run would do, without doing it: rows, classes, heads, weights, steps, minutes, and a picture of a batch."""

from pathlib import Path

import numpy as np
from torch import Tensor

from hf_hmtl.analysis.lettering import families_for
from hf_hmtl.data.crops import BOX
from hf_hmtl.data.sources import shares_of
from hf_hmtl.data.splits import class_counts
from hf_hmtl.run.experiment import Experiment, parameter_counts, targets_of
from hf_hmtl.run.timing import first_batches, seconds_a_step, steps_of
from hf_hmtl.schedule import in_words
from hf_hmtl.tasks import Supervised, Task
from hf_hmtl.tasks.classification import Classification

PICTURED_ROWS = 24


def dry_run(experiment: Experiment) -> None:
    """Print the plan and draw the first batch as the network will see it, into `first_batch.png`."""
    print(plan(experiment))
    folder = Path(experiment.args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    batch = first_batches(experiment, 1)[0]
    if "pixel_values" not in batch:
        print("first batch  features of a frozen backbone, of which there is no picture")
        return
    path = folder / "first_batch.png"
    draw_batch(batch, experiment, path)
    print(f"first batch  {path}")


def plan(experiment: Experiment) -> str:
    """The plan as text."""
    recipe, args = experiment.recipe, experiment.args
    lines = [f"recipe       {recipe.name}  {recipe.about}".rstrip()]
    lines += [f"{name:12} {_size(experiment, name)}" for name in experiment.splits]
    for task in experiment.supervised:
        lines += _class_lines(task, experiment) if isinstance(task, Classification) else _number_lines(task, experiment)
    lines += [f"left out     {line}" for line in experiment.source.ledger.lines()]
    lines.append(f"origin       {experiment.origin}")
    parameters = parameter_counts(experiment.model)
    lines.append(
        f"backbone     {recipe.backbone}, {recipe.image_size} px; {parameters['supervised']:,} parameters stay, "
        f"{parameters['auxiliary']:,} auxiliary ones go"
    )
    lines.append(f"crop         {_crop(experiment)}")
    for task in [*experiment.supervised, *experiment.pretexts]:
        lines.append(f"loss         {task.name}: {_described(task)}")
    pupils = sum(pretext.needs_teacher for pretext in experiment.pretexts if pretext.is_learned)
    of_teacher = f", and {2 * pupils} of the teacher" if pupils else ""
    lines.append(f"passes       {_backbone_passes(experiment):g} of the backbone for each row and step{of_teacher}")
    steps, seconds = steps_of(experiment), seconds_a_step(experiment)
    batch = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
    unit = "rows" if experiment.in_time is None else "clips" if experiment.in_time.window is None else "windows"
    lines.append(f"steps        {steps} of {batch} {unit}, {seconds:.3f} s each on this machine")
    lines.append(f"estimate     {steps * seconds / 60:.1f} minutes of training (evaluation comes on top)")
    lines += [f"note         {note}" for note in experiment.source.notes]
    return "\n".join(lines)


def _size(experiment: Experiment, split: str) -> str:
    rows = f"{len(experiment.splits[split])} rows"
    if experiment.in_time is None:
        return rows
    windows = experiment.in_time.evaluated(experiment.splits[split], None)
    return f"{rows}, frames of {len(set(windows.clips))} clips" + f", {len(windows)} windows" * (
        experiment.in_time.window is not None
    )


def _crop(experiment: Experiment) -> str:
    """What of each picture the network sees, and what its source recommends where that is something else."""
    used, recommended = experiment.recipe.crop, experiment.source.crop
    of_face = "; of the face, which each row's box cuts out first" * (BOX in experiment.splits["train"].column_names)
    words = shares_of(used) if set(used.values()) != {1.0} else "whole pictures"
    if recommended is None or recommended == used:
        return f"{words}{of_face}"
    typed = " ".join(f"crop.{split}={share:g}" for split, share in recommended.items())
    return f"{words}{of_face}; for this release {shares_of(recommended)} is recommended: --set {typed}"


def _class_lines(task: Classification, experiment: Experiment) -> list[str]:
    """Rows of each class in every split."""
    lines = []
    for name, split in experiment.splits.items():
        counts = class_counts(split, task.column)
        unlabelled = len(split) - sum(counts.values())
        shown = [f"{label} {counts[label]}" for label in task.labels] + [f"no label {unlabelled}"] * bool(unlabelled)
        lines.append(f"{task.name:12} {name}: {', '.join(shown)}")
    return lines


def _number_lines(task: Supervised, experiment: Experiment) -> list[str]:
    """Rows with a number in every column and split, and what the numbers are."""
    lines = []
    for name, split in experiment.splits.items():
        targets = targets_of(task, split).reshape(len(split), -1)
        for column, numbers in zip(task.columns, targets.T, strict=True):
            known = numbers[~np.isnan(numbers)]
            shown = f"{len(known)} numbers"
            if len(known):
                shown += f", mean {known.mean():.3g}, from {known.min():.3g} to {known.max():.3g}"
            shown += f", no label {len(numbers) - len(known)}" * (len(known) < len(numbers))
            of_column = f" {column}" * (len(task.columns) > 1)
            lines.append(f"{task.name:12} {name}{of_column}: {shown}")
    return lines


def _described(task: Task) -> str:
    head = task.head()
    shape = " x ".join(map(str, head["shape"])) if "shape" in head else head["kind"]
    parts = [f"weight {in_words(task.weight)}", f"head {shape}" if task.is_learned else "no head"]
    if task.auxiliary:
        parts += ["calibrated before the first step"] * task.calibrate
        parts += [f"{task.augmented_views} views of its own"] * bool(task.augmented_views)
        parts += [f"{task.copies} copies of the image"] * bool(task.copies)
        parts += [f"view {task.view}"] * (not task.augmented_views and not task.copies)
        parts += [f"share {in_words(task.share)}"] + ["compared by a teacher"] * task.needs_teacher
    return ", ".join(parts)


def _backbone_passes(experiment: Experiment) -> float:
    """Views that go through the backbone in its one call: the shared one, and those that pretexts have alone, of which
    only the chosen rows pass."""
    own = [
        pretext.augmented_views or pretext.copies or pretext.mean_share
        for pretext in experiment.pretexts
        if not pretext.shares_the_image
    ]
    shared = bool(experiment.supervised) or any(pretext.shares_the_image for pretext in experiment.pretexts)
    return sum(own) + shared


def draw_batch(batch: dict, experiment: Experiment, path: Path) -> None:
    """A picture of the first rows of every view of a batch."""
    import matplotlib.pyplot as plt

    pixels = _frames(batch)[:PICTURED_ROWS].permute(0, 2, 3, 1).numpy()
    columns = min(8, len(pixels))
    figure, axes = plt.subplots(
        -(-len(pixels) // columns),
        columns,
        figsize=(1.6 * columns, 1.8 * -(-len(pixels) // columns)),
        squeeze=False,
    )
    for axis in axes.flat:
        axis.axis("off")
    captions = _captions(batch, experiment, len(pixels))
    title = f"{experiment.recipe.name}: first batch of epoch 0, seed {experiment.args.sampling_seed}"
    families, _ = families_for([title, *captions])
    for axis, image in zip(axes.flat, pixels, strict=False):
        axis.imshow(image)
    for axis, caption in zip(axes.flat, captions, strict=False):
        axis.set_title(caption, fontsize=8, fontfamily=families, parse_math=False)
    figure.suptitle(title, fontsize=9, fontfamily=families, parse_math=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _frames(batch: dict) -> Tensor:
    """(rows, 3, side, side) of a batch, of clips without their padding."""
    return batch["pixel_values"][batch["attention_mask"]] if "attention_mask" in batch else batch["pixel_values"]


def _captions(batch: dict, experiment: Experiment, pictures: int) -> list[str]:
    """The label of each picture; classes by their number where no font of this machine has their letters."""
    if not experiment.supervised:
        return []
    first = experiment.supervised[0]
    targets = batch["targets"][first.name]
    if experiment.in_time and experiment.in_time.whole:
        targets = targets.repeat_interleave(batch["attention_mask"].sum(1), 0)
    elif experiment.in_time:
        targets = targets[batch["attention_mask"].flatten()]
    columns = first.labels_of(targets[:pictures].numpy()).values()
    labels = [[value for value in row if value is not None] for row in zip(*columns, strict=True)]
    words = [[f"{value:.3g}" if isinstance(value, float) else str(value) for value in row] for row in labels]
    _, missing = families_for(word for row in words for word in row)
    if missing and isinstance(first, Classification):
        numbers = {label: str(number) for number, label in enumerate(first.labels)}
        print(
            f"first batch  no font of this machine has {' '.join(missing)}, so the picture shows the numbers of the "
            f"classes: {', '.join(f'{number} {label}' for label, number in numbers.items())}"
        )
        words = [[numbers[word] for word in row] for row in words]
    return [", ".join(row) or "no label" for row in words]
