"""Models that a run begins with: its backbone, its teacher, the checkpoint it looks into.

Each is given as a folder or Hub name; in a recipe also as `{row: NAME}`, which means the folder where that row of the
same recipe file is trained to.
"""

import logging
from pathlib import Path

import timm
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from hf_hmtl.data.augmentation import Augmentation
from hf_hmtl.data.splits import FINGERPRINT_VERSION
from hf_hmtl.files import is_local, without_place
from hf_hmtl.model.modeling_hmtl import HMTLForImageClassification
from hf_hmtl.recipe import Recipe, available, default_folder, other_row, require_known
from hf_hmtl.results import result as results
from hf_hmtl.results.result import Result
from hf_hmtl.training.checkpoint import STATE_FILE, HybridState, last_complete_checkpoint

logger = logging.getLogger(__name__)

Origin = bool | str | dict | None


def located(origin: Origin, recipe: Recipe, option: str) -> bool | str | None:
    """The origin with `{row: NAME}` replaced by that row's folder.

    Args:
        origin: what the recipe says.
        recipe: for its file's name.
        option: the option that gives another one, for the message.

    Raises:
        FileNotFoundError: that row has not been trained yet; the message has the command.
    """
    if not isinstance(origin, dict):
        return origin
    require_known(origin, ("row",), f"key of `{option}` in recipe {recipe.name}")
    row = other_row(recipe.name, origin["row"])
    folder = default_folder(row)
    if not is_saved_model(folder):
        file, _, label = row.partition("/")
        typed = row if file in available() else f"path/to/{file}.yaml:{label}"
        raise FileNotFoundError(
            f"{recipe.name} begins with the model of {row}, and {folder} holds none. Train it first: "
            f"hf-hmtl train {typed}, or give the folder of one: --{option} FOLDER"
        )
    return folder


def is_saved_model(origin: str | Path) -> bool:
    """Whether the origin is a folder that a model was saved to."""
    return (Path(origin) / "config.json").is_file()


def is_weights_file(origin: str) -> bool:
    """Whether the origin names a file of weights rather than a folder or a repository of the Hub."""
    return Path(origin).is_file() or Path(origin).suffix in (".safetensors", ".pth", ".bin", ".pt")


def take_backbone(model: HMTLForImageClassification, origin: bool | str) -> str:
    """Load the backbone's weights: timm's own (True), a file of them, or those of one of our models.

    Returns:
        A sentence that says what was taken over and what was not.

    Raises:
        OSError: there is nothing of that name, or it cannot be downloaded.
        ValueError: the weights do not fit the backbone.
    """
    if origin is True:
        model.load_pretrained_backbone()
        return f"backbone started from timm's weights of {model.config.backbone}"
    if is_weights_file(origin):
        model.load_pretrained_backbone(origin)
        return f"backbone started from the file {Path(origin).name}"
    report = model.load_backbone_from(_loaded(origin, "pretrained"))
    return f"backbone started from {without_place(origin)} ({report})"


def known_of(origin: bool | str, backbone: str) -> dict | None:
    """What a result.json keeps of the weights that a backbone started from.

    Args:
        origin: True for timm's own weights, a file of weights, the folder or Hub name of a model; False for none.
        backbone: name of the timm model.

    Returns:
        name: for readers; base_model: the model of the Hub that they are, or come from; sources: names of the data
        that they have learned from, as far as their own result.json tells. None for random weights.
    """
    if origin is False or origin is None:
        return None
    if origin is True:
        published = timm.get_pretrained_cfg(backbone).hf_hub_id
        return {"name": published or f"timm's {backbone}", "base_model": published, "sources": []}
    known = {"name": without_place(origin), "base_model": None if is_local(origin) else origin, "sources": []}
    record = None if is_weights_file(origin) else _result_of(origin)
    if record is not None:
        earlier = results.read(record)
        if is_local(origin):
            known["name"] = earlier.name.partition(" with ")[0]  # of a comparison every folder is called "seed-1"
        known["base_model"] = known["base_model"] or earlier.model["base_model"]
        known["sources"] = earlier.learned_from
    return known


