"""The lowest version of every dependency that setup.cfg allows, as pip reads constraints: NAME==VERSION, one a line.

python tests/lowest.py > lowest.txt
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"


def lowest(content: str) -> list[str]:
    """The constraints of the text of a setup.cfg: of the package and of its tests.

    Raises:
        ValueError: a requirement does not begin with its lowest version.
    """
    parser = configparser.ConfigParser()
    parser.read_string(content)
    required = parser["options"]["install_requires"] + parser["options.extras_require"]["test"]
    return [_lowest(line.strip()) for line in required.splitlines() if line.strip()]


def _lowest(requirement: str) -> str:
    found = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,<[\w.]+)?", requirement)
    if found is None:
        raise ValueError(f"setup.cfg requires {requirement!r}; write NAME>=LOWEST, so that the lowest can be tested")
    return f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    print("\n".join(lowest(SETUP.read_text(encoding="utf-8"))))
