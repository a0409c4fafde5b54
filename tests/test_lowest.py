"""What `make test-lowest` installs is what setup.cfg allows."""

import importlib.metadata
import sys

import pytest
from lowest import SETUP, lowest
from packaging.requirements import Requirement
from packaging.version import Version


def test_every_requirement_has_a_lowest_version_which_it_allows():
    found = [Requirement(line) for line in lowest(SETUP.read_text(encoding="utf-8"))]
    assert {"torch", "transformers", "datasets", "timm", "pytest"} <= {requirement.name for requirement in found}
    for requirement in found:
        (pinned,) = requirement.specifier
        installed = Version(importlib.metadata.version(requirement.name))
        assert pinned.operator == "==" and Version(pinned.version) <= installed


def test_a_requirement_without_a_lowest_version_raises():
    content = "[options]\ninstall_requires =\n    torch\n[options.extras_require]\ntest =\n    pytest>=8\n"
    with pytest.raises(ValueError, match="requires 'torch'; write NAME>=LOWEST"):
        lowest(content)
    assert lowest(content.replace("torch", "torch>=2.9,<3")) == ["torch==2.9", "pytest==8"]


def test_this_interpreter_is_one_that_the_package_allows():
    assert sys.version_info >= (3, 11) and "python_requires = >=3.11" in SETUP.read_text(encoding="utf-8")
