"""What flows share: one lake of our own samples after its first night. A night takes minutes; a flow that changes it takes a copy."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from lake.server import Server
from tests.flows.place import PROJECT, Place


@pytest.fixture(scope="session")
def lake(server: Server, store_home: Path) -> Place:
    """The samples landed and one night over."""
    place = Place.at(f"s3a://lake/{secrets.token_hex(4)}", store_home, LAKE_TRAIN_SECONDS="60")  # the real pack takes the job's own budget
    place.lake("land", "--from", str(PROJECT / "samples" / "raw"))
    place.lake("nightly")
    return place
