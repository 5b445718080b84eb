"""The model that documents are embedded with is in the cache before the first test: the engine fetches it as a user's would."""

from __future__ import annotations

import pytest
import ragstone


@pytest.fixture(scope="session", autouse=True)
def model() -> None:
    with ragstone.open(None) as client:
        client.pull_model()
