"""result.json -> model card: a pure function, byte-identical whenever it is made again from the same result."""

import html
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined

from hf_hmtl import printed
from hf_hmtl.files import replacing
from hf_hmtl.metrics.measure import SHARE, Measure
from hf_hmtl.results.by_row import ERROR
from hf_hmtl.results.groups import FEW, gaps_of, measure_of
from hf_hmtl.results.intervals import of_share
from hf_hmtl.results.over_seeds import over_seeds
from hf_hmtl.results.result import SPLITS, Result
from hf_hmtl.results.terms import gating, restricted, terms_of

TEMPLATE = Path(__file__).with_name("card_template.md")
UNMEASURED = Path(__file__).with_name("unmeasured_template.md")
PREFIXES = {split: prefix for prefix, split in SPLITS.items()}
NOTHING = "–"  # for what is undefined or was not measured
HUB_LICENCES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0")
HUB_METRICS = {"macro_f1": ("f1", {"average": "macro"})}  # measure -> metric of the Hub and its arguments
ON_THE_HUB = ("accuracy", "f1", "mae", "mse", "pearsonr")
FILES = ("curves.png", "recipe.yaml")  # beside the card of a run
LARGEST_MATRIX = 16  # classes; a wider table cannot be read
_UNKNOWN = {"rows": None, "low": math.nan, "high": math.nan, "few": False}
_UNCALIBRATED = {"expected_error": None, "brier": None, "confidence": None}
TAGS = ["hf_hmtl", "hybrid-multi-task-learning", "multi-task-learning", "face-analysis", "timm"]


def render(
    result: Result,
    repo_id: str | None = None,
    note: str = "",
    files: Collection[str] = FILES,
    others: Sequence[Result] = (),
) -> str:
    """Write the card of a run: YAML header and markdown, with every number taken from the result.

    Args:
        result: what `hf_hmtl.results.result.read` returns, or the Result that was written.
        repo_id: repository of the Hub that it is for; a folder of this machine unless given.
        note: a sentence that stands before everything else.
        files: names of the files that lie beside the card, of those that it may show.
        others: results of the same recipe with other seeds, whose mean and deviation it tells.

    Returns:
        The text of README.md.

    Raises:
        ValueError: another recipe, other data or the same seed among `others`.
    """
    title, _, changes = result.name.partition(" with ")
    template = _environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    body = template.render(
        result=result,
        place=repo_id or "path/to/this/folder",
        note=note,
        title=title,
        in_time=_in_time(result),
        auto_class=_auto_class(result),
        changes=changes,
        corrupting=[name for name in result.recipe.get("auxiliary", {}) if name not in result.model["auxiliary"]],
        files=files,
        data_option=data_option(result.recipe),
        over_seeds=over_seeds([result, *others]) if others else None,
        starting_weights=_starting_weights(result),
        splits=_reported_splits(result),
        measures=_measures(result),
        constant="Majority class" if _learned_classes(result) else "Constant answer",
        classes=_classes(result),
        matrices=_matrices(result),
        interval=_accuracy_interval(result),
        heads=_heads(result),
        groups=_groups(result),
        calibration=_calibration(result),
        few=FEW,
        settings=_settings(result.recipe),
        broken=", ".join(f"{count:,} ({split})" for split, count in result.broken_images.items()) or NOTHING,
        largest_matrix=LARGEST_MATRIX,
        inherited=terms_of(result.learned_from[1:]),
    )
    return f"---\n{_header(result).to_yaml()}\n---\n\n{body}"


def data_option(recipe: dict[str, Any]) -> str:
    """What stands behind `hf-hmtl train recipe.yaml`: nothing where faces are drawn, else the folder of the data, which
    no recipe names."""
    source = recipe.get("source", {})
    return "" if str(source.get("name")).startswith("drawn") or source.get("hub_id") else " --data_dir FOLDER"


def _environment() -> Environment:
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"text": escape, "words": _words, "count_of": _count, "score": _score}
    environment.filters |= {"setting": _setting, "fenced": _fenced}
    return environment


