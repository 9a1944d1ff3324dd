"""Run one Spark job: read what is new at pinned versions, build, gate, commit once, record.

The order of a run, and what a crash after each step leaves (recovery is the next run of the same address):

    intent in ops.runs (and ops.files)   the same intent is run again under the same number
    staged data files                    orphans that no version names; upkeep removes them
    rows in ops.rejects, ops.checks      not counted, since their run is not published; written anew by the repeat
    THE COMMIT (txnAppId = address, txnVersion = run number)
    `published` in ops.runs              the repeat finds the number in the table and only finishes the books
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import reduce
from itertools import repeat
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as pa_dataset
from deltalake.exceptions import DeltaError

from lake import ops
from lake.contract import Contract
from lake.errors import BatchRefused, Busy, ContractBroken, FileChanged, LakeError, RunFailed, SourceMissing
from lake.job import Job
from lake.lake import Lake
from lake.plan import Step
from lake.run.record import Again, Intent, Outcome, contract_hash, read_by, run_row, taken_of
from lake.run.repairs import EXACT, REPAIRS, Repairs, only, row_key
from lake.run.telling import some_told, telling, told_by
from lake.settings import reached
from lake.sources.drift import told_of
from lake.sources.files import FileEdition, Mark, cut, discover
from lake.table import ALL, Changes, Replaced, Staged, Table, Transaction

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Observation, SparkSession

    from lake.gate.batch import Gate
    from lake.gate.history import History
    from lake.sources.read import Given

Build = Callable[..., Any]


class TableRun:
    """One Spark job on its way from intent to record."""

    def __init__(self, step: Step, build: Build, lake: Lake) -> None:
        self.step, self.job, self.build, self.lake = step, step.job, build, lake
        self.table = Table(self.job.writes, lake.store)
        self.contract = Contract.load(self.job.writes)
        self.raw = [r for r in self.job.reads if r.startswith("raw.")]
        self.began = time.monotonic()
        self.again = Again()
        self.left = list[FileEdition]()  # what a run of many files leaves for the next one
        self.bytes = 0  # that its rows are built from

    # -- the story -------------------------------------------------------------------------------------------------

    def go(self, *, full: bool, again: Again | None = None, once_more: bool = True) -> Outcome:
        """Run it to its end: finish what an earlier process left, plan, publish, record.

        An intent that was left open comes first; then what is new, and what is asked for `again`. Many files come in several
        runs, each with its own commit. A file that was rotated or written again between plan and read makes a plan wrong: it is made `once_more`.
        """
        self.again = again or Again()
        if self.raw and len(self.job.reads) > 1:
            raise ContractBroken(
                f"{self.job.writes} reads {', '.join(self.job.reads)}: a raw source is read alone, else files of one name are mixed up",
                next_step="give each source a bronze job of its own, and let a silver job read them all",
            )
        done = self.table.last_run()
        standing = ops.standing(ops.events(self.lake.store, self.job.writes), done)
        if (left := standing.open) is not None and (left.run <= done or left.back_to is not None):
            (self._finish_books if left.run <= done else self._give_up)(left)
            standing = ops.standing(ops.events(self.lake.store, self.job.writes), done)
        # A table that was removed, or put back from a copy, behind our books: only the whole is right.
        lost = max(standing.published, default=0) > done or (standing.last is not None and not self.table.exists())
        if lost:
            self.lake.say(self.job.writes, "the table is behind its books (removed, or put back from a copy): made again from all its inputs")
        intent = self._intent(standing, full=full or lost)
        if isinstance(intent, Outcome):
            return intent
        from lake.gate import batch

        spark = self.lake.spark(meanwhile=batch.ready).newSession()
        try:
            outcome = self._publish(spark, intent, self._stale(standing))
        except LakeError as error:
            if not self._stands(intent):
                self._event(intent, "refused" if isinstance(error, BatchRefused) else "failed", message=str(error))
            raise
        except Exception as error:
            if self.lake.jvm_died(error):
                raise  # the night starts another JVM and repeats the same intent
            wrong = _run_failed(self.step, error, full=intent.full)
            if not self._stands(intent):
                self._event(intent, "failed", message=str(wrong))
                if isinstance(wrong, FileChanged) and once_more:
                    self._say(f"{wrong.what}: planning once more")
                    self.left = []
                    return self.go(full=full, again=again, once_more=False)
            raise wrong from error
        if self.left:
            self._say(f"{outcome.sentence()}; {len(self.left):,} files are left")
        if self.left or (intent.repeated and (again or self.raw or self._repairs().number > _repaired(intent)[1])):
            return _together(outcome, self.go(full=False, again=again))
        return outcome

    def _stands(self, intent: Intent) -> bool:
        """Whether the run's commit is in the table, or can't be asked for: then its intent stays open, and the next run finishes its books.

        Said to have failed, its inputs would be taken in once more.
        """
        try:
            return self.table.last_run() >= intent.run
        except (LakeError, DeltaError, OSError):
            return True

    def _intent(self, standing: ops.Standing, *, full: bool) -> Intent | Outcome:
        first = standing.last is None
        if standing.open is not None and not full:
            event = standing.open
            if event.back_to is None and event.code == self.step.code and event.contract == contract_hash(self.contract, self.job.reads):
                self.lake.say(self.job.writes, f"run {event.run} was cut short: the same intent again")
                ops.erase(self.lake.store, "rejects", event.address, event.run)
                ops.erase(self.lake.store, "checks", event.address, event.run)
                return Intent(event.run, event.inputs, event.full, self._planned_files(event.run), repeated=True)
        taken = {} if full or first else taken_of(standing.taken)
        inputs: dict[str, Any] = {}
        repairs = self._repairs()
        repaired = repairs.between(taken.get(REPAIRS), 0 if full or first else repairs.number).files if self.raw else frozenset[str]()
        self.again = replace(self.again, files=self.again.files | repaired)
        files, copies = list[FileEdition](), list[FileEdition]()
        for address in self.job.reads:
            if address.startswith("raw."):
                told = self.left or self._new_files(address, standing, full=full or first)
                if not full:  # a rebuild replaces the whole table in one commit
                    # A decision is taken in by one run, so that what it is about comes in that run.
                    mine = [f for f in told if f.path in repaired]
                    told, self.left = cut([f for f in told if f.path not in repaired], self.lake.settings.run_files, self.lake.settings.run_bytes)
                    told = mine + told
                found = [f for f in told if not f.copy]
                copies += [f for f in told if f.copy]
                files += found
                inputs[address] = {"files": len(found), "bytes": sum(f.size for f in found)}
                if self.again.files:
                    inputs[address]["again"] = True
                continue
            to = self.lake.version_of(address)
            if to is None:
                return Outcome(self.job.writes, "skipped", message=f"{address} is not there yet")
            inputs[address] = [taken.get(address), to]
        if repairs.number:
            inputs[REPAIRS] = [taken.get(REPAIRS), repairs.number]
        changed = bool(files) or self.again.slices is not None or any(isinstance(v, list) and v[0] != v[1] for v in inputs.values())
        if copies:
            self._say(f"{len(copies)} files are copies of files that it reads: left out, as the contract says")
        if not changed and not full and not (first and not self.table.exists()):
            # Beside the run that stands: a restore that takes it back looks at them anew.
            ops.append(self.lake.store, "files", [self._ledger_row(f, "copy", max(standing.published, default=0)) for f in copies])
            return Outcome(self.job.writes, "nothing", message=self._stale(standing))
        # A model that changed makes every prediction again; a table that was never published is made whole.
        models_moved = any(a.startswith("models.") and v[0] != v[1] for a, v in inputs.items())
        intent = Intent(standing.next_run, inputs, full or first or models_moved, tuple(files))
        if files:
            if self._planned_files(intent.run):  # of a run that died before it had written its intent
                ops.erase(self.lake.store, "files", self.job.writes, intent.run)
            planned = [self._ledger_row(f, "planned", intent.run) for f in files]
            ops.append(self.lake.store, "files", planned + [self._ledger_row(f, "copy", intent.run) for f in copies])
        reached(f"listed:{self.job.writes}")
        self._event(intent, "planned")
        reached(f"planned:{self.job.writes}")
        return intent

    def _publish(self, spark: SparkSession, intent: Intent, stale: str) -> Outcome:
        # One file a partition, not one a task: by a shuffle, which costs half of a large write. Raw files are dealt out to tasks by their bytes
        # and need none, nor does what makes files of _FILE bytes by itself.
        self.bytes = self._bytes(intent)
        large = self.bytes >= _FILE * spark.sparkContext.defaultParallelism
        spark.conf.set("spark.databricks.delta.optimizeWrite.enabled", str(self.contract.partition is not None or not (self.raw or large)).lower())
        if group := self.contract.properties.get("rowsPerGroup"):
            spark.conf.set("parquet.block.row.count.limit", group)
        self.table.create(spark)
        changes = self.table.changes()
        whole_again = intent.full or self.job.grain == "whole"
        if not whole_again and (refused := [c.what for c in changes or () if c.kind != "wider"]):
            raise ContractBroken(
                f"{self.job.writes}: the contract has changed since the table was made, and its rows stand against it: {'; '.join(refused)}",
                next_step=f"lake contract migrate {self.job.writes}   # what it can do without a rebuild, and what it can't",
            )
        transaction = self.table.begin(spark, reshape=changes is not None, rows_stay=not whole_again)
        if transaction.last_run >= intent.run:
            raise Busy(
                f"{self.job.writes}: another driver committed run {intent.run} meanwhile",
                next_step=f"lake run {self.job.writes}  (it takes up where the other ended)",
            )
        built = self._built(spark, intent)
        if built is None:
            self._event(intent, "nothing")
            return Outcome(self.job.writes, "nothing", run=intent.run, message="the inputs have new versions, but the same rows")
        built = replace(built, rows=self._repairs(0, intent).mended(spark, built.rows))
        try:
            staged, figures = self._gated(spark, intent, transaction, built)
        except BatchRefused as refused:  # a drift is why, as likely as not
            raise BatchRefused("; ".join([refused.what, *self._drifted(intent, built)]), next_step=refused.next_step) from None
        figures = replace(figures, message="; ".join([*filter(None, [figures.message]), *self._drifted(intent, built)]))
        parts = [staged]
        carried = built.carried(spark, self.table, transaction)
        if carried is not None:
            parts.append(self.table.stage(transaction, self.table.shaped(carried, older=True)))
        reached(f"staged:{self.job.writes}")
        version = self.table.publish(spark, parts, intent.run, replace=built.replace)
        reached(f"committed:{self.job.writes}")
        whole = replace(intent, full=built.replace == ALL)
        applied = f"contract applied: {'; '.join(c.what for c in changes)}" if changes and not whole.full else ""
        return self._record(whole, version, staged.rows, figures, "; ".join(filter(None, (applied, stale))) if not whole.full else "")

    def _bytes(self, intent: Intent) -> int:
        """Bytes of the data files, or of the raw ones, that the rows of a run are built from; where only changes are, of those that came since."""
        found = sum(f.size for f in intent.files)
        for address, pinned in intent.inputs.items():
            if not isinstance(pinned, list) or address.startswith(("models.", "ops.")):
                continue
            table, (since, to) = Table(address, self.lake.store), pinned
            files = table.sizes(to)
            if sum(files.values()) >= _FILE and not intent.full and self.job.grain != "whole" and since is not None:
                with contextlib.suppress(SourceMissing):  # its log is gone: then all of them
                    files = {path: files[path] for path in files.keys() - table.sizes(since).keys()}
            found += sum(files.values())
        return found

    def _tasks(self, spark: SparkSession) -> int:
        """About as many tasks as a pass over the rows of a run takes."""
        shuffled = int(spark.conf.get("spark.sql.shuffle.partitions", "200") or 200)
        return max(2 * spark.sparkContext.defaultParallelism, shuffled, self.bytes // _TASK)

    # -- what is new -----------------------------------------------------------------------------------------------

    def _new_files(self, address: str, standing: ops.Standing, *, full: bool) -> list[FileEdition]:
        """Files to read: new and changed ones, or all of them for a full run, which must not lose what the table holds already."""
        source = Contract.load(address).source
        if source is None:
            raise SourceMissing(f"{address} names no place", next_step=f"add `servers` to schemas/raw/{address.split('.')[1]}.yaml")
        known = self._known(address, standing)
        placed = {"edition", "ordinal", "offset"} <= {c.name for c in self.contract.columns}
        if source.editions == "keep" and not placed:
            raise ContractBroken(
                f"{address} keeps the rows of older editions, but {self.job.writes} does not say of which edition a row is",
                next_step=f"add edition, ordinal and offset to schemas/{self.job.writes.replace('.', '/')}.yaml",
            )
        if not full:
            again = {path for path, f in known.items() if path in self.again.files and not f.copy}
            found = discover(self.lake.store, source, known, self._say, again)
            for path in sorted(again - {f.path for f in found}):
                self._say(f"{path} is gone: its rows stay as they are")
            if placed and (not any(f.head is not None for f in found) or self._read_alike(standing)):
                return found
            return [f._replace(head=None, begins=None) for f in found]  # read as a whole
        if source.editions == "keep" and (older := [f.path for f in (*known.values(), *discover(self.lake.store, source, known)) if f.base > 1]):
            raise SourceMissing(
                f"{self.job.writes} keeps rows whose content is gone from {source.location} ({', '.join(older[:3])} ...): a rebuild would lose them",
                next_step="keep the table as it is, or write `editions: replace` into the raw contract",
            )
        found = discover(self.lake.store, source, {}, self._say)
        if gone := sorted({f.path for f in known.values() if not f.copy} - {f.path for f in found}):
            raise SourceMissing(
                f"{len(gone)} files whose rows {self.job.writes} holds are gone from {source.location} ({', '.join(gone[:3])} ...): "
                "a rebuild would lose these rows",
                next_step="land them again, or keep the table as it is; a file that changed just now is there at the next try",
            )
        return [f._replace(edition=known[f.path].edition + (known[f.path].sha256 != f.sha256)) if f.path in known else f for f in found]

    def _read_alike(self, standing: ops.Standing) -> bool:
        """Whether all rows that may stand were read by the raw contract as it is now: a file's columns may lie otherwise by an older one."""
        since = standing.made.run if standing.made is not None else 0
        before = [e for e in ops.events(self.lake.store, self.job.writes) if e.run >= since and e.status in ("published", "restored")]
        return {read_by(e.contract) for e in before} <= {read_by(contract_hash(self.contract, self.job.reads))}

    def _say(self, line: str) -> None:
        self.lake.say(self.job.writes, line)

    def _known(self, address: str, standing: ops.Standing) -> dict[str, FileEdition]:
        """Last editions that a run of this table has read or told a copy, by path; a run that was undone by a restore has read nothing."""
        asked = [("source", "=", address), ("address", "=", self.job.writes), ("status", "in", ["read", "copy"])]
        names = ["path", "edition", "size", "etag", "sha256", "modified", "status", "base", "open_ordinal", "open_offset", "run", "at"]
        rows = ops.arrow(self.lake.store, "files", asked, names).sort_by([("edition", "ascending"), ("at", "ascending")])
        told = zip(rows.column("path").to_pylist(), rows.column("run").to_pylist(), strict=True)
        last = {path: n for n, (path, run) in enumerate(told) if run not in standing.undone}
        rows = rows.take(pa.array(last.values(), pa.int64()))
        columns: dict[str, Iterable[Any]] = {name: rows.column(name).to_pylist() for name in names if name not in ("modified", "at")}
        columns["modified"] = [t.replace(tzinfo=UTC) for t in rows.column("modified").to_numpy().tolist()]  # to_pylist() takes 4 us for each
        marks = zip(columns["open_ordinal"], columns["open_offset"], strict=True)
        columns["open"] = [None if offset is None else Mark(ordinal, offset) for ordinal, offset in marks]
        columns["base"] = [base or 1 for base in columns["base"]]
        columns["copy"] = [status == "copy" for status in columns["status"]]
        columns |= {"source": repeat(address), "uri": repeat(""), "head": repeat(None), "begins": repeat(None)}
        editions = map(FileEdition._make, zip(*(columns[field] for field in FileEdition._fields), strict=False))
        return dict(zip(last, editions, strict=True))

    def _read_before(self) -> set[str]:
        """Paths of all files that some run of this table has read."""
        read = [("address", "=", self.job.writes), ("status", "=", "read")]
        return {row["path"] for row in ops.read(self.lake.store, "files", read, columns=["path"])}

    def _planned_files(self, run: int) -> tuple[FileEdition, ...]:
        rows = ops.read(self.lake.store, "files", [("address", "=", self.job.writes), ("run", "=", run), ("status", "=", "planned")])
        return tuple(
            sorted((_edition(r, self.lake.file_uri(Contract.load(r["source"]).source, r["path"])) for r in rows), key=lambda f: (f.source, f.path))
        )

    def _ledger_row(self, f: FileEdition, status: str, run: int, rows: int | None = None, rejected: int | None = None) -> dict[str, Any]:
        mine = {"source": f.source, "path": f.path, "edition": f.edition, "size": f.size, "etag": f.etag, "sha256": f.sha256, "modified": f.modified}
        mine |= {"base": f.base, "head": f.head}
        for name, mark in (("begin", f.begins), ("open", f.open)):
            mine |= {f"{name}_ordinal": mark.ordinal if mark else None, f"{name}_offset": mark.offset if mark else None}
        return mine | {"status": status, "address": self.job.writes, "run": run, "at": ops.now(), "rows": rows, "rejected": rejected}

    def _stale(self, standing: ops.Standing) -> str:
        if standing.made is not None and standing.made.code != self.step.code:
            return f"rows stand as older code made them; lake rebuild {self.job.writes}"
        now = contract_hash(self.contract, self.job.reads)
        if standing.made is None or standing.made.contract == now:
            return ""
        if read_by(standing.made.contract) != read_by(now):
            return f"rows stand as an older contract had them; lake rebuild {self.job.writes}"
        # An addition or a wider rule leaves the rows that stand as they are; all else waits for a person.
        waits = [c.what for c in self.table.changes() or () if c.kind != "wider"] if self.table.exists() and self.job.grain != "whole" else []
        return f"rows stand as an older contract had them ({'; '.join(waits)}); lake contract migrate {self.job.writes}" if waits else ""

    # -- building --------------------------------------------------------------------------------------------------

    def _built(self, spark: SparkSession, intent: Intent) -> _Built | None:
        if self.raw:
            return self._from_files(spark, intent)
        tables = [a for a in self.job.reads if not a.startswith("models.")]
        if intent.full:
            inputs = [Table(a, self.lake.store).read(spark, intent.inputs[a][1]) for a in tables]
            return _Built(self._call(inputs, intent), replace=ALL)
        try:
            changes = {a: self._changes(spark, a, *intent.inputs[a]) for a in tables}
        except SourceMissing as error:
            if self.job.grain != "whole":  # which is built from all rows anyway
                raise SourceMissing(error.what, next_step=f"lake rebuild {self.job.writes}  (from all rows in place of the changed ones)") from error
            changes = {}
        repairs = self._repairs(_repaired(intent)[0], intent)
        if changes and all(c is None or c.empty for c in changes.values()) and self.again.slices is None and not repairs.rows:
            return None
        if self.job.grain == "whole":
            inputs = [Table(a, self.lake.store).read(spark, intent.inputs[a][1]) for a in tables]
            return _Built(self._call(inputs, intent), replace=ALL)
        if self.job.grain == "slice":
            return self._from_slices(spark, intent, tables, changes, repairs)
        return self._from_rows(spark, intent, tables, changes, repairs)

    def _repairs(self, since: int = 0, intent: Intent | None = None) -> Repairs:
        """Decisions about the rejects of the table: all, or those after one of them that an intent takes in."""
        if intent is not None and REPAIRS not in intent.inputs:
            return Repairs(self.job.writes)
        repairs = Repairs.of(self.lake.store, self.job.writes)
        return repairs if intent is None else repairs.between(since, _repaired(intent)[1])

    def _changes(self, spark: SparkSession, address: str, since: int | None, to: int) -> Changes | None:
        table = Table(address, self.lake.store)
        if since == to:
            return None
        if since is None:  # an input that joined the job's reads after its last run, or came back: its old rows may still be here
            rows = table.read(spark, to)
            return Changes(rows, rows.limit(0), rows.isEmpty())
        return table.changed(spark, since, to)

    def _from_files(self, spark: SparkSession, intent: Intent) -> _Built:
        from pyspark.sql import Observation
        from pyspark.sql import functions as F

        from lake.sources.read import counting, read

        counts = counting(spark)
        parts: list[DataFrame] = []
        for address in self.raw:
            source = Contract.load(address).source
            files = [f for f in intent.files if f.source == address]
            if source is not None:
                self.lake.say(self.job.writes, f"reading {len(files)} files, {sum(f.size for f in files) / 1e6:.1f} MB")
                parts.append(read(spark, files, source, self.lake.store, counts).withColumn("_source", F.lit(address)))
        records = reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), parts)
        records = self._repairs(0, intent).mended_records(spark, records, [c for a in self.raw for c in Contract.load(a).columns])
        # Counted in the pass that writes the good ones, and told while they are few: each apart would read every file once more.
        seen, told = Observation("records"), Observation("records, told")
        watched = records.observe(seen, F.count(F.lit(1)).alias("records"), F.count("_problem").alias("problems"))
        watched = watched.observe(told, *telling(_problem_columns(), F.col("_problem").isNotNull(), self._tasks(spark)))
        good = watched.where(F.col("_problem").isNull()).drop("_problem", "_raw", "_source")
        before = self._read_before() if any(intent.inputs[address].get("again") for address in self.raw) else set[str]()
        again = [f for f in intent.files if f.head is not None or f.edition > f.base or f.path in before]

        def touched(current: DataFrame) -> DataFrame | None:
            return _read_anew(current, again, counts.value, self.contract.key)

        return _Built(
            self._call([good], intent),
            replace=ALL if intent.full else None,
            records=records,
            seen=seen,
            told=told,
            counts=counts,
            touched=None if intent.full or not again else touched,
        )

    def _from_rows(
        self, spark: SparkSession, intent: Intent, tables: Sequence[str], changes: Mapping[str, Changes | None], repairs: Repairs
    ) -> _Built:
        """New and changed rows, built, those that a decision is about too; and the keys that they, and what is gone, had in the table."""
        new = [c.new if (c := changes[a]) else Table(a, self.lake.store).read(spark, intent.inputs[a][1]).limit(0) for a in tables]
        rows = self._call(new, intent)
        if repairs.ids:  # row-local: built from all rows of the inputs, a row is the same
            whole = self._call([Table(a, self.lake.store).read(spark, intent.inputs[a][1]) for a in tables], intent)
            rows = only(spark, rows, self.contract, repairs.ids, others=True).union(only(spark, whole, self.contract, repairs.ids))
        elif all(c is None or c.gone is None for c in changes.values()) and set(self.contract.key) & {"row_id", "text_id"}:
            return _Built(rows)  # only rows that were never there, under ids of their own: nothing in the table can be touched
        gone = [c.gone if (c := changes[a]) and c.gone is not None else n.limit(0) for a, n in zip(tables, new, strict=True)]
        keys = rows.select(*self.contract.key).union(self._call(gone, intent).select(*self.contract.key)).distinct()
        return _Built(rows, touched=lambda _: keys)

    def _from_slices(
        self, spark: SparkSession, intent: Intent, tables: Sequence[str], changes: Mapping[str, Changes | None], repairs: Repairs
    ) -> _Built:
        """The slices that changes touch, whole, with the look-back before them at hand."""
        from pyspark.sql import functions as F

        column = self.contract.slice or ""
        if not column or column != self.contract.partition:
            raise ContractBroken(
                f"{self.job.writes} is built by slices, but its contract names {column or 'no slice'} "
                f"and is partitioned by {self.contract.partition or 'nothing'}",
                next_step=f"name one column as slice and partition in schemas/{self.job.writes.replace('.', '/')}.yaml",
            )

        def slices(of: Sequence[DataFrame]) -> set[Any]:
            return {r[0] for r in reduce(lambda a, b: a.union(b), [rows.select(column) for rows in of]).distinct().collect()} if of else set[Any]()

        touched = slices([part for c in changes.values() if c for part in (c.new, c.gone) if part is not None])
        inputs = [Table(a, self.lake.store).read(spark, intent.inputs[a][1]) for a in tables]
        known = sorted(slices(inputs))
        asked = set[Any]()
        if self.again.slices is not None:  # also those that the table has, and its inputs no more
            first, last = self.again.slices
            asked = {k for k in slices([*inputs, self.table.read(spark)]) if first <= str(k) <= last}
        if mine := repairs.slices(column):
            asked |= {k for k in {*known, *slices([self.table.read(spark)])} if str(k) in mine}
        built, needed = slices_to_build(touched, known, self.job, asked)
        self.lake.say(self.job.writes, f"building {len(built)} of {len(known)} slices")
        rows = self._call([i.where(F.col(column).isin(needed)) for i in inputs], intent)
        return _Built(rows.where(F.col(column).isin(built)), replace=Replaced(slices=frozenset(map(str, built))))

    def _call(self, inputs: Sequence[DataFrame], intent: Intent) -> DataFrame:
        given: list[Any] = list(inputs)
        for at, address in enumerate(self.job.reads):
            if address.startswith("models."):
                given.insert(at, self.lake.champion(address, intent.inputs[address][1]))
        rows = self.build(*given)
        from pyspark.sql import functions as F

        lineage = {
            "run": intent.run,
            "input_version": next((v[1] for a, v in intent.inputs.items() if isinstance(v, list) and not a.startswith(("models.", "ops."))), None),
        }
        extra = [n for n in lineage if n in {c.name for c in self.contract.columns} and n not in rows.columns]
        return self.table.shaped(rows.select("*", *[F.lit(lineage[n]).cast("bigint").alias(n) for n in extra]))

    # -- the gate --------------------------------------------------------------------------------------------------

    def _gated(self, spark: SparkSession, intent: Intent, transaction: Transaction, built: _Built) -> tuple[Staged, _Figures]:
        from pyspark.sql import functions as F

        from lake.gate.batch import open_gate

        gate = open_gate(built.rows, self.contract, self._past())
        staged, seen, away = self._passed(intent, transaction, gate, "rows")
        reached(f"written:{self.job.writes}")
        rows, problems = int(seen["rows"] or 0), 0
        if built.records is not None and built.seen is not None and built.told is not None:
            of_records = built.seen.get
            problems = int(of_records.get("problems") or 0)
            self._must_reconcile(int(of_records.get("records") or 0) - problems, rows)
            if problems:
                bad = built.records.where(F.col("_problem").isNotNull()).select(*_problem_columns())
                self._write_rejects(intent, bad, told_by(spark, built.told, problems))
        reached(f"rejected:{self.job.writes}")
        kept = self.table.staged_rows(spark, staged)
        repeated = gate.repeated(kept, staged.rows)
        if any(r.rule is None or r.rule.on_fail == "quarantine" for r in repeated):
            # Staged once more without them; the first files are named by no version, and upkeep takes them away.
            staged, _, shared = self._passed(intent, transaction, gate.without(kept, repeated), "once more")
            kept, away = self.table.staged_rows(spark, staged), away + shared
        by_file = self._reconciled(intent, staged, dict(built.counts.value)) if built.counts is not None else ()
        self.lake.say(self.job.writes, f"staged {staged.rows:,} rows, set aside {away.rows + problems:,}; judging")
        emptied = staged.rows == 0 and built.replace == ALL and self.table.snapshot().rows > 0
        verdict = gate.verdict(
            seen | staged.figures, away.by_reason, kept,
            rows=rows, rejected=away.rows, problems=problems, repeated=repeated, emptied=emptied, examples=away.examples,
        )  # fmt: skip
        at, inputs = ops.now(), json.dumps(intent.inputs, sort_keys=True, default=str)
        ops.append(
            self.lake.store,
            "checks",
            [
                {
                    "address": self.job.writes, "run": intent.run, "at": at, "rule": c.rule, "column": c.column, "severity": c.severity,
                    "success": c.success, "observed": c.observed, "threshold": c.threshold, "unexpected": c.unexpected, "message": c.message,
                    "on_fail": c.on_fail, "judged_by": c.judged_by, "rows": c.rows, "examples": list(c.examples), "inputs": inputs,
                    "why": c.why or None,
                }
                for c in verdict.checks
            ],
        )  # fmt: skip
        reached(f"checked:{self.job.writes}")
        if verdict.refusals:
            told = "; ".join(ops.told(c.message, c.why) for c in verdict.refusals)
            raise BatchRefused(
                f"{self.job.writes} run {intent.run}: the gate refused {staged.rows:,} rows: {told}",
                next_step=f"lake show {self.job.writes}   # its last verdict; then mend the data, or its file in expectations/",
            )
        warned = "; ".join(f"warning: {ops.told(c.message, c.why)}" for c in verdict.warnings)
        return staged, _Figures(rows + problems, away.rows + problems, by_file, warned)

    def _past(self) -> History:
        """What the suite asks of the last accepted batches."""
        from lake.gate.history import NONE, history
        from lake.gate.suite import written

        asked = {name for rule in written(self.job.writes).rules for name in rule.needs}
        if not asked:
            return NONE
        standing = ops.standing(ops.events(self.lake.store, self.job.writes), self.table.last_run())
        return history(self.lake.store, self.job.writes, standing.published, asked)

    def _passed(self, intent: Intent, transaction: Transaction, gate: Gate, name: str) -> tuple[Staged, dict[str, Any], _Away]:
        """Rows staged that keep every rule, figures over all rows, and what was set aside: told by the same pass, and written to ops.rejects."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as F

        tagged, spark = gate.tagged, gate.tagged.rows.sparkSession
        seen, tells = Observation(name), Observation(f"{name}, told")
        columns, told_columns = (_rejected_columns(self.contract, reasons) for reasons in ([tagged.reasons.alias("reasons")], tagged.bits))
        watched = tagged.rows.observe(
            seen, F.count(F.lit(1)).alias("rows"), F.sum(F.when(tagged.broken, 1).otherwise(0)).alias("rejected"), *gate.of_all
        ).observe(tells, *telling(told_columns, tagged.broken, self._tasks(spark)))  # fmt: skip
        try:
            staged = self.table.stage(transaction, tagged.kept(watched), gate.of_kept)
        except Exception:
            if broken := gate.breaks():  # of a rule, and not of the rows or the job
                raise broken from None
            raise
        figures = dict(seen.get)
        number = int(figures.get("rejected") or 0)
        if not number:
            return staged, figures, _Away()
        rejected, told = tagged.rows.where(tagged.broken), told_by(spark, tells, number)
        if told is not None:
            self._write_rejects(intent, rejected.select(*columns), told := tagged.named(told))
            by_reason = _by_value(told["reasons"].combine_chunks().flatten())
        else:
            counted = Observation(f"{name}, set aside")
            self._write_rejects(intent, rejected.observe(counted, *tagged.counts).select(*columns), None)
            by_reason = Counter({reason: int(counted.get[f"rule{n}"] or 0) for n, reason in enumerate(tagged.names)})
            told = tagged.named(some_told(spark, tells))
        return staged, figures, _Away(number, by_reason, self._examples(told))

    def _examples(self, told: pa.Table) -> dict[str, list[str]]:
        """Keys of some rejected rows, by reason. Keys only, and none that is personal."""
        examples: dict[str, list[str]] = {}
        if any(self.contract.column(k).classification for k in self.contract.key):
            return examples
        named = ", ".join(self.contract.key)
        for row in told.select(["row_id", "reasons"]).slice(0, 1_000).to_pylist():
            for reason in row["reasons"]:
                if len(examples.setdefault(reason, [])) < _TOLD_KEYS:
                    examples[reason].append(f"{named} = {row['row_id']}")
        return examples

    def _drifted(self, intent: Intent, built: _Built) -> list[str]:
        """Write what the readers noted of columns that are not as the raw contract has them into ops.checks; a warning each."""
        notes: dict[str, Sequence[str]] = {path: given.notes for path, given in built.counts.value.items()} if built.counts is not None else {}
        told = [said for address in self.raw for said in told_of(address, Contract.load(address).source, notes)]
        mine = {"address": self.job.writes, "run": intent.run, "at": ops.now(), "rule": "drift", "severity": "warning", "success": False}
        ops.append(self.lake.store, "checks", [mine | said for said in told])
        return [f"warning: {said['message']}" for said in told]

    def _must_reconcile(self, good: int, rows: int) -> None:
        if good != rows:
            raise RunFailed(
                f"{self.job.writes}: {good:,} good records were read, but build() made {rows:,} rows of them: bronze keeps one row a record",
                next_step=f"take filters and joins out of {self.step.path}",
            )

    def _reconciled(self, intent: Intent, staged: Staged, given: Mapping[str, Given]) -> list[_ReadFile]:
        """What became of each file of the run: its rows and rejects together are the records that its reader gave.

        Raises:
            RunFailed: of some file they are more or fewer.
        """
        rejected = self._rejects_by_file(intent.run)
        store = self.lake.store
        paths = [store.arrow_path(f"{self.table.uri}/{unquote(f['path'])}") for f in staged.files]
        columns = pa_dataset.ParquetFileFormat(dictionary_columns={"file"})
        rows = _by_file(pa_dataset.dataset(paths, filesystem=store.arrow(), format=columns).to_batches(columns=["file"])) if paths else {}
        found: list[_ReadFile] = []
        for f in intent.files:
            kept, away = rows.get(f.path, 0), rejected.get(f.path, 0)
            gave = given.get(f.path)
            if gave is None or kept + away != gave.records:
                raise RunFailed(
                    f"{self.job.writes}: {f.path} does not reconcile: its reader gave {gave.records if gave else 0:,} records, "
                    f"and {kept:,} rows and {away:,} rejects came of them",
                    next_step=f"bronze keeps one row a record: mend {self.step.path}; nothing of this run is visible",
                )
            found.append(_ReadFile(f._replace(begins=gave.begins if f.head is not None else None, open=gave.open), kept, away))
        return found

    def _write_rejects(self, intent: Intent, rows: DataFrame, told: pa.Table | None) -> None:
        """Write rows that were set aside: as the pass that wrote the good ones has told them, or by another pass where they are many or large."""
        from pyspark.sql import functions as F

        if told is not None:
            mine = {"address": self.job.writes, "run": intent.run, "at": ops.now()}
            given = {name: pa.repeat(pa.scalar(value), told.num_rows) for name, value in mine.items()}
            ops.append(self.lake.store, "rejects", pa.table({**{name: told[name] for name in told.column_names}, **given}))
            return
        table = ops.made(self.lake.store, "rejects")
        contract = Contract.load("ops.rejects")
        given = {"address": F.lit(self.job.writes), "run": F.lit(intent.run), "at": F.lit(ops.now())}
        have = set(rows.columns)
        chosen = [
            (given[c.name] if c.name in given else F.col(c.name) if c.name in have else F.lit(None)).cast(c.type).alias(c.name)
            for c in contract.columns
        ]
        rows.select(*chosen).write.format("delta").mode("append").save(table.uri)

    # -- the books -------------------------------------------------------------------------------------------------

    def _record(self, intent: Intent, version: int, kept: int, figures: _Figures, stale: str) -> Outcome:
        self._close_files(intent.run, intent.files, figures.by_file)
        reached(f"closed:{self.job.writes}")
        message = "; ".join(filter(None, (figures.message, stale)))
        outcome = Outcome(self.job.writes, "published", intent.run, version, figures.rows_in, kept, figures.rejected, message=message)
        self._event(intent, "published", outcome=outcome)
        reached(f"published:{self.job.writes}")
        return outcome

    def _close_files(self, run: int, files: Sequence[FileEdition], read: Sequence[_ReadFile] = ()) -> None:
        """Write the files of a published run into the ledger as read, with what became of each."""
        told = [("address", "=", self.job.writes), ("run", "=", run), ("status", "=", "read")]
        if not files or ops.read(self.lake.store, "files", told, columns=["run"]):  # written already by the process that died before the last line
            return
        ops.append(self.lake.store, "files", [self._ledger_row(f.file, "read", run, f.rows, f.rejected) for f in read or self._read_by(run, files)])

    def _read_by(self, run: int, files: Sequence[FileEdition]) -> list[_ReadFile]:
        """What became of the files of a run whose process died at its end: by the table and the rejects, where its readers can't be asked."""
        columns = [c for c in ("file", "edition", "offset") if c in {c.name for c in self.contract.columns}]
        # The filter reads only the data files whose statistics say that they may hold one of these.
        mine = self.table.delta().to_pyarrow_table(columns=columns, filters=[("file", "in", [f.path for f in files])])
        if "edition" in columns:  # not those that an earlier edition left there
            these = pa.table({"file": [f.path for f in files], "edition": pa.array([f.edition for f in files], pa.int32())})
            mine = mine.join(these, ["file", "edition"], join_type="inner")
        rows, rejected = _by_file(mine.to_batches()), self._rejects_by_file(run)
        begin = {f.path: f.size for f in files}  # of files that have grown: the first byte of which anything came
        if any(f.head is not None for f in files):
            rejects = ops.read(self.lake.store, "rejects", [("address", "=", self.job.writes), ("run", "=", run)], columns=["file", "offset"])
            first = mine.group_by("file").aggregate([("offset", "min")]).rename_columns({"offset_min": "offset"})
            for place in (*first.to_pylist(), *rejects):
                begin[place["file"]] = min(place["offset"] or 0, begin.get(place["file"], 0))
        marks = {f.path: Mark(f.begins.ordinal, begin[f.path]) if f.begins is not None else None for f in files}
        return [_ReadFile(f._replace(begins=marks[f.path]), rows.get(f.path, 0), rejected.get(f.path, 0)) for f in files]

    def _rejects_by_file(self, run: int) -> Counter[str]:
        """Rejects of each file; those that a slower driver with the same intent wrote as well count once."""
        rows = ops.read(self.lake.store, "rejects", [("address", "=", self.job.writes), ("run", "=", run)], columns=["file", "row_id"])
        return Counter(file for file, _ in {(row["file"], row["row_id"]) for row in rows})

    def _finish_books(self, event: ops.Event) -> None:
        """The commit is in the table, but its process died before it could say so: say it now, under the same number."""
        self.lake.say(self.job.writes, f"run {event.run} had committed: finishing its books")
        files = self._planned_files(event.run)
        self._close_files(event.run, files)
        counted = len(ops.read(self.lake.store, "rejects", [("address", "=", event.address), ("run", "=", event.run)], columns=["run"]))
        outcome = Outcome(event.address, "published", event.run, self.table.version(), rows_rejected=counted)
        row = run_row(
            self.step,
            self.lake,
            Intent(event.run, event.inputs, event.full or self.job.grain == "whole"),
            "published",
            self.began,
            outcome,
            "finished after a crash",
        )
        # What was made is what the run that died had planned: its code and contract, which may have changed since.
        row |= {"rows_in": None, "rows_kept": None, "code": event.code, "contract": event.contract}
        ops.append(self.lake.store, "runs", [row | ({} if event.back_to is None else {"status": "restored", "back_to": event.back_to})])

    def _give_up(self, event: ops.Event) -> None:
        """A restore died before its commit: nothing of it is in the table, and it is not repeated without being asked for."""
        message = f"the restore to run {event.back_to} was cut short: the table stands as it was before"
        self._say(message)
        row = run_row(self.step, self.lake, Intent(event.run, event.inputs, event.full), "failed", self.began, None, message)
        ops.append(self.lake.store, "runs", [row | {"night": event.night, "back_to": event.back_to}])

    def _event(self, intent: Intent, status: str, *, outcome: Outcome | None = None, message: str = "") -> None:
        ops.append(self.lake.store, "runs", [run_row(self.step, self.lake, intent, status, self.began, outcome, message)])


