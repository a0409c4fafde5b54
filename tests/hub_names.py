"""Names that the tests of publishing share: the repository, what it holds, and what must never get there."""

from pathlib import Path

from hub_server import USER

from hf_hmtl.model import modeling_hmtl

NAME = f"{USER}/faces"
SECRET, PERSON, MACHINE = "some-secret-place", "secret-person", "secret-machine"
MODEL = {"config.json", "model.safetensors", "preprocessor_config.json"}
CODE = {
    path.name
    for path in Path(modeling_hmtl.__file__).parent.glob("*_hmtl.py")
    if "sequence" not in path.name  # what reads clips does not travel with what looks at images
}
WHOLE = {".gitattributes", "README.md", "result.json", "curves.png", "recipe.yaml", *MODEL, *CODE}
