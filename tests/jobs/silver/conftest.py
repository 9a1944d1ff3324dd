"""The job under test: tests/jobs/silver/test_<name>.py gets the build of jobs/silver/<name>.py and its contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lake.contract import Contract
from lake.run import load, step_of

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def build(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The job's pure function."""
    return load(step_of(PROJECT / "jobs" / "silver" / f"{request.path.stem.removeprefix('test_')}.py"))


@pytest.fixture(scope="module")
def contract(request: pytest.FixtureRequest) -> Contract:
    """The contract that the function's result must have, column by column."""
    return Contract.load(f"silver.{request.path.stem.removeprefix('test_')}")


@pytest.fixture(scope="module")
def shape(contract: Contract) -> list[tuple[str, str]]:
    """Names and types of the contract's columns, in its order, as DataFrame.dtypes gives them."""
    return [(c.name, c.type) for c in contract.columns]