@dataclass(frozen=True, slots=True)
class _ReadFile:
    """What became of a raw file: the rows and rejects that a run made of it."""

    file: FileEdition
    rows: int
    rejected: int


@dataclass(frozen=True, slots=True)
class _Away:
    """Rows that the gate set aside: how many, how many for each reason, and keys of some of them."""

    rows: int = 0
    by_reason: Counter[str] = field(default_factory=Counter[str])
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    def __add__(self, more: _Away) -> _Away:
        return _Away(self.rows + more.rows, self.by_reason + more.by_reason, {**self.examples, **more.examples})


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the gate saw: rows that came in, rows set aside, what became of each raw file, and its warnings."""

    rows_in: int
    rejected: int
    by_file: Sequence[_ReadFile]
    message: str


@dataclass(frozen=True)
class _Built:
    """Rows to publish, and what they replace: files, or keys whose rows in the table go."""

    rows: DataFrame
    replace: Replaced | None = None
    records: DataFrame | None = None
    seen: Observation | None = None
    told: Observation | None = None
    counts: Any = None  # what each file gave: an accumulator that the readers fill
    touched: Callable[[DataFrame], DataFrame | None] | None = None  # of the table as it is: asked when all is staged

    def carried(self, spark: SparkSession, table: Table, transaction: Transaction) -> DataFrame | None:
        """Rows that share a data file with a touched key but are not touched themselves: they are written again beside the new ones.

        Sets `replace` to the files that hold touched keys; None when no file does.
        """
        if self.touched is None:
            return None
        from pyspark.sql import functions as F

        key = list(table.contract.key)
        current = table.read(spark, transaction.version)
        touched = self.touched(current)
        if touched is None:
            return None
        keys = touched.distinct()
        files = [
            r[0]
            for r in current.select(*key, F.col("_metadata.file_name").alias("_file"))
            .join(keys, key, "left_semi")
            .select("_file")
            .distinct()
            .collect()
        ]
        if not files:
            return None
        object.__setattr__(self, "replace", Replaced(names=frozenset(files)))
        return current.where(F.col("_metadata.file_name").isin(files)).join(keys, key, "left_anti")


def _read_anew(current: DataFrame, files: Sequence[FileEdition], given: Mapping[str, Given], key: Sequence[str]) -> DataFrame | None:
    """Keys of the rows that a run's files had in the table and have no more, or otherwise; None where only new bytes were read."""
    from pyspark.sql import functions as F

    bounds: list[tuple[str, int, int]] = []  # path, and the edition and ordinal from which its rows are replaced
    for f in files:
        begins = given[f.path].begins
        if f.head is None or begins.offset < f.head:
            bounds.append((f.path, f.base, begins.ordinal if f.head is not None else 0))
    if not bounds:
        return None
    mine = current.where(F.col("file").isin([path for path, _, _ in bounds]))
    if any((base, ordinal) != (1, 0) for _, base, ordinal in bounds):
        per_file = current.sparkSession.createDataFrame(bounds, "file string, _base int, _first bigint")
        mine = mine.join(F.broadcast(per_file), "file").where("edition >= _base and ordinal >= _first")
    return mine.select(*key)


