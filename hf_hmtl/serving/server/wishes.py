"""What a client may ask for beside the picture: one definition for JSON, for forms and for the description of both."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from hf_hmtl.serving.server.limits import Refused

LOWEST_THRESHOLD = 0.2
"""Below it nearly everything is a face, and there are thousands."""


class Wishes(BaseModel):
    """Options of one request; those that are left out are the server's."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    detect: bool = Field(True, description="false for a picture that is one face which was cut out already")
    threshold: float = Field(0.5, ge=LOWEST_THRESHOLD, lt=1, description="lowest score of a face")
    # None is what nobody can send: these two are given, or left out.
    margin: float = Field(
        default_factory=lambda: None,  # type: ignore[arg-type, return-value]
        ge=0,
        le=2,
        description="shown on each side of a face, as a share of its longer side; the model's own by default",
    )
    heads: list[str] = Field(
        default_factory=lambda: None,  # type: ignore[arg-type, return-value]
        min_length=1,
        description="answers of these heads only",
    )


def wishes_of(heads: Sequence[str], detect: bool) -> type[Wishes]:
    """`Wishes` of a network with these heads, of which alone a client may name some; where faces are not to be found,
    `detect` has to be false."""
    own: dict[str, Any] = {"heads": (list[Literal[tuple(heads)]], Wishes.model_fields["heads"])}  # type: ignore[valid-type]
    if not detect:
        own["detect"] = (Literal[False], Field(False, description="this server takes faces that were cut out already"))
    return create_model("Wishes", __base__=Wishes, **own)


def parsed(kind: type[Wishes], given: dict[str, Any], as_text: bool) -> Wishes:
    """The wishes in a form, where numbers are text, or in JSON, which has types.

    Raises:
        Refused: one of them is unknown or not possible, 422.
    """
    try:
        return kind.model_validate(given, strict=not as_text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            allowed = ", ".join(["image", *kind.model_fields])
            raise Refused(422, f"{name[:100]!r} is unknown; allowed are {allowed}") from error
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise Refused(422, f"{name[:100]}: {reason}, got {str(first['input'])[:100]!r}") from error
