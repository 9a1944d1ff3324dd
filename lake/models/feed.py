"""Feed: the rows of a pinned table version as batches for one rank, every row once an epoch, read by petastorm.

The plan of an epoch is arithmetic, the same on every rank and without a word between them: the row groups in an order drawn
from (version, seed, epoch, world), their rows of the wanted split put end to end, cut into as many even shares as there are
ranks. A share may begin inside a row group (the ranks on both sides of the cut read that group), so one row, one row group
or more ranks than groups are nothing special, and no share differs from another by more than a row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import torch
from numpy.typing import NDArray
from pyarrow import fs as arrow_fs
from torch.utils.data import IterableDataset, get_worker_info

from lake.errors import ContractBroken, SourceMissing, TrainingFailed
from lake.models.petastorm_mends import RowGroup, reading

if TYPE_CHECKING:
    from lake.table import Manifest

# Rows held to shuffle in: 64 token ids of 4 bytes are 256 bytes a row, so 16 MB a rank. A table sorted by label needs a
# buffer that spans it, or its batches see few labels at a time.
BUFFER_ROWS = 65_536
# Batches that are sorted by length together: enough to find rows of equal length (9 % faster than unsorted), few enough
# that the lengths of a batch say little about its rows. The Trainer of transformers takes 50 as well.
BUCKET_STEPS = 50

Batch = dict[str, Any]  # tensors by column; strings stay numpy arrays, for torch has none


class FeedShort(TrainingFailed):
    """Fewer (or more) rows were delivered than the pinned version has: training on them would be a silent lie."""


@dataclass(frozen=True, slots=True)
class Census:
    """What the files of a manifest hold, counted once before training: row groups, rows per split, values of a column."""

    groups: tuple[RowGroup, ...]
    footers: Mapping[str, parquet.FileMetaData]
    splits: tuple[Mapping[str, int], ...]  # of each row group: rows per split
    values: Mapping[tuple[str, str], Mapping[str, int]]  # (column, split) -> value -> rows

    def rows(self, split: str) -> int:
        """Rows of a split."""
        return sum(group.get(split, 0) for group in self.splits)

    def of(self, column: str) -> tuple[str, ...]:
        """The values of a column over all splits, sorted."""
        return tuple(sorted({value for (name, _), counts in self.values.items() if name == column for value in counts}))


def take_census(
    manifest: Manifest,
    *,
    split: str = "split",
    values: Sequence[str] = (),
    required: Sequence[str] = (),
    filesystem: arrow_fs.FileSystem | None = None,
) -> Census:
    """Read the footers and the few columns that the plan needs, and hold them against the manifest.

    Raises:
        SourceMissing: a pinned file is gone.
        ContractBroken: a column is missing, or holds nulls, which petastorm turns into 'None' or NaN.
        FeedShort: a file has another number of rows than the manifest says.
    """
    files: Any = filesystem or filesystem_of(manifest)
    wanted = tuple(dict.fromkeys((split, *values)))
    groups: list[RowGroup] = []
    footers: dict[str, parquet.FileMetaData] = {}
    splits: list[Mapping[str, int]] = []
    found: dict[tuple[str, str], Counter[str]] = {}
    for pin in manifest.files:
        path = _path_in(pin.path)
        try:
            source = files.open_input_file(path)
        except FileNotFoundError:
            raise SourceMissing(
                f"{pin.path}, pinned by version {manifest.version} of {manifest.address}, is gone",
                next_step=f"lake run models.<name>  (it pins the newest version of {manifest.address})",
            ) from None
        with source, parquet.ParquetFile(source) as file:
            footer = file.metadata
            if footer.num_rows != pin.rows:
                raise FeedShort(f"{pin.path} has {footer.num_rows} rows, its manifest says {pin.rows}: the file is not the pinned one")
            _refuse_nulls(footer, (*wanted, *required), pin.path)
            footers[path] = footer
            for index in range(footer.num_row_groups):
                table = file.read_row_group(index, list(wanted), use_threads=False)
                groups.append(RowGroup(path, index, footer.row_group(index).num_rows))
                splits.append(_counted(table.select([split]))[split])
                for name in values:
                    for part in splits[-1]:
                        rows = table.filter(np.array([value == part for value in table[split].to_pylist()])) if len(splits[-1]) > 1 else table
                        found.setdefault((name, part), Counter()).update(_counted(rows.select([name]))[name])
    return Census(tuple(groups), footers, tuple(splits), found)


class Feed(IterableDataset[Batch]):
    """The batches of one split for one rank; an iteration is an epoch, and the next iteration the next epoch.

    Every rank gets `steps` batches. `batch` counts rows over all ranks, so that a result does not hang on their number. A
    batch has `weight` (0 for the one padding row of a rank that has nothing left) and `global_rows`, the real rows of this
    step over all ranks: the sum of the losses is divided by it.

    `state_dict()` is the exact position: a feed that loads it goes on with the row after.
    """

    def __init__(
        self,
        manifest: Manifest,
        columns: Sequence[str],
        *,
        rank: int = 0,
        world: int = 1,
        seed: int = 0,
        batch: int = 32,
        split: tuple[str, str] = ("split", "train"),
        ids: str = "input_ids",
        lengths: str = "tokens",
        max_length: int | None = None,
        buffer_rows: int = BUFFER_ROWS,
        census: Census | None = None,
        filesystem: arrow_fs.FileSystem | None = None,
    ) -> None:
        super().__init__()
        self.manifest, self.rank, self.world, self.seed, self.batch = manifest, rank, world, seed, batch
        self.split, self.ids, self.lengths, self.max_length = split, ids, lengths, max_length
        self.columns = tuple(dict.fromkeys((split[0], ids, lengths, *columns)))
        self.filesystem = filesystem or filesystem_of(manifest)
        self.census = census or take_census(manifest, split=split[0], required=self.columns, filesystem=self.filesystem)
        self.rows = self.census.rows(split[1])
        self.steps = math.ceil(self.rows / batch)
        self.pool_steps = max(1, buffer_rows * world // batch)
        self.epoch = self.step = 0  # the position: the next batch is number `step` of epoch `epoch`
        self.delivered = 0  # rows of this rank in the epoch under way, or in the last one

    def __len__(self) -> int:
        """Batches of an epoch, equal on every rank."""
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        """The batches of an epoch: see `batches`."""
        return self.batches()

    def batches(self) -> Generator[Batch]:
        """The batches from the position to the end of the epoch.

        Raises:
            FeedShort: petastorm gave another number of rows than the version has.
        """
        worker = get_worker_info()
        if worker is not None and worker.num_workers > 1:
            raise TrainingFailed(
                "a Feed shards by rank, not by loader worker",
                next_step="DataLoader(feed, batch_size=None, num_workers=0)",
            )
        first_pool = self.step // self.pool_steps
        planned = self.dealt(self.rank, self.steps) - self.dealt(self.rank, self.step)
        rows = _Rows(self._nothing, self._share(self.dealt(self.rank, first_pool * self.pool_steps)))
        self.delivered = 0
        try:
            for pool in range(first_pool, math.ceil(self.steps / self.pool_steps)):
                start, end = pool * self.pool_steps, min((pool + 1) * self.pool_steps, self.steps)
                held = rows.take(self.dealt(self.rank, end) - self.dealt(self.rank, start))
                for step, chosen in zip(range(start, end), self._batches(pool, held), strict=True):
                    if step < self.step:
                        continue
                    self.step = step + 1
                    self.delivered += len(chosen)
                    yield self._batch(held, chosen, step)
            rows.end()
        finally:
            rows.close()
        if self.delivered != planned:
            whose = f"{self.manifest.address} version {self.manifest.version}"
            raise FeedShort(f"{whose}, epoch {self.epoch}, rank {self.rank}: {self.delivered} rows delivered of {planned}")
        self.epoch, self.step = self.epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """The position, and what the order depends on."""
        return {"epoch": self.epoch, "step": self.step, **self._order_of}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a position.

        Raises:
            TrainingFailed: it belongs to another version, seed, batch or number of ranks, whose order differs.
        """
        other = [f"{name} {state.get(name)} (here {value})" for name, value in self._order_of.items() if state.get(name) != value]
        if other:
            raise TrainingFailed(
                f"the position belongs to another order of rows: {', '.join(other)}",
                next_step="train afresh, or as it was",
            )
        self.epoch, self.step = state["epoch"], state["step"]

    def rewind(self) -> None:
        """Back to the first batch of the first epoch."""
        self.epoch = self.step = 0

    def dealt(self, rank: int, steps: int) -> int:
        """Rows that a rank has had after so many steps: the rows of the epoch are dealt out in turn, like cards."""
        rows = self.rows * steps // self.steps if self.steps else 0
        return (rows + self.world - 1 - rank) // self.world

    def global_rows(self, step: int) -> int:
        """Real rows of a step over all ranks; never 0."""
        return self.rows * (step + 1) // self.steps - self.rows * step // self.steps

    @cached_property
    def _order_of(self) -> dict[str, int]:
        return {
            "version": self.manifest.version,
            "rows": self.rows,
            "seed": self.seed,
            "world": self.world,
            "batch": self.batch,
            "pool_steps": self.pool_steps,
        }

    @cached_property
    def _nothing(self) -> dict[str, NDArray[Any]]:
        """Every column without a row."""
        kinds = {name: self.manifest.schema.field(name).type for name in self.columns}
        lists = {name for name, kind in kinds.items() if name == self.ids or "list" in str(kind)}
        texts = {name for name, kind in kinds.items() if "string" in str(kind)}
        return {name: np.zeros((0, 1) if name in lists else 0, "U1" if name in texts else np.int64) for name in kinds}

    def _draw(self, *what: int) -> np.random.Generator:
        return np.random.default_rng([self.manifest.version, self.seed, self.epoch, self.world, *what])

    def _share(self, skip: int) -> Iterator[dict[str, NDArray[Any]]]:
        """The rows of this rank's share after the first `skip`, row group by row group."""
        counts = [counts.get(self.split[1], 0) for counts in self.census.splits]
        order = [int(i) for i in self._draw().permutation(len(counts)) if counts[i]]
        ends = list(accumulate(counts[i] for i in order))
        begin = sum(self.dealt(rank, self.steps) for rank in range(self.rank))
        low, high = begin + skip, begin + self.dealt(self.rank, self.steps)
        mine = [
            (i, max(low - (end - counts[i]), 0), min(high, end) - (end - counts[i]))
            for i, end in zip(order, ends, strict=True)
            if end > low and end - counts[i] < high
        ]
        if not mine:
            return
        groups = [self.census.groups[i] for i, _, _ in mine]
        with reading(groups, self.columns, self.filesystem, self.census.footers) as read:
            for group, (index, first, last) in zip(groups, mine, strict=True):
                rows = next(read, None)
                if rows is None:
                    raise FeedShort(f"epoch {self.epoch}, rank {self.rank}: petastorm ended before {group}")
                if (got := len(rows[self.split[0]])) != group.rows:
                    raise FeedShort(f"{group}: {got} rows delivered of {group.rows}")
                wanted = np.flatnonzero(rows[self.split[0]] == self.split[1])
                if len(wanted) != counts[index]:
                    raise FeedShort(f"{group}: {len(wanted)} rows of split {self.split[1]!r} delivered of {counts[index]}")
                yield {name: column[wanted[first:last]] for name, column in rows.items()}
            if next(read, None) is not None:
                raise FeedShort(f"epoch {self.epoch}, rank {self.rank}: petastorm gave more than the {len(groups)} row groups asked of it")

    def _batches(self, pool: int, held: Mapping[str, NDArray[Any]]) -> Iterator[NDArray[np.int64]]:
        """The rows of each step of a pool: shuffled, then sorted by length bucket by bucket, the batches of a bucket shuffled.

        The batches of a bucket come in the same order on every rank, so that the ranks of a step have rows of like length
        and none waits for another's long ones.
        """
        start, end = pool * self.pool_steps, min((pool + 1) * self.pool_steps, self.steps)
        shuffled = self._draw(pool, self.rank).permutation(len(held[self.lengths]))
        lengths = held[self.lengths][shuffled]
        alike = self._draw(pool, self.world)
        at = 0
        for first in range(start, end, BUCKET_STEPS):
            steps = range(first, min(first + BUCKET_STEPS, end))
            sizes = [self.dealt(self.rank, step + 1) - self.dealt(self.rank, step) for step in steps]
            by_length = at + np.argsort(lengths[at : at + sum(sizes)], kind="stable")
            at += sum(sizes)
            place = alike.permutation(len(sizes))  # step j of the bucket gets its batch number place[j] by length
            cuts = [0, *accumulate(sizes[j] for j in np.argsort(place))]
            yield from (shuffled[by_length[cuts[k] : cuts[k + 1]]] for k in place)

    def _batch(self, held: Mapping[str, NDArray[Any]], chosen: NDArray[np.int64], step: int) -> Batch:
        """The chosen rows, cut to the longest of them; one row of weight 0 when there are none."""
        real = len(chosen)
        rows = {name: column[chosen] for name, column in held.items()}
        tokens = np.minimum(rows.pop(self.lengths).astype(np.int64), self.max_length or np.iinfo(np.int64).max)
        longest = int(tokens.max(initial=1))
        ids = rows.pop(self.ids)[:, :longest].astype(np.int64)
        if not real:
            ids, tokens = np.zeros((1, 1), np.int64), np.ones(1, np.int64)
            rows = {name: np.zeros((1, *column.shape[1:]), column.dtype) for name, column in rows.items()}
        rows.pop(self.split[0])
        mask = np.arange(longest) < tokens[:, None]
        others = {name: column if column.dtype.kind in "USO" else torch.from_numpy(column) for name, column in rows.items()}
        return {
            self.ids: torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
            "weight": torch.full((len(ids),), float(real > 0)),
            "global_rows": self.global_rows(step),
            **others,
        }