def _together(one: Outcome, more: Outcome) -> Outcome:
    """Two runs of one address as one outcome: the rows of both, and where the last one stands."""
    last = more if more.status == "published" else one
    sums = {name: getattr(one, name) + getattr(more, name) for name in ("rows_in", "rows_kept", "rows_rejected")}
    return replace(last, **sums, message="; ".join(dict.fromkeys(filter(None, (one.message, more.message)))))


def _by_file(batches: Iterable[pa.RecordBatch]) -> Counter[str]:
    """Rows of each raw file, given batches of the column `file`."""
    found: Counter[str] = Counter()
    for batch in batches:
        found += _by_value(batch.column("file"))
    return found


def _by_value(values: Any) -> Counter[str]:
    """How often each value stands in an Arrow array."""
    return Counter({one["values"]: one["counts"] for one in values.value_counts().to_pylist()})


def slices_to_build(touched: set[Any], known: Sequence[Any], job: Job, asked: Iterable[Any] = ()) -> tuple[list[Any], list[Any]]:
    """(slices to build, slices to read for them), given the slices that changes touch and all that the inputs have, sorted.

    A slice depends on rows from `look_back` before its start. So a change reaches later slices that start within look_back
    after the changed slice ends, and a slice needs earlier ones back to the one that holds (start - look_back). Where a
    slice ends is not known, only where the next one starts: that makes a slice too many at most, never one too few.
    Slices that are `asked` for are built whether touched or not, and reach no later ones: their inputs are as they were.
    """
    back = job.look_back_time
    built = touched | set(asked)
    needed = set(built)
    if back:
        for slice_ in touched:
            following = [k for k in known if k > slice_]
            if following:
                built |= {k for k in following if _days(k, following[0]) <= back}
        for slice_ in built:
            earlier = [k for k in known if k < slice_]
            needed |= {slice_} | {k for k in earlier if _days(slice_, k) < back}
            needed |= {next(iter([k for k in reversed(earlier) if _days(slice_, k) >= back]), slice_)}
    return sorted(built), sorted(needed)