def load_teacher(origin: str, recipe: Recipe, fingerprint: str) -> HMTLForImageClassification:
    """The offline teacher of a perceptual loss (section 3.2): a supervised model trained without cutout, at otherwise
    the same augmentation and on the same rows. What its result.json says is checked; without one, a warning says that
    nobody knows.

    Args:
        origin: folder or Hub name.
        recipe: of the run that learns from it.
        fingerprint: of that run's data.

    Raises:
        ValueError: the teacher saw other rows, cut images, another augmentation or another image size, or learned
            auxiliary tasks.
    """
    teacher = _loaded(origin, "teacher")
    differences = []
    if teacher.config.image_size != recipe.image_size:
        differences.append(f"image_size is {teacher.config.image_size}, this run's {recipe.image_size}")
    record = _result_of(origin)
    if record is None:
        logger.warning(
            "%s has no result.json, so it is unknown whether this teacher saw the same rows (labels of others would "
            "leak into this run), the same augmentation and no cutout",
            origin,
        )
    else:
        differences += _unlike_a_teacher(results.read(record), recipe, fingerprint)
    if differences:
        uncut = " and --set augmentation.cutout=0" if _has_cutout(recipe.augmentation) else ""
        raise ValueError(
            f"{origin} cannot be the teacher of {recipe.name}: {'; '.join(differences)}. Train the supervised row with "
            f"the same data options{uncut}, and pass its folder: --teacher FOLDER"
        )
    return teacher


def _unlike_a_teacher(trained: Result, recipe: Recipe, fingerprint: str) -> list[str]:
    """What forbids a run's model to teach this recipe, as parts of a sentence."""
    found, its_own = [], trained.recipe["augmentation"]
    if not trained.data["fingerprint"].startswith(FINGERPRINT_VERSION):
        logger.warning(
            "the teacher's result.json is of an earlier hf_hmtl, which described its data in another way, so it is not "
            "known whether it saw the same rows (labels of others would leak into this run)"
        )
    elif trained.data["fingerprint"] != fingerprint:
        found.append("it was trained on other rows, whose labels would leak into this run")
    if _has_cutout(its_own):
        found.append(f"it was trained with cutout ({its_own}), and what it makes of whole images is the target")
    if _uncut(its_own) != _uncut(recipe.augmentation):
        found.append(f"its augmentation is {its_own}, this run's {recipe.augmentation}")
    if trained.model["auxiliary"] or trained.recipe["auxiliary"]:
        found.append(f"it was trained with {', '.join(trained.recipe['auxiliary'])}, not with labels alone")
    return found


def _uncut(augmentation: dict) -> Augmentation:
    return Augmentation.of({**augmentation, "cutout": 0.0})


def _has_cutout(augmentation: dict) -> bool:
    return Augmentation.of(augmentation).cutout > 0


def _result_of(origin: str) -> Path | None:
    """The result.json of a model: in its folder, above it where that is a checkpoint-N, or in its repository."""
    folder = Path(origin)
    if not folder.is_dir():
        try:
            return Path(hf_hub_download(origin, "result.json"))
        except EntryNotFoundError:  # also where it is absent from the cache and there is no connection
            return None
    places = [folder, folder.resolve().parent] if folder.resolve().name.startswith("checkpoint-") else [folder]
    return next((place / "result.json" for place in places if (place / "result.json").is_file()), None)


def load_with_heads(origin: str, tasks: set[str]) -> tuple[HMTLForImageClassification, HybridState]:
    """A model whose training is looked into, with the heads of these tasks, and the state of its loss weights.

    Args:
        origin: folder or Hub name of a checkpoint, or the folder of a run, which means its last whole checkpoint.
        tasks: names of the tasks.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: heads are missing.
    """
    checkpoint = last_complete_checkpoint(origin) or Path(origin)
    model = _loaded(str(checkpoint), "checkpoint")
    heads = model.config.heads
    if missing := tasks - set(heads):
        raise ValueError(
            f"--checkpoint {origin} has no head for {', '.join(sorted(missing))}; it has: {', '.join(heads)}. "
            "Give the checkpoint-N of a run of this recipe (a finished model has lost its auxiliary heads)"
        )
    return model, HybridState.read(checkpoint) if (checkpoint / STATE_FILE).is_file() else HybridState()


def _loaded(origin: str, option: str) -> HMTLForImageClassification:
    if Path(origin).is_dir() and not is_saved_model(origin):
        raise FileNotFoundError(
            f"--{option} {origin} is a folder without config.json; give the folder that a run wrote, or "
            "one of its checkpoint-N"
        )
    if not Path(origin).exists() and (origin.count("/") != 1 or origin.startswith((".", "/", "~", "outputs/"))):
        raise FileNotFoundError(f"--{option} {origin}: there is no such folder, nor can it be a name on the Hub")
    return HMTLForImageClassification.from_pretrained(origin)