class _Rows:
    """Columns by the chunk from an iterator, handed out by the row."""

    def __init__(self, nothing: dict[str, NDArray[Any]], chunks: Iterator[dict[str, NDArray[Any]]]) -> None:
        self.nothing, self.chunks = nothing, chunks
        self.left: dict[str, NDArray[Any]] = {}

    def take(self, rows: int) -> dict[str, NDArray[Any]]:
        """The next rows; fewer only at the end."""
        held = [self.left] if self.left else []
        count = sum(_length(chunk) for chunk in held)
        while count < rows and (chunk := next(self.chunks, None)) is not None:
            held.append(chunk)
            count += _length(chunk)
        if not held:
            held = [self.nothing]  # a rank whose share is empty
        together = {name: np.concatenate([chunk[name] for chunk in held]) for name in held[0]} if len(held) > 1 else held[0]
        self.left = {name: column[rows:] for name, column in together.items()}
        if count < rows:
            raise FeedShort(f"{count} rows delivered of {rows}")
        return {name: column[:rows] for name, column in together.items()}

    def end(self) -> None:
        """Ask for what should not be there, so that the reader behind notices its end."""
        if (self.left and _length(self.left)) or next(self.chunks, None) is not None:
            raise FeedShort("more rows delivered than planned")

    def close(self) -> None:
        """Stop the reader behind."""
        if (close := getattr(self.chunks, "close", None)) is not None:
            close()