def _days(later: date, earlier: date) -> Any:
    return later - earlier


_FILE = 16 * 1024**2  # bytes of a data file that is not small
_TASK = 128 * 1024**2  # bytes that Spark gives a task to read at most (spark.sql.files.maxPartitionBytes)


_TOLD_KEYS = 5  # of rows that broke a rule, beside its verdict


def _problem_columns() -> list[Column]:
    """A record that its reader, or the cast of a cell, set aside, as ops.rejects holds it; its bytes last."""
    from pyspark.sql import functions as F

    origin = ("row_id", "file", "edition", "line", "offset")
    return [F.col("_source").alias("source"), *map(F.col, origin), F.split("_problem", ";").alias("reasons"), F.col("_raw").alias("raw")]


def _rejected_columns(contract: Contract, reasons: Sequence[Column]) -> list[Column]:
    """A row that breaks a rule, as ops.rejects holds it; its content last. The reasons as their own column, or as bits."""
    from pyspark.sql import functions as F

    names = [c.name for c in contract.columns]
    origin = [F.col(c) for c in ("source", "file", "edition", "line", "offset") if c in names]
    return [
        row_key(contract).alias("row_id"),
        *origin,
        *reasons,
        F.to_json(F.struct(*names), {"timestampFormat": EXACT["timestampFormat"]}).alias("row"),
    ]


