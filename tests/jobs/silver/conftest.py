"""The job under test: tests/jobs/silver/test_<name>.py gets the build of jobs/silver/<name>.py and its contract."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from lake.contract import Contract
from lake.settings import project_root


@pytest.fixture(scope="module")
def build(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The job's pure function."""
    name = request.path.stem.removeprefix("test_")
    spec = importlib.util.spec_from_file_location(f"silver_{name}", project_root() / "jobs" / "silver" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build


@pytest.fixture(scope="module")
def contract(request: pytest.FixtureRequest) -> Contract:
    """The contract that the function's result must have, column by column."""
    return Contract.load(f"silver.{request.path.stem.removeprefix('test_')}")


@pytest.fixture(scope="module")
def shape(contract: Contract) -> list[tuple[str, str]]:
    """Names and types of the contract's columns, in its order, as DataFrame.dtypes gives them."""
    return [(c.name, c.type) for c in contract.columns]
