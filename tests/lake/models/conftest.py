"""What the tests of models share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lake.models import tiny


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pretrained model."""
    return tiny.tiny_base(tmp_path_factory.mktemp("tiny base"))
