"""A lake of damaged files: the real jobs run on them, and what became of each record is compared with what had to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from lake import ops
from lake.contract import Contract
from lake.lake import Lake
from lake.plan import plan
from lake.run import Outcome, load, run
from lake.settings import project_root
from lake.sources.read import ORIGIN
from lake.table import Table
from tests.damage.kinds import Damage
from tests.damage.plant import File, Planted, laid, planted

SILVER = {
    "silver.texts": ("banking77", "sms_spam", "sentiment_sentences", "asap_reviews_zh"),
    "silver.sensor_readings": ("nab", "air_quality_it", "beijing_air", "occupancy"),
}
COPY = re.compile(r"\.d\d+(?=\.|_|$)")  # what a copy's name has more: a job may make a sensor or a site of it


@dataclass
class Found:
    """What became of planted and of good records."""

    planted: list[Planted] = field(default_factory=list)
    caught: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, source)
    good: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> set[str]:
        return {p.damage.kind for p in self.planted}


@dataclass(frozen=True)
class Place:
    """A lake in a folder, raw files to damage, and what was planted in it so far."""

    lake: Lake
    samples: Path
    seed: int
    files: dict[str, list[File]] = field(default_factory=dict)

    def source(self, name: str, found: Found, *, times: int = 1, files: int = 2, rows: int = 60, large: bool = True) -> None:
        """Plant every kind that applies to a source, run its bronze job, and compare."""
        source = Contract.load(f"raw.{name}").source
        assert source is not None
        made = planted(self.samples, source, self.seed, times=times, files=files, rows=rows, large=large)
        if not made:
            found.wrong.append(f"{name}: {self.samples} has no good records of it")
            return
        self.files[name] = made
        laid(Path(self.lake.store.root), source, made)
        found.planted += [p for f in made for p in f.planted]
        outcome = self.run(f"bronze.{name}")
        if outcome.error is not None:
            found.wrong.append(f"bronze.{name}: {outcome.error}")
            return
        try:
            self._compare(name, made, found)
        except ValueError as error:  # delta-rs: a table that nobody can read any more is the worst that damage can do
            found.wrong.append(f"bronze.{name}: the table can't be read: {error}")

    def silver(self, address: str, found: Found) -> None:
        """Run a silver job on what bronze kept, and compare: what had to be caught there, and every other row in it."""
        if not set(SILVER[address]) <= set(self.files):
            return
        outcome = self.run(address)
        if outcome.error is not None:
            found.wrong.append(f"{address}: {outcome.error}")
            return
        due = {(p.source, p.path, p.offset): p for name in SILVER[address] for f in self.files[name] for p in f.planted if p.address == address}
        rejects = {r["row_id"].split(",")[0]: r for r in self._rejects(address)}
        key = Contract.load(address).key[0]
        kept = set(self._table(address).column(key).to_pylist())
        for name in SILVER[address]:
            for row in self._table(f"bronze.{name}").select(["row_id", "file", "offset", *_metrics(name)]).to_pylist():
                damage = due.pop((name, row["file"], row["offset"]), None)
                reject = rejects.pop(row["row_id"], None)
                if damage is None:
                    is_due = name not in SILVER["silver.sensor_readings"] or any(row[m] is not None for m in _metrics(name))
                    if (is_due and row["row_id"] not in kept) or reject:
                        found.wrong.append(f"{address}: a good row of {name}/{row['file']} at byte {row['offset']} is lost: {reject}")
                elif reject is None:
                    found.wrong.append(f"{address}: not caught: {damage}")
                elif set(reject["reasons"]) != damage.damage.reasons:
                    found.wrong.append(f"{address}: {reject['reasons']} in place of {sorted(damage.damage.reasons)}: {damage}")
                else:
                    found.caught[damage.damage.kind, name] += 1
        found.wrong += [f"{address}: never came: {p}" for p in due.values()]

    def jobs(self, found: Found) -> None:
        """Let the job of silver.texts itself do damage to one row: it must be refused, or the row set aside, and nobody sees it."""
        from pyspark.sql import functions as F

        address = "silver.texts"
        if not set(SILVER[address]) <= set(self.files):
            return
        before = {row["text_id"]: row["text"] for row in self._table(address).select(["text_id", "text"]).to_pylist()}
        one = Random(f"{self.seed} {address}").choice(sorted(before))
        build, mine = load(plan(project_root()).step(address)), F.col("text_id") == one

        def unmasked(*sources: Any) -> Any:
            return build(*sources).withColumn("text", F.when(mine, F.concat("text", F.lit(" ann.lee@example.com"))).otherwise(F.col("text")))

        def doubled(*sources: Any) -> Any:
            rows = build(*sources)
            return rows.unionByName(rows.where(mine))

        for kind, damaged, rules in (
            ("e-mail unmasked", unmasked, ("expect_column_values_to_not_match_regex",)),
            ("row doubled by its job", doubled, ("expect_column_values_to_be_unique", "not_unique")),
        ):
            planted = Planted(Damage(kind, b"", frozenset(rules[-1:]), where="job", address=address), address, f"text_id {one}", 0, 0)
            found.planted.append(planted)
            outcome = self.run(address, damaged, full=True)
            told = {reason.split(":")[0] for r in self._rejects(address) if r["run"] == outcome.run and one in r["row_id"] for reason in r["reasons"]}
            seen = [(row["text_id"], row["text"]) for row in self._table(address).select(["text_id", "text"]).to_pylist()]
            of_one = [text for key, text in seen if key == one]
            refused = outcome.status == "refused" and any(rule in outcome.message for rule in rules)
            if sorted(row for row in seen if row[0] != one) != sorted(row for row in before.items() if row[0] != one):
                found.wrong.append(f"{address}: other rows went with it: {planted}")
            elif len(of_one) > 1 or any(text != before[one] for text in of_one):
                found.wrong.append(f"{address}: not caught: {planted}: {outcome.sentence()}")
            elif not refused and not told & set(rules):
                found.wrong.append(f"{address}: without its reason: {planted}: {outcome.sentence()}, {told}")
            else:
                found.caught[kind, address] += 1

    def run(self, address: str, build: Callable[..., Any] | None = None, *, full: bool = False) -> Outcome:
        step = plan(project_root()).step(address)
        return run(step, build or load(step), self.lake, full=full)

    def _compare(self, name: str, made: Sequence[File], found: Found) -> None:
        address = f"bronze.{name}"
        names = [c.name for c in Contract.load(address).columns]
        told = [n for n in names if n not in ORIGIN]
        kept: dict[str, dict[int, tuple[Any, ...]]] = {}
        for row in self._table(address).to_pylist():
            place = (row["line"], row["length"], *(_plain(row[n]) for n in told))
            kept.setdefault(row["file"], {})[row["offset"]] = place
        rejects: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for reject in self._rejects(address):
            rejects.setdefault((reject["file"], reject["offset"]), []).append(reject)
        values = dict[tuple[str, int], tuple[Any, ...]]()  # of each good record, as the first file that holds it gave them
        for file in made:
            rows = kept.pop(file.path, {})
            for place in file.places:
                row = rows.pop(place.offset, None)
                assert place.item.good is not None
                if row is None:
                    found.wrong.append(f"{address}: a good row is lost: {file.path}:{place.line}: {place.item.raw[:100]!r}")
                    continue
                first = values.setdefault((file.sheet.path, place.item.good), row[2:])
                if row[:2] != (place.line, len(place.item.raw)) or row[2:] != first:
                    found.wrong.append(f"{address}: a good row is another one: {file.path}:{place.line}: {row} in place of {first}")
                found.good += 1
            for one in file.planted:
                self._judge(one, rejects.pop((file.path, one.offset), []), rows, found)
            found.wrong += [f"{address}: a row that was never written: {file.path}, byte {offset}: {row}" for offset, row in rows.items()]
        found.wrong += [f"{address}: a good row is set aside: {place}: {one}" for place, one in rejects.items() if one]

    def _judge(self, one: Planted, rejects: Sequence[dict[str, Any]], rows: dict[int, tuple[Any, ...]], found: Found) -> None:
        """Whether a planted record was caught where it had to be, with the reasons that it has."""
        damage, here = one.damage, f"bronze.{one.source}"
        row = rows.pop(one.offset, None)
        if damage.address is not None:
            if row is None:
                found.wrong.append(f"{here}: caught too early: {one}: {[r['reasons'] for r in rejects]}")
            return
        if row is not None or len(rejects) != 1:
            found.wrong.append(f"{here}: not caught: {one}" if row is not None else f"{here}: {len(rejects)} rejects in place of one: {one}")
            return
        reject = rejects[0]
        wrong = list[str]()
        if not _same(set(reject["reasons"]), damage.reasons):
            wrong.append(f"{sorted(reject['reasons'])} in place of {sorted(damage.reasons)}")
        if reject["line"] != one.line and damage.where not in ("file", "archive"):
            wrong.append(f"line {reject['line']}")
        if damage.row != (reject["row"] is not None):
            wrong.append("set aside as a row" if reject["row"] else "set aside as bytes")
        if not damage.row and damage.where in ("behind", "end", "top") and "header" not in damage.reasons:
            raw = damage.raw[: 16 * 1024 * 1024]
            if reject["raw"] != raw:
                wrong.append(f"its bytes are others: {(reject['raw'] or b'')[:100]!r}")
        if wrong:
            found.wrong.append(f"{here}: {'; '.join(wrong)}: {one}")
        else:
            found.caught[damage.kind, one.source] += 1

    def _table(self, address: str) -> Any:
        return Table(address, self.lake.store).delta().to_pyarrow_table()

    def _rejects(self, address: str) -> list[dict[str, Any]]:
        return ops.read(self.lake.store, "rejects", [("address", "=", address)])


def _same(found: set[str], due: frozenset[str]) -> bool:
    """Equal, but for a reason that says why in words: `unreadable:` and what the unpacker said."""
    return {r[: r.index(":") + 1] if r.startswith("unreadable:") else r for r in found} == set(due)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return COPY.sub("", value)
    return tuple(map(_plain, value)) if isinstance(value, list) else value


def _metrics(name: str) -> list[str]:
    return [c.name for c in Contract.load(f"bronze.{name}").columns if c.unit]
