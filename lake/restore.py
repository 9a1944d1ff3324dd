"""Restore: an undo that is a run of its own: the rows of an earlier version, under a new run number, with that version's inputs.

Delta's RESTORE would leave the run number ahead of the data: what came after would never be taken in again. Here the commit
carries the next run number and ops.runs says which inputs these rows had taken in, so that the next run takes in the rest.
"""

from __future__ import annotations

import time

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from lake import ops
from lake.errors import SourceMissing
from lake.lake import Lake
from lake.plan import plan
from lake.run import Intent, run_row
from lake.settings import reached
from lake.table import ALL, Table


def restore(lake: Lake, address: str, to: int) -> str:
    """Put version `to` of a table back; says what was done. The rows are written again: a restore costs what the table weighs.

    Raises:
        SourceMissing: that version was not made by a run we know, or can't be read any more.
    """
    began = time.monotonic()
    table, step = Table(address, lake.store), plan().step(address)
    found = ops.events(lake.store, address)
    made = [e for e in found if e.status in ("published", "restored") and e.version is not None and e.version <= to]
    if not made or to >= (table.version() or 0):
        known = ", ".join(f"{e.version} (run {e.run}, {e.at:%Y-%m-%d %H:%M})" for e in found if e.version is not None)
        raise SourceMissing(
            f"{address} has no earlier version {to} that a run made; it is at {table.version()}", next_step=f"choose one of: {known or 'none'}"
        )
    then = made[-1]
    standing = ops.standing(found, table.last_run())
    intent = Intent(standing.next_run, then.inputs, False)
    undone = sorted(standing.published - {e.run for e in found if e.at <= then.at})
    message = f"version {to} (run {then.run}) put back; undone: {', '.join(map(str, undone)) or 'none'}"
    row = run_row(step, lake, intent, "planned", began) | {"back_to": then.run}
    ops.append(lake.store, "runs", [row])
    reached(f"planned:{address}")
    spark = lake.spark()
    transaction = table.begin(spark)
    try:
        staged = table.stage(transaction, table.shaped(table.read(spark, to), older=True))
    except (PySparkException, Py4JJavaError) as error:
        first = str(error).strip().splitlines()[0]
        raise SourceMissing(f"{address} version {to} can't be put back: {first[:300]}", next_step=f"lake rebuild {address}") from error
    reached(f"staged:{address}")
    version = table.publish(spark, [staged], intent.run, replace=ALL)
    reached(f"committed:{address}")
    row |= run_row(step, lake, intent, "restored", began, message=message) | {"version": version, "back_to": then.run, "rows_kept": staged.rows}
    ops.append(lake.store, "runs", [row])
    return f"{address}: {message}; now version {version}, {staged.rows:,} rows. The next run takes in again what came after."
