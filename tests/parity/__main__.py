"""Compare our gate with stock Great Expectations on random suites: `make parity ARGS="--suites 200 --seed 1"`; exit code 1 where they differ."""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from lake.gate import gx
from lake.session import spark_session
from lake.settings import Settings
from lake.store import open_store
from tests.parity.judged import Compared, compare
from tests.parity.suites import TYPES


def main() -> int:
    """Run the suites, say what differs, and a table by type."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("--suites", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first suite; the others follow")
    parser.add_argument("--rules", type=int, default=8, help="in each suite")
    asked = parser.parse_args()
    console, by_type = Console(width=140), defaultdict[str, list[Compared]](list)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        os.environ |= {"LAKE_PROJECT": folder, "LAKE_ROOT": str(project / "lake"), "LAKE_MASTER": "local[2]"}
        settings = Settings.load()
        spark = spark_session(settings, open_store(settings), "parity")
        spark.sparkContext.setLogLevel("ERROR")
        warnings.simplefilter("ignore")
        for seed in track(range(asked.seed, asked.seed + asked.suites), "suites", console=console, disable=not console.is_terminal):
            if (done := seed - asked.seed) % 10 == 0 and done and not console.is_terminal:
                console.print(f"{done} of {asked.suites} suites")
            for one in compare(spark, project, seed, asked.rules):
                by_type[one.type].append(one)
                if not one.same:
                    console.print(f"seed {seed}: {one.type} {one.kwargs}: stock GX says {one.stock!r}, we say {one.ours!r}", markup=False)
        spark.stop()
    table = Table(
        "expectation", "compared", "the same", "broken in both", "by", title=f"{asked.suites} suites of {asked.rules} rules, seed {asked.seed}"
    )
    for type_ in TYPES:
        found = by_type[type_]
        by = ", ".join(sorted({one.judged_by for one in found if one.judged_by}))
        broken = sum(one.stock == "broken" for one in found)
        table.add_row(type_, str(len(found)), str(sum(one.same for one in found)), str(broken), by)
    console.print(table)
    left = sorted(set(gx.types()) - set(TYPES))
    console.print(f"not compared, for the contract says them: {', '.join(left) or 'none'}")
    return int(any(not one.same for found in by_type.values() for one in found))


if __name__ == "__main__":
    raise SystemExit(main())
