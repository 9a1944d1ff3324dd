"""Table: one Delta table by its address: what changed since a version, publish once, pin and read a version.

Data files are staged first by Delta's own writer (`OptimisticTransaction.writeFiles`), the gate reads its figures, and one
commit makes them visible or none does. The commit carries `txnAppId` = address and `txnVersion` = run number, so that a run
lands once, whoever repeats it. These are semi-private classes of delta-spark 4.4.0, reached by py4j: the version is pinned,
and tests/lake/test_table.py holds each line. Questions about versions go through delta-rs and need no Spark.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lake.contract import Change, Contract, of_terms, simple_type
from lake.contract import Column as Declared
from lake.errors import Busy, ContractBroken, SourceMissing

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from lake.store import Store

# Reader features that a plain Parquet reader (petastorm, DuckDB over Arrow) gets wrong: deleted rows come back, columns are renamed.
UNREADABLE = frozenset({"deletionVectors", "columnMapping"})

# What every reader we name reads (README, 'Looking'); all else stays off. CDF tells downstream what changed; 30 days of log keep pins
# and look-backs readable (Delta's own default, said aloud); 7 days of removed files likewise.
PROPERTIES: Mapping[str, str] = {
    "delta.enableChangeDataFeed": "true",
    "delta.enableDeletionVectors": "false",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 7 days",
}

# Settings of a table that say again what its contract says.
_FROM_CONTRACT = ("delta.constraints.", "delta.dataSkippingStatsColumns")
_WITH_STATISTICS = frozenset({"string", "int", "bigint", "smallint", "double", "float", "date", "timestamp"})


@dataclass(frozen=True, slots=True)
class FilePin:
    """One active data file of a pinned version: uri as delta-rs and Arrow name it (`s3://...` or a path), bytes, rows."""

    path: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A pinned version of a table as the list of its active files: what training reads, and upkeep keeps."""

    address: str
    version: int
    uri: str
    files: tuple[FilePin, ...]
    rows: int
    schema: pa.Schema

    def to_json(self) -> str:
        """As JSON text; the Arrow schema as its IPC message in hex."""
        return json.dumps(
            {
                "address": self.address,
                "version": self.version,
                "uri": self.uri,
                "rows": self.rows,
                "files": [[f.path, f.size, f.rows] for f in self.files],
                "schema": self.schema.serialize().to_pybytes().hex(),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """The manifest that `to_json` wrote."""
        said = json.loads(text)
        schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(said["schema"])))
        files = tuple(FilePin(p, s, r) for p, s, r in said["files"])
        return cls(said["address"], said["version"], said["uri"], files, said["rows"], schema)


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two versions of an input: rows that are new as they are now, rows that are gone as they were."""

    new: DataFrame
    gone: DataFrame | None
    empty: bool  # nothing differs: an OPTIMIZE makes a version without a difference


@dataclass(frozen=True, slots=True)
class Transaction:
    """A Delta transaction (of the JVM) on a version of a table, and that version as delta-rs reads it."""

    jvm: Any
    before: DeltaTable
    last_run: int  # that this version holds

    @property
    def version(self) -> int:
        """The version that it begins from."""
        return self.before.version()


@dataclass(frozen=True, slots=True)
class Replaced:
    """Active files that a commit takes out of its table: those of a partition's values, those of these names, or else all."""

    slices: frozenset[str] | None = None  # values as the log holds them: 2026-03-01
    names: frozenset[str] | None = None  # the last part of a path

    def goes(self, path: str, slice_: str | None) -> bool:
        """Whether an active file is one of them."""
        return (self.slices is None or slice_ in self.slices) and (self.names is None or path.rsplit("/", 1)[-1] in self.names)


ALL = Replaced()


@dataclass(frozen=True, slots=True)
class Staged:
    """Data files written, but visible to nobody: `files` are AddFile actions, `transaction` the one that may commit them."""

    transaction: Transaction
    actions: tuple[Any, ...]
    files: tuple[dict[str, Any], ...]
    figures: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def rows(self) -> int:
        """Rows staged, by the statistics that Delta's writer took."""
        return sum(int(json.loads(f["stats"])["numRecords"]) for f in self.files)