def write_card(result: Result, path: str | Path, **how: Any) -> None:
    """Write the card to `path`, so that no reader ever sees half of it; `how` are the options of `render`."""
    with replacing(path) as temporary:
        temporary.write_text(render(result, **how), encoding="utf-8", newline="\n")


def escape(value: Any) -> str:
    """Text that markdown, its tables and HTML show as it is, on one line."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    text = re.sub(r"([\\`*\[\]|~#$])", r"\\\1", text)
    # Inside a word an underscore is only an underscore, and metric names are full of them.
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def _header(result: Result) -> ModelCardData:
    free = result.data["licence"].lower() in HUB_LICENCES and not result.recipe.get("pretrained")
    free = free and not restricted(result.learned_from)
    results = _eval_results(result)
    on_the_hub = [terms.hub_id for terms in terms_of(result.learned_from) if terms.hub_id]
    if given := result.recipe.get("source", {}).get("hub_id"):
        on_the_hub.insert(0, given)
    links = [terms.link for terms in terms_of(result.learned_from) if terms.link]
    return ModelCardData(
        license=result.data["licence"].lower() if free else "other",
        license_name=None if free else "see-licences-below",
        license_link=None if free or not links else links[0],
        datasets=on_the_hub or None,
        metrics=_hub_metrics(result) or None,
        **gating(result.learned_from),
        library_name="transformers",
        pipeline_tag=_pipeline(result),
        tags=TAGS + ["self-supervised-learning"] * bool(result.model["auxiliary"]),
        base_model=result.model["base_model"],
        model_name=result.name if results else None,
        eval_results=results or None,
    )


def _in_time(result: Result) -> dict[str, Any] | None:
    """What a network for faces in time is, None of one for images."""
    given = result.recipe.get("sequence")
    if given is None:
        return None
    directions = "bidirectional " * given.get("bidirectional", True)
    return {
        "network": f"{directions}{given.get('recurrent', 'gru').upper()}",
        "whole": given.get("answers") == "clip",
        "frozen": given.get("frozen", False),
    }


def _auto_class(result: Result) -> str:
    """The class of transformers that loads the model."""
    if in_time := _in_time(result):
        return "AutoModelForVideoClassification" if in_time["whole"] else "AutoModel"
    return "AutoModelForImageClassification" if result.model["supervised"] else "AutoModel"


def _pipeline(result: Result) -> str | None:
    """The task of the Hub that the model is for; it has none that answers every frame of a video."""
    if in_time := _in_time(result):
        return "video-classification" if in_time["whole"] else None
    return "image-classification" if result.model["supervised"] else "image-feature-extraction"


def _hub_metrics(result: Result) -> list[str]:
    """Names of the Hub's list of metrics for what the supervised heads are measured by."""
    measured = [measure.name for task in result.model["supervised"] for measure in result.measures_of(task)]
    named = [HUB_METRICS.get(name, (name, None))[0] for name in measured]
    return list(dict.fromkeys(name for name in named if name in ON_THE_HUB))


def _eval_results(result: Result) -> list[EvalResult]:
    """The measures of every supervised head on the split that is reported, the primary head and its headline first."""
    split, dataset = result.protocol["reported_on"], result.data["source"]
    others = [task for task in result.model["supervised"] if task != result.model["primary"]]
    seen = "video" if _in_time(result) else "image"
    return [
        EvalResult(
            task_type=f"{seen}-{_kind(result, task)}",
            task_name=f"{seen.capitalize()} {_kind(result, task)} ({task})",
            dataset_type=re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "custom",
            dataset_name=dataset,
            dataset_split=split,
            metric_type=kind,
            metric_name=_metric_name(measure, task, result),
            metric_value=value,
            metric_args=arguments,
        )
        for task in (result.model["primary"], *others)
        for measure in result.measures_of(task)
        for kind, arguments in [HUB_METRICS.get(measure.name, (measure.name, None))]
        if math.isfinite(value := _metric(result, split, f"{task}_{measure.name}"))
    ]


