"""The written suite of an address: expectations/<zone>/<name>.yaml in Great Expectations' own keys, checked before a row is read.

Each expectation says by `meta.on_fail` what its failure does: `quarantine` sets the rows that break it aside and lets the others pass,
`refuse` refuses the batch, `warn` is told. GX's own `severity` is a label. What judges rows one by one, or by the values that they share,
quarantines unless it says otherwise; what judges a batch as a whole refuses it. A subclass of an expectation that the project writes into
expectations/*.py is used by its name, as GX's own are.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from lake.contract import Contract
from lake.errors import ContractBroken
from lake.gate import gx, history
from lake.settings import project_root

OnFail = Literal["quarantine", "refuse", "warn"]
Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_KEYS = frozenset({"type", "kwargs", "severity", "meta", "id", "notes", "description"})
_META = frozenset({"on_fail", "why", "history"})
_BATCHES = 5  # accepted ones, before a rule is asked that compares with them

# A batch of which more than half is set aside is not the data we think it is.
MAX_REJECTED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Rule:
    """One written expectation. `name` is what a row that it sets aside carries as its reason: `expect_column_values_to_match_regex:text`."""

    type: str
    kwargs: Mapping[str, Any]
    columns: tuple[str, ...]
    on_fail: OnFail
    severity: Severity
    place: str  # file:line
    name: str
    kind: gx.Kind
    needs: frozenset[str] = frozenset()  # parameters that history gives
    batches: int = 0  # accepted ones that it needs
    why: str = ""  # what its failure means


@dataclass(frozen=True, slots=True)
class Suite:
    """The written expectations of one address, and the share of rejected rows that is borne."""

    address: str
    rules: tuple[Rule, ...]
    max_rejected_share: float = MAX_REJECTED_SHARE


def written(address: str) -> Suite:
    """The suite of an address; empty when the project has no file for it.

    Raises:
        ContractBroken: with file and line: unknown keys, types, arguments, severities, columns or fates, a fate that the type cannot have, a rule
            that repeats the contract, or a file without expectations.
    """
    zone, name = address.split(".")
    path = project_root() / "expectations" / zone / f"{name}.yaml"
    if not path.is_file():
        return Suite(address, ())
    load_own()
    return _load(address, path, path.stat().st_mtime_ns, Contract.load(address).hash)


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float)


def load_own() -> None:
    """Import the project's own expectation classes, of expectations/*.py: each registers itself with GX by its name.

    Raises:
        ContractBroken: one of these files can't be imported.
    """
    for path in sorted((project_root() / "expectations").glob("*.py")):
        _imported(path, path.stat().st_mtime_ns)


@cache
def _load(address: str, path: Path, modified_ns: int, contract: str) -> Suite:
    text = path.read_text(encoding="utf-8")
    try:
        document, lines = yaml.safe_load(text), _lines(text)
    except yaml.YAMLError as error:
        raise _wrong(str(path), f"is not YAML: {error}") from None
    if not isinstance(document, dict) or not document.get("expectations"):
        raise _wrong(str(path), "holds no expectations: an empty suite would let everything pass")
    if unknown := set(document) - {"name", "expectations", "meta", "notes"}:
        raise _wrong(str(path), f"unknown keys {sorted(unknown)}")
    rules: list[Rule] = []
    for n, item in enumerate(document["expectations"]):
        rules.append(_rule(item, f"{path}:{lines[n]}", Contract.load(address), {r.name for r in rules}))
    share = (document.get("meta") or {}).get("max_rejected_share", MAX_REJECTED_SHARE)
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise _wrong(str(path), f"max_rejected_share is {share!r}: write a share from 0 to 1")
    return Suite(address, tuple(rules), float(share))


def _lines(text: str) -> list[int]:
    """The line of each expectation, from 1."""
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs: Sequence[Any] = getattr(root, "value", None) or ()
    found = next((value for key, value in (p for p in pairs if isinstance(p, tuple)) if key.value == "expectations"), None)
    return [node.start_mark.line + 1 for node in found.value] if found is not None and isinstance(found.value, list) else []


def _rule(item: Any, place: str, contract: Contract, taken: set[str]) -> Rule:
    if not isinstance(item, dict) or set(item) - _KEYS or "type" not in item:
        found = sorted(item) if isinstance(item, dict) else repr(item)
        raise _wrong(place, f"an expectation has keys {found}; known are {sorted(_KEYS)}, and it must have a type")
    said = cast(dict[str, Any], item)
    type_, kwargs, meta = str(said["type"]), dict(said.get("kwargs") or {}), dict(said.get("meta") or {})
    severity, kind = said.get("severity", "critical"), _kind(type_, kwargs, place)
    if severity not in SEVERITIES:
        raise _wrong(place, f"severity {severity!r}; known are {', '.join(SEVERITIES)}")
    if unknown := set(meta) - _META:
        raise _wrong(place, f"meta has unknown keys {sorted(unknown)}; known are {', '.join(sorted(_META))}")
    fate = meta.get("on_fail", "refuse" if kind == "batch" else "quarantine")
    if fate not in get_args(OnFail):
        raise _wrong(place, f"on_fail is {fate!r}; known are {', '.join(get_args(OnFail))}")
    if fate == "quarantine" and kind == "batch":
        raise _wrong(place, f"{type_} judges a batch as a whole: there is no row to quarantine; write on_fail: refuse, or warn")
    if fate == "quarantine" and kind == "unique" and kwargs.get("row_condition"):
        raise _wrong(place, f"{type_} with a row_condition names no rows; write on_fail: refuse, or warn")
    needs = history.parameters(kwargs)
    if wrong := history.unknown(needs, [c.name for c in contract.columns]):
        raise _wrong(place, f"{type_} names {', '.join(wrong)}, which no history has", "see docs/gate.md, 'Against the last batches'")
    batches = meta.get("history", _BATCHES if needs else 0)
    if not isinstance(batches, int) or batches < 0 or (needs and not batches):
        raise _wrong(place, f"history is {batches!r}: write a number of accepted batches, 1 or more")
    columns = tuple(map(str, [kwargs[k] for k in ("column", "column_A", "column_B") if k in kwargs] + list(kwargs.get("column_list") or [])))
    if missing := [c for c in columns if c not in {column.name for column in contract.columns}]:
        raise _wrong(place, f"{type_} names {', '.join(missing)}: not a column of {contract.address}")
    if repeated := _in_contract(type_, kwargs, columns, contract):
        raise _wrong(place, f"{type_} repeats the contract, which says {repeated}: a truth is written once", "take it out here")
    name = base = f"{type_}:{','.join(columns)}" if columns else type_
    again = 1
    while name in taken:
        again += 1
        name = f"{base}#{again}"
    why = " ".join(str(meta.get("why") or "").split())
    return Rule(type_, kwargs, columns, fate, severity, place, name, kind, frozenset(needs), batches, why)


def _kind(type_: str, kwargs: Mapping[str, Any], place: str) -> gx.Kind:
    try:
        gx.made(type_, kwargs)
    except LookupError:
        raise _wrong(place, f"GX knows no {type_}") from None
    except ValueError as error:  # pydantic's ValidationError is one
        raise _wrong(place, f"{type_}: {error}") from None
    kind = gx.kind(type_)
    if kind is None:
        raise _wrong(place, f"GX does not offer {type_} on Spark", "see `lake expectations` for those that it does")
    return kind


def _in_contract(type_: str, kwargs: Mapping[str, Any], columns: tuple[str, ...], contract: Contract) -> str:
    """What of the contract an expectation says again, or asks less than; empty when it says something of its own."""
    column = contract.column(columns[0]) if columns else None
    if type_ == "expect_column_to_exist" or type_.startswith("expect_table_column"):
        return "which columns there are"
    if type_ in ("expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"):
        return "of what type they are"
    if type_ in ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"):
        return next((f"unique: {', '.join(said)}" for said in contract.uniques() if sorted(said) == sorted(columns)), "")
    if column is None:
        return ""
    if type_ == "expect_column_values_to_not_be_null" and column.required:
        return f"required: {column.name}"
    if type_ == "expect_column_values_to_be_in_set" and column.allowed and set(column.allowed) <= set(map(str, kwargs.get("value_set") or ())):
        return f"allowed values of {column.name}"
    if type_ == "expect_column_values_to_match_regex" and column.pattern and kwargs.get("regex") in (column.pattern, f"^{column.pattern}$"):
        return f"the pattern of {column.name}"
    if type_ == "expect_column_values_to_be_between" and not (kwargs.get("strict_min") or kwargs.get("strict_max")):
        low, high = kwargs.get("min_value"), kwargs.get("max_value")
        below = low is None or (_is_number(low) and isinstance(column.minimum, int | float) and low <= column.minimum)
        above = high is None or (_is_number(high) and isinstance(column.maximum, int | float) and high >= column.maximum)
        return f"the range of {column.name}" if below and above else ""
    return ""


@cache
def _imported(path: Path, modified_ns: int) -> None:
    gx.ready()
    name = f"_expectations_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _wrong(str(path), f"cannot be imported: {type(error).__name__}: {error}") from error
    gx.kind.cache_clear()


def _wrong(place: str, what: str, next_step: str = "") -> ContractBroken:
    return ContractBroken(
        f"{place}: {what}", next_step=next_step or "see `lake expectations` for types, and `lake expectations TYPE` for its arguments"
    )
