"""The network and its preprocessing: the only code that travels to the Hub, hence flat and without imports of ours."""

from .registration import register_on_first_use

register_on_first_use()
