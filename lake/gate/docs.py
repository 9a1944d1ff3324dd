"""Great Expectations' own Data Docs of a recorded verdict: its suite and its results as GX's pages, built in a folder."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_SITE = "lake"
_COUNTED = re.compile(r"(\d+) of (\d+) unexpected")


@dataclass(frozen=True, slots=True)
class Docs:
    """What was built."""

    folder: Path
    rules: int
    left_out: tuple[str, ...]  # rules of ours that are no expectation of GX, and those whose arguments were too long to be recorded whole


def build_docs(folder: Path, address: str, run: int, at: datetime, checks: Sequence[Mapping[str, Any]]) -> Docs:
    """Build GX's pages of one run of an address from its rows of ops.checks; Spark and the table are not asked.

    What was judged is shown, also of a batch that was refused and that nobody can judge again. GX's pages take their style from
    the web (CDNs of Bootstrap, Font Awesome, Vega); without it they read as plain text.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what GX 2 will do otherwise: the arguments are as they were judged
        return _built(folder, address, run, at, checks)


def _built(folder: Path, address: str, run: int, at: datetime, checks: Sequence[Mapping[str, Any]]) -> Docs:
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult, RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    asked: list[tuple[ExpectationConfiguration, Mapping[str, Any]]] = []
    left_out = list[str]()
    for row in checks:
        kwargs = _kwargs(row)
        if kwargs is None or not _is_known(row["rule"]):
            left_out.append(f"{row['rule']} on {row['column']}" if row["column"] else row["rule"])
            continue
        meta = {"on_fail": row["on_fail"], "judged_by": row["judged_by"]}
        asked.append((ExpectationConfiguration(type=row["rule"], kwargs=kwargs, meta={k: v for k, v in meta.items() if v}), row))
    context: Any = gx.get_context(mode="ephemeral")  # one of its own: the gate's knows other suites
    context.variables.progress_bars = {"globally": False}
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        _SITE, {"class_name": "SiteBuilder", "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}, "store_backend": backend}
    )
    context.suites.add(gx.ExpectationSuite(name=address, expectations=[c.to_json_dict() for c, _ in asked]))
    results = [
        ExpectationValidationResult(success=row["success"], expectation_config=asking, result=_result(row), meta={}, exception_info=_NO_EXCEPTION)
        for asking, row in asked
    ]
    held = sum(bool(r.success) for r in results)
    run_id = RunIdentifier(run_name=f"run-{run}", run_time=at)
    verdict = ExpectationSuiteValidationResult(
        success=held == len(results),
        results=results,
        suite_name=address,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": held,
            "unsuccessful_expectations": len(results) - held,
            "success_percent": 100 * held / len(results) if results else None,
        },
        meta={
            "run_id": run_id,
            "great_expectations_version": gx.__version__,
            "active_batch_definition": {"datasource_name": "lake", "data_asset_name": address, "batch_identifiers": {"run": run}},
            "validation_time": at.isoformat(),
        },
        batch_id=f"run-{run}",
    )
    key = ValidationResultIdentifier(
        expectation_suite_identifier=ExpectationSuiteIdentifier(name=address), run_id=run_id, batch_identifier=f"run-{run}"
    )
    context.validation_results_store.set(key, verdict)
    context.build_data_docs(site_names=[_SITE])
    for walk_through in (folder / "static" / "images").glob("*.gif"):
        walk_through.unlink()  # 3.4 of 4.2 MB, of how to use GX: nothing of this verdict
    return Docs(folder, len(results), tuple(left_out))


_NO_EXCEPTION = {"raised_exception": False, "exception_message": None, "exception_traceback": None}


def _kwargs(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments that the rule was judged with; None where they were not recorded whole."""
    try:
        limits = json.loads(row["threshold"] or "{}")
    except ValueError:
        return None
    if not isinstance(limits, dict):
        return None
    columns = [c for c in (row["column"] or "").split(", ") if c]
    if "column_list" in limits or not columns:
        return limits
    if row["rule"].startswith("expect_column_pair") and len(columns) == 2:
        return {"column_A": columns[0], "column_B": columns[1], **limits}
    return {"column": columns[0], **limits} if len(columns) == 1 else {"column_list": columns, **limits}


def _result(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen, in the form of a result of GX."""
    if counted := _COUNTED.fullmatch(row["observed"] or ""):
        bad, all_ = (int(n) for n in counted.groups())
        share = 100 * bad / all_ if all_ else 0.0
        return {
            "element_count": all_, "unexpected_count": bad, "unexpected_percent": share, "unexpected_percent_total": share,
            "unexpected_percent_nonmissing": share, "missing_count": 0, "missing_percent": 0.0, "partial_unexpected_list": [],
        }  # fmt: skip
    try:
        return {"observed_value": json.loads(row["observed"] or "null")}
    except ValueError:
        return {"observed_value": row["observed"]}


def _is_known(rule: str) -> bool:
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        get_expectation_impl(rule)
    except ExpectationNotFoundError:
        return False
    return True