def _repaired(intent: Intent) -> tuple[int, int]:
    """From which decision about rejects to which an intent takes them in."""
    since, to = intent.inputs.get(REPAIRS) or (None, 0)
    return since or 0, to


def _edition(row: Mapping[str, Any], uri: str) -> FileEdition:
    modified: datetime = row["modified"]
    marks = [None if row[f"{name}_offset"] is None else Mark(row[f"{name}_ordinal"], row[f"{name}_offset"]) for name in ("begin", "open")]
    return FileEdition(
        row["source"], row["path"], row["edition"], row["size"], row["etag"], row["sha256"], modified, uri,
        base=row["base"] or 1, head=row["head"], begins=marks[0], open=marks[1],
    )  # fmt: skip


def _run_failed(step: Step, error: Exception, *, full: bool) -> LakeError:
    """The job's own error as ours: its first line, and the line of the job file it came from."""
    if not full and (gone := re.search(r"\[(?:FAILED_READ_FILE\.FILE_NOT_EXIST|DELTA_\w*FILE_NOT_FOUND\w*)\][^\n]*", str(error))):
        return SourceMissing(
            f"{step.job.writes}: a file of its inputs' history is gone: {gone[0][:300]}",
            next_step=f"lake rebuild {step.job.writes}  (from all rows in place of the changed ones)",
        )
    if found := re.search(r"FileChanged: (.*)", str(error)):  # of a worker: it comes wrapped in Spark's own error
        return FileChanged(f"{step.job.writes}: {found[1]}", next_step=f"lake run {step.job.writes}  (it takes the file as it is then)")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(step.path)]
    place = f"{step.path}:{frames[-1].lineno}" if frames else str(step.path)
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return RunFailed(
        f"{step.job.writes} failed at {place}: {type(error).__name__}: {first[:500]}", next_step=f"mend it, then: lake run {step.job.writes}"
    )
