import pytest
from broken_runs import train


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of the uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    ended = train(folder)
    assert ended.status == 0, ended.printed[-3000:]
    return folder
