"""What strangers saved is used, or refused in one sentence, whatever the base classes would raise."""

import contextlib
import reprlib
from pickle import UnpicklingError

from safetensors import SafetensorError

# What transformers' own reading raises where an entry has another type than it has ever been written with.
_UNEXPECTED = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, UnicodeError)


LARGEST_SIDE = 8192
"""Pixels of a side of what a network sees: fewer than a picture may have that is decoded."""

_short = reprlib.Repr()
_short.maxlevel, _short.maxdict, _short.maxlist, _short.maxtuple = 3, 10, 10, 10
_short.maxstring = _short.maxother = 120
_WORDS = ("model_type", "dtype", "torch_dtype")  # entries of every configuration that transformers takes at their word


class WrongSizes(ValueError, RuntimeError):
    """Saved weights of other sizes than the network asked for; transformers raises a RuntimeError."""


def short(value) -> str:
    """What `repr` says, in some hundred characters at most, of what may be anything."""
    return _short.repr(value)


@contextlib.contextmanager
def one_sentence(what: str):
    """Turns what is raised while something saved is read into a ValueError that names it.

    Args:
        what: "configuration", for the message.
    """
    try:
        yield
    except _UNEXPECTED as error:
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        raise ValueError(f"The saved {what} cannot be used ({reason}); save it again, or get it anew.") from error


@contextlib.contextmanager
def readable_weights(source):
    """Turns what is raised while weights are read from files into an OSError or a ValueError.

    Args:
        source: folder or Hub name, for the message.

    Raises:
        OSError: a safetensors file is damaged. ValueError: it is a pickle that holds more than tensors.
        WrongSizes: tensors have other sizes than those of the network.
    """
    try:
        yield
    except (UnpicklingError, EOFError) as error:
        raise ValueError(
            f"The weights in {source} are a pickle that holds more than tensors, which is not loaded. Whoever made it "
            "can save it as safetensors."
        ) from error
    except SafetensorError as error:
        raise OSError(f"The weights in {source} are damaged ({str(error)[:300]}); get them anew.") from error
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise WrongSizes(f"The weights in {source} do not fit their configuration: {str(error)[:2000]}") from error


class StrangersConfig:
    """How a configuration is read; it stands before `PreTrainedConfig` among the bases of one."""

    @classmethod
    def get_config_dict(cls, *arguments, **options):
        """As the base class's; raises ValueError where the file holds no object of JSON."""
        with one_sentence("configuration"):
            found, left = super().get_config_dict(*arguments, **options)  # type: ignore[misc]
            if not isinstance(found, dict):
                raise TypeError(f"an object of JSON is needed, got {short(found)}")
            for name in _WORDS:
                if not isinstance(found.get(name), (str, type(None))):
                    raise TypeError(f"{name} is a word, got {short(found[name])}")
            return found, left

    @classmethod
    def from_dict(cls, *arguments, **options):
        """As the base class's; raises ValueError where an entry is not what it has to be."""
        with one_sentence("configuration"):
            return super().from_dict(*arguments, **options)  # type: ignore[misc]
