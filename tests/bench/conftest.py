"""Where the recorded data lie, which are no part of the project."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def shared_data():
    """Return a function from a name to its folder; skips where the data are absent."""

    def folder(name):
        if not (DATA / name).is_dir():
            pytest.skip(f"needs recorded data in {DATA / name}")
        return DATA / name

    return folder
