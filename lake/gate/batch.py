"""The batch's verdict: one Great Expectations suite, derived from the contract and written in expectations/, judged on staged rows.

The only module that imports Great Expectations. The written part stands in expectations/<zone>/<name>.yaml in GX's own keys
(type, kwargs, severity); the derived part says again, in GX's words, what the contract says of the whole batch.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pyspark.sql import DataFrame

from lake.contract import Contract
from lake.errors import ContractBroken
from lake.settings import project_root

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
_KEYS = frozenset({"type", "kwargs", "severity", "meta", "id", "notes", "description"})

# A batch of which more than half is set aside is not the data we think it is; under 20 rows a share says nothing.
_MAX_REJECTED_SHARE, _SHARE_FROM_ROWS = 0.5, 20

# The cheapest setting that still gives every count (17 jobs in place of 29 for 12 rules); rows are named only for what failed.
_CHEAPEST: Mapping[str, Any] = {"result_format": "BASIC", "partial_unexpected_count": 0}
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation judged: what it asks, what was seen, and whether that lets the batch pass."""

    rule: str
    column: str | None
    severity: Severity
    success: bool
    observed: str
    threshold: str
    unexpected: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of one batch."""

    address: str
    rows: int
    checks: tuple[Check, ...]

    @property
    def refusals(self) -> tuple[Check, ...]:
        """Critical checks that failed: any of them refuses the batch."""
        return tuple(c for c in self.checks if not c.success and c.severity == "critical")

    @property
    def warnings(self) -> tuple[Check, ...]:
        """Other checks that failed: told, but the batch passes."""
        return tuple(c for c in self.checks if not c.success and c.severity != "critical")


@dataclass(frozen=True, slots=True)
class Suite:
    """The suite of one address: expectations as GX configurations, and the share of rejected rows that is borne."""

    address: str
    expectations: tuple[Mapping[str, Any], ...]
    max_rejected_share: float = _MAX_REJECTED_SHARE


def written(address: str) -> Suite:
    """The written part of a suite; empty when the project has no file for the address.

    Raises:
        ContractBroken: unknown keys, expectation types, arguments, severities or columns, or a file without expectations.
    """
    zone, name = address.split(".")
    path = project_root() / "expectations" / zone / f"{name}.yaml"
    if not path.is_file():
        return Suite(address, ())
    return _load(address, path, path.stat().st_mtime_ns)


def derived(contract: Contract) -> tuple[Mapping[str, Any], ...]:
    """What the contract says of a whole batch: the key is unique. Its columns and types were compared before anything was staged."""
    asked: list[Mapping[str, Any]] = []
    if len(contract.key) == 1:
        asked.append({"type": "expect_column_values_to_be_unique", "kwargs": {"column": contract.key[0]}, "severity": "critical"})
    elif contract.key:
        asked.append({"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": list(contract.key)}, "severity": "critical"})
    return tuple(asked)


def unique(contract: Contract) -> tuple[Mapping[str, Any], ...]:
    """Columns that the contract calls unique by themselves, beside its key; a value that is not there equals no other."""
    alone = [columns[0] for columns in contract.uniques() if columns != contract.key]
    return tuple({"type": "expect_column_values_to_be_unique", "kwargs": {"column": name}, "severity": "critical"} for name in alone)


def ready() -> None:
    """Import what judging needs: 4 s of Python, which are free while something else starts."""
    _context()


def check_batch(rows: DataFrame, contract: Contract, *, kept: int, rejected: int, emptied: bool = False) -> Verdict:
    """Judge a batch of staged rows; says the verdict and leaves the refusing to the caller, who records it first.

    `emptied`: the batch has no rows and takes the place of a table that has some.

    Raises:
        ContractBroken: an expectation broke while it was judged: a broken rule is never taken for bad data.
    """
    suite = written(contract.address)
    keys, asked = derived(contract), [*unique(contract), *suite.expectations]
    share = rejected / (kept + rejected) if kept + rejected else 0.0
    borne = share <= suite.max_rejected_share or kept + rejected < _SHARE_FROM_ROWS
    checks = [
        Check(
            "rejected_share", None, "critical", borne, f"{share:.4f}", f"<= {suite.max_rejected_share}", rejected,
            f"{rejected:,} of {kept + rejected:,} rows were rejected ({share:.1%}); at most {suite.max_rejected_share:.0%} is borne",
        )
    ]  # fmt: skip
    # An empty batch says nothing about its rows, and GX lets it pass most rules: what it is asked is how many they are, when it empties a table.
    if not kept:
        keys, asked = (), [a for a in asked if a["type"].startswith("expect_table_")] if emptied else []
    # Stock GX sorts whole rows to see that a key is unique: 7 million rows take it longer than they took to write. That it is can be
    # counted over hashes of the keys; where they do not show it, GX is asked.
    judged: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    if keys and _is_unique(rows, contract, kept):
        judged = [(a, {"success": True, "result": {"element_count": kept, "unexpected_count": 0}}) for a in keys]
    else:
        asked = [*keys, *asked]
    judged += _judged(rows, asked) if asked else []
    failed = [a for a, result in judged if not result["success"] and (result.get("result") or {}).get("unexpected_count")]
    examples = _examples(rows, contract, failed)
    checks += [_check(contract.address, a, result, examples.get(id(a), "")) for a, result in judged]
    return Verdict(contract.address, kept, tuple(checks))


def _is_unique(rows: DataFrame, contract: Contract, kept: int) -> bool:
    """Whether the keys of all rows hash to different numbers, so that they are different; two that hash alike by chance (1 in 10^6 batches of
    6 million rows) say nothing, and neither does a null.
    """
    from pyspark.sql import functions as F

    key = [F.col(k) for k in contract.key]
    none = reduce(or_, [k.isNull() for k in key])
    hashed = rows.select(F.when(~none, F.xxhash64(*key)).alias("key"))
    return hashed.where("key is not null").distinct().count() == kept


def _examples(rows: DataFrame, contract: Contract, failed: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Keys of some rows that failed an expectation, by the id of what was asked. Keys only: a value may be personal."""
    key = [k for k in contract.key if contract.column(k).classification is None]
    if not failed or not key:
        return {}
    asking = {"result_format": "SUMMARY", "partial_unexpected_count": _EXAMPLES, "unexpected_index_column_names": key}
    told: dict[int, str] = {}
    for asked, result in _judged(rows, failed, asking):
        found = (result.get("result") or {}).get("partial_unexpected_index_list") or []
        told[id(asked)] = "; ".join(dict.fromkeys(", ".join(f"{k} = {row[k]}" for k in key) for row in found))
    return told


