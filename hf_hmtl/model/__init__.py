"""The network and its preprocessing: the only code that travels to the Hub, hence flat and without imports of ours."""