def filesystem_of(manifest: Manifest) -> arrow_fs.FileSystem:
    """The filesystem that a manifest's files are on, by this process's environment."""
    if not any("://" in pin.path and not pin.path.startswith("file://") for pin in manifest.files):
        return arrow_fs.LocalFileSystem()
    from lake.store import open_store

    return open_store().arrow()


def _path_in(path: str) -> str:
    """The path as the filesystem knows it."""
    for scheme in ("s3://", "s3a://", "file://"):
        path = path.removeprefix(scheme)
    return path


def _refuse_nulls(footer: parquet.FileMetaData, columns: Sequence[str], path: str) -> None:
    group = footer.row_group(0) if footer.num_row_groups else None
    at: dict[str, int] = {group.column(i).path_in_schema.split(".")[0]: i for i in range(group.num_columns)} if group else {}
    missing = [name for name in columns if group and name not in at]
    if missing:
        raise ContractBroken(
            f"{path} has no column {', '.join(missing)}",
            next_step="name the columns that the table has in the job's FineTune",
        )
    for index in range(footer.num_row_groups):
        for name in columns:
            figures = footer.row_group(index).column(at[name]).statistics
            if figures is not None and figures.has_null_count and figures.null_count:
                raise ContractBroken(
                    f"{path} row group {index}: {figures.null_count} nulls in {name}, and a training column must have none",
                    next_step=f"make {name} required in the table's contract, and lake rebuild it",
                )


def _counted(table: pa.Table) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for name in table.column_names:
        pairs: Any = table[name].value_counts()
        counts[name] = {str(pair["values"].as_py()): int(pair["counts"].as_py()) for pair in pairs}
    return counts


def _length(chunk: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(chunk.values())))