def _judged(
    rows: DataFrame, asked: Sequence[Mapping[str, Any]], asking: Mapping[str, Any] = _CHEAPEST
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    gx = _gx()
    context = _context()
    suite = gx.ExpectationSuite(
        name="batch", expectations=[{"type": a["type"], "kwargs": dict(a["kwargs"]), "meta": {"n": n}} for n, a in enumerate(asked)]
    )
    if len(suite.expectations) != len(asked):  # GX drops an unknown type in silence
        raise ContractBroken("Great Expectations knows fewer expectations than the suite has", next_step="check each `type` in expectations/")
    source = context.data_sources.add_or_update_spark(name="staged", persist=False)
    # GX asks for "the" session of this process, but the rows live in a session of their own, and so would a query's view of them.
    source.get_execution_engine().spark = rows.sparkSession
    batch = source.add_dataframe_asset(name="rows").add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
    result = batch.validate(suite, result_format=dict(asking))
    # GX orders results by column; each expectation is found again by the number it was given.
    by_number = {r.expectation_config.meta["n"]: r.to_json_dict() for r in result.results}
    return [(a, by_number[n]) for n, a in enumerate(asked)]


def _check(address: str, asked: Mapping[str, Any], result: Mapping[str, Any], examples: str = "") -> Check:
    info = result.get("exception_info") or {}
    raised = info if "raised_exception" in info else next((v for v in info.values() if isinstance(v, dict) and v.get("raised_exception")), {})
    if raised.get("raised_exception"):
        raise ContractBroken(
            f"{address}: the rule {asked['type']} broke while it was judged: {raised.get('exception_message')}",
            next_step=f"mend it in expectations/{address.replace('.', '/')}.yaml",
        )
    kwargs, seen = dict(asked["kwargs"]), cast(dict[str, Any], result.get("result") or {})
    columns = (
        kwargs.get("column")
        or ", ".join(map(str, kwargs.get("column_list") or []))
        or ", ".join(str(kwargs[k]) for k in ("column_A", "column_B") if k in kwargs)
    )
    unexpected = seen.get("unexpected_count")
    if "observed_value" in seen:
        observed = json.dumps(seen["observed_value"], default=str)
    else:
        observed = f"{unexpected} of {seen.get('element_count')} unexpected"
    limits = {k: v for k, v in kwargs.items() if k not in ("column", "column_A", "column_B")}
    success = bool(result["success"])
    about = f" on {columns}" if columns and len(columns) < 80 else ""
    sentence = f"{asked['type']}{about}: {'holds' if success else 'FAILS'}: saw {observed[:300]}, asked {json.dumps(limits, default=str)[:300]}"
    if unexpected and not success:
        sentence += f"; {unexpected:,} rows" + (f", such as {examples[:500]}" if examples else "")
    return Check(
        asked["type"], columns or None, asked["severity"], success, observed[:2000], json.dumps(limits, default=str)[:2000], unexpected, sentence
    )


@cache
def _load(address: str, path: Path, modified_ns: int) -> Suite:
    def wrong(what: str) -> ContractBroken:
        return ContractBroken(f"{path}: {what}", next_step="see expectations/ of the example project, and GX's gallery for types and arguments")

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise wrong(f"is not YAML: {error}") from None
    if not isinstance(document, dict) or not document.get("expectations"):
        raise wrong("holds no expectations: an empty suite would let everything pass")
    unknown = set(document) - {"name", "expectations", "meta", "notes"}
    if unknown:
        raise wrong(f"unknown keys {sorted(unknown)}")
    contract = Contract.load(address)
    names = {c.name for c in contract.columns}
    configurations: list[Mapping[str, Any]] = []
    for n, item in enumerate(document["expectations"], 1):
        if not isinstance(item, dict) or set(item) - _KEYS or "type" not in item:
            raise wrong(
                f"expectation {n} has keys {sorted(item) if isinstance(item, dict) else item!r}; known are {sorted(_KEYS)}, and it must have a type"
            )
        severity = item.get("severity", "critical")
        if severity not in SEVERITIES:
            raise wrong(f"expectation {n} has severity {severity!r}; known are {', '.join(SEVERITIES)}")
        kwargs = dict(item.get("kwargs") or {})
        about = [kwargs[k] for k in ("column", "column_A", "column_B") if k in kwargs] + list(kwargs.get("column_list") or [])
        if missing := [c for c in about if c not in names]:
            raise wrong(f"expectation {n} ({item['type']}) names {', '.join(missing)}: not a column of {address}")
        _known(item["type"], kwargs, n, wrong)
        configurations.append({"type": item["type"], "kwargs": kwargs, "severity": severity, "meta": item.get("meta") or {}})
    share = (document.get("meta") or {}).get("max_rejected_share", _MAX_REJECTED_SHARE)
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise wrong(f"max_rejected_share is {share!r}: write a share from 0 to 1")
    return Suite(address, tuple(configurations), float(share))


def _known(kind: str, kwargs: Mapping[str, Any], n: int, wrong: Any) -> None:
    _gx()
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        get_expectation_impl(kind)(**kwargs)
    except ExpectationNotFoundError:
        raise wrong(f"expectation {n}: GX knows no {kind}") from None
    except (TypeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        raise wrong(f"expectation {n} ({kind}): {error}") from None


@cache
def _gx() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GX's own imports warn of their dependencies' futures
        import great_expectations as gx
    return gx


@cache
def _context() -> Any:
    context = _gx().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context
