"""What an augmentation level is: magnitudes, the three levels of the paper's appendix A, and that of Table 12."""

import math
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches

REFERENCE_SIDE = 224  # the side at which the paper's sizes in pixels (blur, cutout) are meant

_WEAK = {"zoom": (0.69, 1.0), "contrast": (0.6, 1.4), "rotation": 15.0}
_STRONG = {
    **_WEAK,
    "rotation": 20.0,
    "brightness": 0.05,
    "channel_swap": 0.5,
    "blur": (1, 3, 5),
    "noise": 0.05,
    "cutout": 60 / REFERENCE_SIDE,
}
# Table 12 (section 4.8.1) names zoom, down-sampling, blur and cutout, without a number and without a flip. The numbers
# are those of appendix A; of down-sampling, HopeNet's own (`random_ds` of its code), which the paper follows elsewhere.
_POSE = {
    "flip": 0.0,
    "zoom": (0.69, 1.0),
    "downsampling": (1, 6, 11, 16),
    "blur": (1, 3, 5),
    "cutout": 60 / REFERENCE_SIDE,
}
LEVELS = {"none": {}, "weak": _WEAK, "strong": _STRONG, "pose": _POSE}


@dataclass(frozen=True)
class Augmentation:
    """Magnitudes of the nine transformations of appendix A, table 1, and of Table 12's down-sampling; the defaults are
    the level "none": flip only.

    Attributes:
        flip: probability of a horizontal flip.
        zoom: smallest and largest visible fraction of the side, about the centre.
        contrast: smallest and largest factor on the distance to the mean of the channel.
        rotation: largest angle in degrees, in both directions; positive angles turn counter-clockwise.
        brightness: largest shift, in both directions, as a fraction of the full range.
        channel_swap: probability of a random order of the channels (which may be R, G, B again). The paper gives none.
        blur: sizes in pixels at a side of 224 of the Gaussian filters to choose from; 1 is no blur.
        noise: largest standard deviation of the normal noise, as a fraction of the full range. The paper prints
            "var=0.05"; in the authors' code it is the largest standard deviation.
        cutout: side of the black square as a fraction of the image's side.
        downsampling: factors to choose from; of a factor f, an image keeps 224 / f pixels a side (no more than it has),
            taken and enlarged again without smoothing, as HopeNet's code does; 1 keeps all.

    Raises:
        ValueError: a magnitude is outside of its range.
    """

    flip: float = 0.5
    zoom: tuple[float, float] = (1.0, 1.0)
    contrast: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    brightness: float = 0.0
    channel_swap: float = 0.0
    blur: tuple[int, ...] = (1,)
    noise: float = 0.0
    cutout: float = 0.0
    downsampling: tuple[int, ...] = (1,)

    def __post_init__(self):
        for name in ("zoom", "contrast", "blur", "downsampling"):  # YAML and JSON know lists only
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("flip", "brightness", "channel_swap", "noise", "cutout"):
            self._require(name, _is_number(getattr(self, name), 0, 1), "a number from 0 to 1")
        self._require("rotation", _is_number(self.rotation, 0, 180), "the largest angle, from 0 to 180 degrees")
        self._require("zoom", _is_range(self.zoom, 1) and self.zoom[0] > 0, "two fractions, 0 < low <= high <= 1")
        self._require("contrast", _is_range(self.contrast, math.inf), "two factors, 0 <= low <= high")
        odd = isinstance(self.blur, tuple) and all(
            isinstance(size, int) and size > 0 and size % 2 for size in self.blur
        )
        self._require("blur", odd and len(self.blur) > 0, "odd sizes in pixels, such as (1, 3, 5)")
        factors = isinstance(self.downsampling, tuple) and all(
            isinstance(factor, int) and 1 <= factor <= REFERENCE_SIDE for factor in self.downsampling
        )
        self._require("downsampling", factors and len(self.downsampling) > 0, "factors, such as (1, 6, 11, 16)")

    def _require(self, name: str, valid: bool, allowed: str) -> None:
        if not valid:
            raise ValueError(f"augmentation option {name} is {getattr(self, name)!r}; allowed: {allowed}")

    @classmethod
    def level(cls, name: str, /, **overrides) -> "Augmentation":
        """The level "none", "weak" or "strong" of appendix A or "pose" of Table 12, with some magnitudes replaced.

        Raises:
            ValueError: no level or option has this name; the nearest one is proposed.
        """
        _require_known("augmentation level", name, LEVELS)
        for option in overrides:
            _require_known("augmentation option", option, [field.name for field in fields(cls)])
        return cls(**{**LEVELS[name], **overrides})

    @classmethod
    def of(cls, settings: "Augmentation | dict | str") -> "Augmentation":
        """That of a level's name, or of a recipe's entry: {level: "none" unless given, and magnitudes that replace the
        level's}.

        Raises:
            ValueError: as `level`.
        """
        if isinstance(settings, cls):
            return settings
        overrides = {"level": settings} if isinstance(settings, str) else dict(settings)
        for option in overrides:
            _require_known("augmentation option", option, ["level", *(field.name for field in fields(cls))])
        return cls.level(overrides.pop("level", "none"), **overrides)

    def to_dict(self) -> dict:
        """Every magnitude as plain JSON types; `Augmentation(**to_dict())` is equal to this one."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _is_number(value, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low <= value <= high


def _is_range(value, highest: float) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(_is_number(end, 0, highest) for end in value)
        and value[0] <= value[1]
        and math.isfinite(value[1])
    )


def _require_known(what: str, name: str, allowed) -> None:
    if not isinstance(name, str) or name not in allowed:
        nearest = get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"no {what} is called {name!r}: known are {', '.join(allowed)}{hint}")