@dataclass(frozen=True)
class Table:
    """The Delta table of one address."""

    address: str
    store: Store

    @cached_property
    def contract(self) -> Contract:
        """Its contract."""
        return Contract.load(self.address)

    @property
    def uri(self) -> str:
        """Where Spark finds it."""
        return self.store.uri(self.address)

    # -- questions that need no Spark ------------------------------------------------------------------------------

    def delta(self, version: int | None = None) -> DeltaTable:
        """The table for delta-rs.

        Raises:
            SourceMissing: no such table, or that version can't be read any more.
        """
        try:
            return DeltaTable(self.store.delta_uri(self.address), version=version, storage_options=self.store.delta_options())
        except TableNotFoundError:
            raise SourceMissing(f"{self.address} is not there yet ({self.uri})", next_step=f"lake run {self.address}") from None
        except DeltaError as error:
            if version is None:
                raise
            raise SourceMissing(f"{self.address} has no version {version} that can be read: {error}", next_step=f"lake show {self.address}") from None

    def exists(self) -> bool:
        """Whether it has been made."""
        return DeltaTable.is_deltatable(self.store.delta_uri(self.address), storage_options=self.store.delta_options())

    def version(self) -> int | None:
        """Its newest version; None when there is no table."""
        return self.delta().version() if self.exists() else None

    def last_run(self) -> int:
        """The highest run number whose commit is in the table; 0 when there is none."""
        return (self.delta().transaction_version(self.address) or 0) if self.exists() else 0

    def changes(self) -> list[Change] | None:
        """What its contract says otherwise than the one that it was made by, empty where only words have changed; None where it is the same one."""
        delta = self.delta()
        metadata = delta.metadata()
        have = dict(metadata.configuration or {})
        if have.get("lake.contract") == self.contract.hash:
            return None
        terms = have.get("lake.terms")
        kept = of_terms(self.address, terms) if terms else self.contract
        # The table's own columns, types and partition are the truth; what its rows obeyed beside these stands in its terms only.
        ruled = {c.name: c for c in kept.columns}
        columns: list[Declared] = []
        for f in pa.schema(delta.schema().to_arrow()):
            plain = Declared(f.name, simple_type(f.type), not f.nullable, "")
            columns.append(replace(ruled.get(f.name, plain), type=plain.type, required=plain.required))
        partition = next(iter(metadata.partition_columns), None)
        found = self.contract.changes(replace(kept, columns=tuple(columns), partition=partition))
        return found if terms else [*found, Change("narrower", "the rules of the contract that it was made by are not known")]

    def snapshot(self, version: int | None = None) -> Manifest:
        """The pin of a version: its active files in path order.

        Raises:
            ContractBroken: the version has deletion vectors or column mapping, which plain Parquet readers get wrong.
            SourceMissing: no such table or version.
        """
        delta = self.delta(version)
        if wrong := _unreadable(delta):
            raise ContractBroken(
                f"{self.address} version {delta.version()} has {wrong}: a reader of its files would see wrong rows",
                next_step=f"lake rebuild {self.address}  (or, in Spark: REORG TABLE ... APPLY (PURGE), then drop the feature)",
            )
        adds = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
        root = self.store.delta_uri(self.address).rstrip("/")
        files = sorted((FilePin(f"{root}/{unquote(a['path'])}", a["size_bytes"], a["num_records"]) for a in adds), key=lambda f: f.path)
        schema = pa.schema(delta.schema().to_arrow())
        return Manifest(self.address, delta.version(), root, tuple(files), sum(f.rows for f in files), schema)

    def sizes(self, version: int | None = None) -> dict[str, int]:
        """Bytes of each active file of a version, by its path in the log.

        Raises:
            SourceMissing: no such table or version.
        """
        adds = pa.table(self.delta(version).get_add_actions())
        return dict(zip(adds.column("path").to_pylist(), adds.column("size_bytes").to_pylist(), strict=True))

    # -- reading with Spark ----------------------------------------------------------------------------------------

    def read(self, spark: SparkSession, version: int | None = None) -> DataFrame:
        """The rows at a version (the newest without one), in contract order."""
        reader = spark.read.format("delta")
        rows = (reader if version is None else reader.option("versionAsOf", version)).load(self.uri)
        return rows

    def changed(self, spark: SparkSession, since: int, to: int) -> Changes:
        """What differs between version `since` and version `to`, by Delta's change data feed, netted.

        A commit of ours replaces files, so that rows which were only carried over appear as gone and new: they cancel out.

        Raises:
            SourceMissing: a version between them can't be read any more, or has other columns.
        """
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException

        try:
            return self._netted(spark, since, to)
        except (PySparkException, Py4JJavaError) as error:
            first = str(error).strip().splitlines()[0]
            raise SourceMissing(
                f"{self.address}: what changed from version {since} to {to} can't be read any more: {first[:300]}",
                next_step=f"lake rebuild <table>   # the one that reads {self.address}: from all its rows instead of the changed ones",
            ) from error

    def _netted(self, spark: SparkSession, since: int, to: int) -> Changes:
        feed = (
            spark.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingVersion", since + 1)
            .option("endingVersion", to)
            .load(self.uri)
        )
        columns = [c for c in feed.columns if c not in ("_change_type", "_commit_version", "_commit_timestamp")]
        came = feed.where("_change_type in ('insert', 'update_postimage')").select(*columns)
        went = feed.where("_change_type in ('delete', 'update_preimage')").select(*columns)
        if went.isEmpty():
            return Changes(came, None, came.isEmpty())
        new, gone = came.exceptAll(went), went.exceptAll(came)
        return Changes(new, gone, new.isEmpty() and gone.isEmpty())

    # -- writing ---------------------------------------------------------------------------------------------------

    def create(self, spark: SparkSession) -> None:
        """Make the empty table that the contract describes, unless it is there: columns, comments, NOT NULL, CHECK, properties."""
        if self.exists():
            return
        from delta.tables import DeltaTable as SparkDelta

        making = SparkDelta.createIfNotExists(spark).location(self.uri).comment(self.contract.description)
        for c in self.contract.columns:
            making = making.addColumn(c.name, c.type, nullable=not c.required, comment=c.description)
        if self.contract.partition:
            making = making.partitionedBy(self.contract.partition)
        for name, value in self._properties().items():
            making = making.property(name, value)
        making.execute()

    def _properties(self) -> dict[str, str]:
        checks = {f"delta.constraints.{name}": rule for name, rule in self.contract.checks().items()}
        # Min/max statistics of personal data would stand in the log for ever: an erasure could not reach them.
        public = ",".join(
            c.name for c in self.contract.columns if c.classification is None and c.type in _WITH_STATISTICS and c.name != self.contract.partition
        )
        ours = {"lake.contract": self.contract.hash, "lake.terms": self.contract.terms()}
        return {**PROPERTIES, **checks, "delta.dataSkippingStatsColumns": public, **ours}

    def shaped(self, rows: DataFrame, *, older: bool = False) -> DataFrame:
        """The rows with exactly the contract's columns, in its order and types; rows of the table that are `older` than a column have null in it.

        Raises:
            ContractBroken: a column is missing, too many, or of another type: nothing is cast in silence.
        """
        from pyspark.sql import functions as F

        want = {c.name: c.type for c in self.contract.columns}
        if older:
            names = set(rows.columns)
            rows = rows.select(
                "*", *[F.lit(None).cast(c.type).alias(c.name) for c in self.contract.columns if not c.required and c.name not in names]
            )
        have = {f.name: f.dataType.simpleString() for f in rows.schema.fields}
        wrong = [f"column missing: {n} {t}" for n, t in want.items() if n not in have]
        wrong += [f"column not in the contract: {n} {t}" for n, t in have.items() if n not in want]
        wrong += [f"type of {n}: {have[n]}, contract {t}" for n, t in want.items() if n in have and _bare(have[n]) != _bare(t)]
        if wrong:
            place = self.address.replace(".", "/")
            raise ContractBroken(
                f"{self.address}: build() and the contract differ: {'; '.join(wrong)}", next_step=f"edit jobs/{place}.py or schemas/{place}.yaml"
            )
        return rows.select(*[F.col(c.name) for c in self.contract.columns])

    def begin(self, spark: SparkSession, *, reshape: bool = False, rows_stay: bool = False) -> Transaction:
        """A Delta transaction on the newest version; staging and publishing happen in it.

        `reshape` gives the table the columns, partition and CHECKs of its contract in the same commit, which must replace all rows; where
        they stay, it is the caller who knows that each of them obeys: none of `changes()` breaks, and none was narrower.
        """
        jvm: Any = spark._jvm  # pyright: ignore[reportPrivateUsage]
        none = jvm.scala.Option.empty()
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, self.uri)  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
        log.update(False, none, none)
        transaction = log.startTransaction()
        # As txnVersion() does: a race for the same number is then refused. Its answer comes from three Spark jobs (1.1 s of a small run, two cores).
        transaction.readTxn().addOne(self.address)
        if reshape:
            metadata = self._metadata(jvm, transaction.metadata())
            transaction.updateMetadata(metadata, False) if rows_stay else transaction.updateMetadataForTableOverwrite(metadata)
        before = self.delta(int(transaction.snapshot().version()))
        return Transaction(transaction, before, before.transaction_version(self.address) or 0)

    def _metadata(self, jvm: Any, old: Any) -> Any:
        """The table's Metadata action with what the contract says now."""
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = from_arrow_schema(self.contract.schema)
        for made, column in zip(schema.fields, self.contract.columns, strict=True):
            made.metadata = {"comment": column.description}
        kept = {
            k: v for k, v in dict(jvm.scala.jdk.javaapi.CollectionConverters.asJava(old.configuration())).items() if not k.startswith(_FROM_CONTRACT)
        }
        configuration = jvm.PythonUtils.toScalaMap({**kept, **self._properties()})
        partitions = jvm.PythonUtils.toSeq([self.contract.partition] if self.contract.partition else []).toList()
        return old.copy(old.id(), old.name(), self.contract.description, old.format(), schema.json(), partitions, configuration, old.createdTime())

    def stage(self, transaction: Transaction, rows: DataFrame, observe: Sequence[Column] = ()) -> Staged:
        """Write the rows as data files of this table that no version names yet; `observe` are figures taken on the way.

        Raises:
            ContractBroken: a row breaks NOT NULL or a CHECK, which the gate should have kept out.
        """
        from pyspark.sql import Observation

        seen = Observation("gate") if observe else None
        watched = rows.observe(seen, *observe) if seen else rows
        written = transaction.jvm.writeFiles(watched._jdf).toList()
        actions = tuple(written.apply(i) for i in range(written.size()))
        files = tuple(json.loads(a.json())["add"] for a in actions)
        return Staged(transaction, actions, files, dict(seen.get) if seen else {})

    def staged_rows(self, spark: SparkSession, staged: Staged) -> DataFrame:
        """The staged rows read back from their files, for the gate to judge."""
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = from_arrow_schema(self.contract.schema)
        if not staged.files:
            return spark.createDataFrame([], schema)
        paths = [f"{self.uri}/{unquote(f['path'])}" for f in staged.files]
        return spark.read.schema(schema).option("basePath", self.uri).parquet(*paths).select(*schema.names)

    def publish(self, spark: SparkSession, staged: Iterable[Staged], run: int, *, replace: Replaced | None = None) -> int:
        """One commit of everything staged as run `run` of this address; the files that it replaces go.

        Returns the version. A run number that is in the table already changes nothing and gives the version that stands.

        Raises:
            Busy: another driver wrote the same rows or the same run at the same time.
        """
        staged = list(staged)
        transaction = staged[0].transaction
        jvm: Any = spark._jvm  # pyright: ignore[reportPrivateUsage]
        if transaction.last_run >= run:
            return transaction.version
        now = int(time.time() * 1000)
        actions = jvm.java.util.ArrayList()
        actions.add(jvm.org.apache.spark.sql.delta.actions.SetTransaction(self.address, run, jvm.scala.Option.apply(now)))
        for part in staged:
            for action in part.actions:
                actions.add(action)
        if replace is not None:
            transaction.jvm.readWholeTable()  # whoever adds or removes rows meanwhile conflicts with us
            for action in self._removed(jvm, transaction, replace, now):
                actions.add(action)
        return self._committed(jvm, transaction, actions, "Append" if replace is None else "Overwrite")

    def conform(self, spark: SparkSession, transaction: Transaction) -> int:
        """Commit what `begin(reshape=True, rows_stay=True)` gave the table, and no rows: it is as its contract says. Returns the version.

        Raises:
            Busy: another driver wrote at the same time: what it wrote was not asked.
        """
        jvm: Any = spark._jvm  # pyright: ignore[reportPrivateUsage]
        transaction.jvm.readWholeTable()
        return self._committed(jvm, transaction, jvm.java.util.ArrayList(), "Append")

    def _committed(self, jvm: Any, transaction: Transaction, actions: Any, mode: str) -> int:
        from delta import exceptions as conflicts  # importing it teaches py4j to raise them

        # A write, as Spark's own writers say it: after a "manual update" Delta computes the table's state anew, 1.3 s of a small run.
        save = jvm.org.apache.spark.sql.SaveMode.valueOf(mode)
        operation = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")(save, *[jvm.scala.Option.empty()] * 8)
        try:
            sequence = jvm.scala.jdk.javaapi.CollectionConverters.asScala(actions).toSeq()
            return int(transaction.jvm.commit(sequence, operation))
        except (
            conflicts.ConcurrentAppendException,
            conflicts.ConcurrentDeleteDeleteException,
            conflicts.ConcurrentDeleteReadException,
            conflicts.ConcurrentTransactionException,
            conflicts.ConcurrentWriteException,
            conflicts.DeltaConcurrentModificationException,
            conflicts.MetadataChangedException,
            conflicts.ProtocolChangedException,
        ) as error:
            kind = type(error).__name__
            raise Busy(
                f"{self.address}: another writer committed at the same time ({kind})",
                next_step=f"lake run {self.address}  (it takes up where the other ended)",
            ) from None

    def _removed(self, jvm: Any, transaction: Transaction, replace: Replaced, now: int) -> Iterator[Any]:
        """RemoveFile actions of the active files that go, by the log as delta-rs reads it: Spark would compute the table's state for it."""
        of = self.contract.partition or ""
        if _unreadable(transaction.before):  # made so by hand: a file goes with its deletion vector
            for file in transaction.jvm.snapshot().allFiles().collectAsList():
                if replace.goes(file.path(), json.loads(file.json())["add"]["partitionValues"].get(of)):
                    yield file.removeWithTimestamp(now, True)
            return
        partitions = transaction.before.metadata().partition_columns  # of the table as it is: a contract that changed may name another
        for file in pa.table(transaction.before.get_add_actions(flatten=True)).to_pylist():
            values = {name: _written(file[f"partition.{name}"]) for name in partitions}
            if replace.goes(file["path"], values.get(of)):
                removed = {
                    "path": file["path"], "deletionTimestamp": now, "dataChange": True, "extendedFileMetadata": True,
                    "partitionValues": values, "size": file["size_bytes"],
                }  # fmt: skip
                yield jvm.org.apache.spark.sql.delta.actions.Action.fromJson(json.dumps({"remove": removed}))


def _unreadable(delta: DeltaTable) -> str:
    """What a version has that a reader of its plain files gets wrong; empty where there is nothing."""
    mapped = (delta.metadata().configuration or {}).get("delta.columnMapping.mode", "none") != "none"
    return ", ".join(sorted(UNREADABLE & set(delta.protocol().reader_features or ()))) or ("column mapping" if mapped else "")


def _written(value: Any) -> str | None:
    """A partition value as Delta's log holds it: of the types that a contract may partition by Python prints them the same."""
    return None if value is None else str(value)


def _bare(simple: str) -> str:
    return simple.replace(" ", "").lower()
