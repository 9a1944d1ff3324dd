"""Migrate: a table whose contract has changed takes over what it can without its rows being made again; what it can't is told.

A run does the same for what is `wider` (see lake/contract.py), in its own commit. What is `narrower` is a matter of the rows
that stand: here they are asked, all of them, and the table takes the rule over when none breaks it. What is `breaking` needs a
rebuild, or an address of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from lake.contract import Change, addresses
from lake.errors import ContractBroken
from lake.lake import Lake
from lake.store import Store
from lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OURS = ("raw.", "ops.", "reports.", "models.")
"""Zones without a table that a run makes by Spark: raw files, and what the driver appends to, which takes a new column with its next row."""


def differences(store: Store, address: str | None = None) -> dict[str, list[Change] | None]:
    """What has changed in each contract since its table was made: None where it is the same one; tables that are not there are left out."""
    asked = [address] if address else [a for a in addresses() if not a.startswith(OURS)]
    tables = [Table(a, store) for a in asked]
    return {t.address: t.changes() for t in tables if address or t.exists()}


def migrate(lake: Lake, address: str) -> str:
    """Give a table what its contract says now, in one commit without a row; says what was done.

    The run number stays: nothing is taken in. A kill before the commit leaves everything as it was.

    Raises:
        ContractBroken: a change needs a rebuild, or rows that stand break a rule: each is named, with the ways that are left.
        SourceMissing: there is no such table.
        Busy: another driver wrote at the same time.
    """
    table = Table(address, lake.store)
    changes = table.changes()
    if changes is None:
        return f"{address} is as its contract says"
    breaking = [c.what for c in changes if c.kind == "breaking"]
    if breaking:
        raise ContractBroken(f"{address}: only a rebuild makes rows of that shape: {'; '.join(breaking)}", next_step=ways(address, breaking))
    spark = lake.spark()
    transaction = table.begin(spark, reshape=True, rows_stay=True)
    narrower = [c for c in changes if c.kind == "narrower"]
    if narrower:
        wrong = _against(table.shaped(table.read(spark, transaction.version), older=True), table, narrower)
        if told := [f"{what}: {count:,} rows are against it" for what, count in wrong.items() if count]:
            raise ContractBroken(f"{address}: rows that stand break the contract: {'; '.join(told)}", next_step=ways(address, told))
    version = table.conform(spark, transaction)
    done = "; ".join(c.what for c in changes) or "no rule and no column, only words"
    return f"{address}: version {version} is as its contract says: {done}"


def ways(address: str, changes: Sequence[str]) -> str:
    """What is left to do about changes that the rows of a table stand against."""
    types = (
        " (int and bigint too: the table feature that widens a type is one that not every reader reads)"
        if any("type changed" in c for c in changes)
        else ""
    )
    return (
        f"one of: lake contract migrate {address} --rebuild   # its rows made again from its inputs{types}\n"
        f"        lake rebuild {address} --downstream   # and all that depends on it\n"
        f"        or leave {address} as it was, and give the new shape an address of its own: jobs/, schemas/ and expectations/ of another name"
    )


def _against(rows: DataFrame, table: Table, changes: Sequence[Change]) -> Mapping[str, int]:
    """How many rows break each change, in one pass; where it is not known what has changed, all rules of the contract count."""
    from pyspark.sql import functions as F

    from lake.gate.rows import broken

    figures = {}
    for change in changes:
        if change.rule is not None:
            figures[change.what] = F.sum(broken(change.rule).cast("bigint"))
        elif change.column is not None:
            figures[change.what] = F.count(change.column.name) - F.count_distinct(change.column.name)
        else:
            rules = [broken(rule) for rule in table.contract.rules()]
            figures[change.what] = F.sum(reduce(or_, rules, F.lit(False)).cast("bigint"))
    found = rows.agg(*[figure.alias(f"figure{n}") for n, figure in enumerate(figures.values())]).first()
    return {what: int((found[n] if found else 0) or 0) for n, what in enumerate(figures)}
