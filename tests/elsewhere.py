"""What a script begins with that is to run as if hf_hmtl were not installed."""

WITHOUT_HF_HMTL = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_hmtl":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
"""