def _metric_name(measure: Measure, task: str, result: Result) -> str:
    """Of several heads of one kind, which the Hub puts into one list, each measure says of which it is."""
    alike = [other for other in result.model["supervised"] if _kind(result, other) == _kind(result, task)]
    of_task = f" of {task}" if len(alike) > 1 else ""
    return _capitalized(measure.words) + of_task + _unit(measure)


def _kind(result: Result, task: str) -> str:
    """What a head does: it answers with classes, which are right or wrong, or with numbers."""
    return "classification" if any(each.name == "accuracy" for each in result.measures_of(task)) else "regression"


def _unit(measure: Measure) -> str:
    return f" ({measure.unit})" if measure.unit not in (SHARE, "") else ""


def _metric(result: Result, split: str, measure: str, group: str = "metrics") -> float:
    return getattr(result, group).get(f"{PREFIXES[split]}{measure}", math.nan)


def _starting_weights(result: Result) -> str:
    """Hub id, recipe or file name of the weights that the backbone started from; empty if they were random."""
    pretrained = result.recipe.get("pretrained") or ""
    if result.model["base_model"] or pretrained is True:
        return result.model["base_model"] or "timm's own weights"
    return result.started_from["name"] if result.started_from else pretrained


def _reported_splits(result: Result) -> list[str]:
    return [split for split in ("validation", "test") if any(key.startswith(PREFIXES[split]) for key in result.metrics)]


def _learned_classes(result: Result) -> bool:
    return set(result.model["supervised"]) <= set(result.rows.get("train", {}).get("classes", {}))


def _measures(result: Result) -> list[dict[str, Any]]:
    """Rows of the table of results: a measure on each split, beside the baseline and the paper's figures."""
    splits, of_paper = _reported_splits(result), printed.figures(result.paper) if result.paper else {}
    keys = [key for key in result.metrics if not key.startswith("train_") and not re.search("_recall_|_count$", key)]
    names = list(dict.fromkeys(key.split("_", 1)[1] for key in keys))
    measured = [(task, measure) for task in result.measures for measure in result.measures_of(task)]
    units = {f"{task}_{measure.name}": measure.unit for task, measure in measured if measure.unit != SHARE}
    return [
        {
            "name": _words(name) + (f" ({escape(units[name])})" if units.get(name) else ""),
            "scores": [_metric(result, split, name) for split in splits],
            "baseline": _baseline(result, name),
            "paper": of_paper.get(name, math.nan),
        }
        for name in names
    ]


def _baseline(result: Result, measure: str) -> float:
    """What always answering one class scores; its mean recall is 1 of one class that is there, and 0 of the others."""
    task = measure.removesuffix("_balanced_accuracy")
    if task != measure and task in _matrices(result):
        there = sum(sum(row) > 0 for row in _matrices(result)[task]["matrix"])
        return 1 / there if there else math.nan
    return _metric(result, result.protocol["reported_on"], measure, "baselines")


def _classes(result: Result) -> dict[str, list[dict[str, Any]]]:
    """Recall of each class on each split and its training rows, by task."""
    splits = _reported_splits(result)
    labels = {task: found["labels"] for split in splits for task, found in result.confusion.get(split, {}).items()}
    training = result.rows.get("train", {}).get("classes", {})
    return {
        task: [
            {
                "label": label,
                "rows": training.get(task, {}).get(label),
                "recalls": [_metric(result, split, f"{task}_recall_{label}") for split in splits],
            }
            for label in names
        ]
        for task, names in labels.items()
    }


def _matrices(result: Result) -> dict[str, dict[str, list]]:
    return result.confusion.get(result.protocol["reported_on"], {})


def _accuracy_interval(result: Result) -> dict[str, Any] | None:
    """Wilson's 95 % interval (1927) of the primary accuracy: what the number of images alone leaves open."""
    found = _matrices(result).get(result.model["primary"])
    count = sum(map(sum, found["matrix"])) if found else 0
    if not found or not count:
        return None
    low, high = of_share(sum(row[index] for index, row in enumerate(found["matrix"])), count)
    return {"count": count, "low": low, "high": high}


def _heads(result: Result) -> list[dict[str, str]]:
    """What each head answers, the primary one first."""
    primary = result.model["primary"]
    rows = []
    for task, head in sorted(result.heads.items(), key=lambda item: item[0] != primary):
        if head["kind"] == "regression":
            names, limits = head.get("names") or [task], head.get("range")
            between = f" from {limits[0]:g} to {limits[1]:g}" if limits else ""
            unit = f" {head['unit']}" if head.get("unit") else ""
            answer = f"number{'s' * (len(names) > 1)}{between}{unit}: {', '.join(names)}"
        elif head["kind"] == "multilabel":
            answer = f"yes or no, each by itself: {', '.join(head.get('labels') or [])}"
        else:
            answer = f"one of {', '.join(head.get('labels') or [])}"
        rows.append({"task": task, "answer": answer})
    return rows


def _groups(result: Result) -> list[dict[str, Any]]:
    """What each table by group shows: one a task and column."""
    gaps, tables = gaps_of(result.groups), []
    for task, columns in result.groups.items():
        units = [measure.unit for measure in result.measures_of(task) if measure.unit not in (SHARE, "")]
        for column, values in columns.items():
            measure = measure_of(values)
            unit = _unit(Measure(measure, unit=units[0])) if units and measure == ERROR else ""
            tables.append(
                {
                    "task": task,
                    "column": column,
                    "measure": _capitalized(Measure(measure).words) + unit,
                    "rows": [
                        {"name": name, "score": each[measure], **_UNKNOWN, **each} for name, each in values.items()
                    ],
                    "has_few": any(each.get("few") for each in values.values()),
                    "extreme": "highest" if measure == ERROR else "lowest",
                    **gaps[task][column],
                }
            )
    return tables


def _calibration(result: Result) -> dict[str, dict[str, Any]]:
    """Scores and filled bins of each task whose probabilities were looked at."""
    return {
        task: {**_UNCALIBRATED, **found, "bins": [part for part in found["reliability"] if part["rows"]]}
        for task, found in result.calibration.items()
        if found.get("reliability") and found.get("count")
    }


def _settings(recipe: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The recipe as (dotted name, value); the name, its sentence and the paper's figure stand elsewhere."""
    rows = []
    for key, value in recipe.items():
        if prefix or key not in ("name", "about", "paper"):
            nested = isinstance(value, dict) and value
            rows += _settings(value, f"{prefix}{key}.") if nested else [(f"{prefix}{key}", value)]
    return rows


def _words(measure: str) -> str:
    return escape(Measure(measure).words)


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _score(value: Any) -> str:
    return f"{value:.4f}" if value is not None and math.isfinite(value) else NOTHING


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, "", [], {}) or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    if isinstance(value, list):
        return ", ".join(map(_setting, value))
    return escape(value)


def _capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]


def _fenced(text: str) -> str:
    """A code block that no run of backticks in the text can end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"


def render_unmeasured(config: dict[str, Any], repo_id: str, note: str = "", files: Collection[str] = ()) -> str:
    """Write the card of a model without a result: what it is, and that nothing was measured.

    Args:
        config: its configuration, as config.json has it.
        repo_id: repository of the Hub that it is for.
        note: a sentence that stands before everything else.
        files: names of the files that lie beside the card, of those that it may name.
    """
    in_time = "frame_config" in config
    heads = {name: head for name, head in config.get("heads", {}).items() if not head["auxiliary"]}
    whole = in_time and config.get("answers") == "clip"
    of_images = "image-classification" if heads else "image-feature-extraction"
    header = ModelCardData(
        license="unknown",
        library_name="transformers",
        pipeline_tag="video-classification" if whole else None if in_time else of_images,
        tags=TAGS,
    )
    body = _environment().from_string(UNMEASURED.read_text(encoding="utf-8")).render(
        config=config.get("frame_config", config), in_time=config if in_time else None, whole=whole, heads=heads,
        labels=list((config.get("id2label") or {}).values()), place=repo_id, name=repo_id.rpartition("/")[2],
        note=note, files=files
    )  # fmt: skip
    return f"---\n{header.to_yaml()}\n---\n\n{body}"
