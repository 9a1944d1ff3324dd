"""petastorm 0.13.1 mended to work beside pyarrow 26 and numpy 2, and to deliver every row: the only module that imports petastorm.

Each mend stands below with its reason. petastorm's own names are replaced; numpy and pyarrow only get back names that they
dropped, and `pyarrow.parquet` stays as it is for everybody else. The pin in pyproject.toml is exact for the sake of this file.
"""

# petastorm has no types: what comes out of it is unknown to pyright, and checked by the tests instead.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false, reportPrivateUsage=false

from __future__ import annotations

import contextlib
import importlib
import sys
import types
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from pyarrow import fs as arrow_fs


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of one file: the unit that petastorm reads."""

    path: str  # as the pyarrow filesystem knows it: bucket/key, or an absolute path
    index: int
    rows: int

    def __str__(self) -> str:
        return f"{self.path} row group {self.index}"


@contextlib.contextmanager
def reading(
    groups: Sequence[RowGroup],
    columns: Sequence[str],
    filesystem: arrow_fs.FileSystem,
    footers: Mapping[str, parquet.FileMetaData] | None = None,
) -> Generator[Iterator[dict[str, np.ndarray]]]:
    """The row groups as dicts of numpy arrays, in the order given, read ahead by one thread of petastorm's.

    One worker: with more, results come in the order in which they end, and a run could not be repeated.
    """
    reader: Any = petastorm_reader.Reader(
        filesystem,
        _Groups(groups, footers or {}),
        schema_fields=[f"^{name}$" for name in columns],  # petastorm takes patterns, and `label` would take `labels` along
        reader_pool=thread_pool.ThreadPool(1, results_queue_size=5),  # 5 is the least that petastorm keeps
        worker_class=arrow_reader_worker.ArrowReaderWorker,
        shuffle_row_groups=False,  # the order is the caller's: petastorm's seed repeats one order in every epoch
        num_epochs=1,
        is_batched_reader=True,
        convert_early_to_numpy=True,  # in the worker: the trainer's thread only slices
    )
    try:
        yield (dict(batch._asdict()) for batch in reader)
    finally:
        reader.stop()
        reader.join()


class _Groups(list[str]):
    """The paths of the files (petastorm asks for a list of them), and which of their row groups to read, in order."""

    def __init__(self, groups: Sequence[RowGroup], footers: Mapping[str, parquet.FileMetaData]) -> None:
        super().__init__(dict.fromkeys(group.path for group in groups))
        self.groups, self.footers = tuple(groups), footers


class _Files:
    """What petastorm asks of `dataset.fs`, on a pyarrow filesystem."""

    def __init__(self, filesystem: Any) -> None:
        if filesystem is None:
            filesystem = arrow_fs.LocalFileSystem()
        if not isinstance(filesystem, arrow_fs.FileSystem):
            filesystem = arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(filesystem))
        self.arrow = filesystem

    def open(self, path: str, mode: str = "rb") -> str:
        """The path itself: petastorm opens each file once for nothing before `_Piece.read` does (a request each on S3)."""
        return path

    def exists(self, path: str) -> bool:
        return self.arrow.get_file_info(path).type != arrow_fs.FileType.NotFound

    def parquet_files(self, paths: str | Sequence[str]) -> list[str]:
        if not isinstance(paths, str):
            return list(paths)
        if self.arrow.get_file_info(paths).is_file:
            return [paths]
        found = self.arrow.get_file_info(arrow_fs.FileSelector(paths, recursive=True))
        return sorted(info.path for info in found if info.is_file and info.path.endswith(".parquet"))


class _Piece:
    """A file, or one row group of it: `pq.ParquetDatasetPiece`, which pyarrow dropped in 15."""

    def __init__(
        self,
        path: str,
        open_file_func: Any = None,
        row_group: int | None = None,
        partition_keys: Any = None,
        *,
        files: _Files | None = None,
        footer: parquet.FileMetaData | None = None,
    ) -> None:
        self.path, self.row_group, self.partition_keys = path, row_group, partition_keys or []
        self.files = files or _Files(None)
        self.footer = footer

    def get_metadata(self) -> Any:
        """The footer, of which petastorm asks `.schema.to_arrow_schema()` and `.num_row_groups`."""
        if self.footer is None:
            with self.files.arrow.open_input_file(self.path) as file:
                self.footer = parquet.ParquetFile(file).metadata
        footer = self.footer
        schema = _known_types(footer.schema.to_arrow_schema())
        return types.SimpleNamespace(num_row_groups=footer.num_row_groups, schema=types.SimpleNamespace(to_arrow_schema=lambda: schema))

    def read(self, columns: Iterable[str] | None = None, partitions: Any = None, **_: Any) -> pa.Table:
        """The rows, every column in one chunk (petastorm looks at the first chunk alone when the first column has one)."""
        names = list(columns) if columns is not None else None
        try:
            with self.files.arrow.open_input_file(self.path) as source:
                file = parquet.ParquetFile(source, metadata=self.footer, pre_buffer=True)
                if self.row_group is None:
                    table = file.read(names, use_threads=False)
                else:
                    table = file.read_row_group(self.row_group, names, use_threads=False)
            return table.cast(_known_types(table.schema)).combine_chunks()
        except (OSError, pa.ArrowException) as error:
            where = self.path if self.row_group is None else f"{self.path} row group {self.row_group}"
            raise OSError(f"{where}: {error}") from error  # petastorm's own error names neither


class _Dataset:
    """Files and their row groups: the `pq.ParquetDataset` of pyarrow 14 and before, as far as petastorm uses it."""

    def __init__(self, path_or_paths: str | Sequence[str], filesystem: Any = None, filters: Any = None, **_: Any) -> None:
        if filters:
            raise NotImplementedError("filters: choose the files from the Delta log instead")
        self.fs = _Files(filesystem)
        self.paths = path_or_paths
        if isinstance(path_or_paths, _Groups):
            footers = path_or_paths.footers
            self.pieces = [_Piece(g.path, row_group=g.index, files=self.fs, footer=footers.get(g.path)) for g in path_or_paths.groups]
        else:
            self.pieces = [_Piece(path, files=self.fs) for path in self.fs.parquet_files(path_or_paths)]
        # petastorm's own side files, which no Delta table has
        self.metadata = self.common_metadata = self.metadata_path = self.partitions = None

    @property
    def schema(self) -> pa.Schema:
        return self.pieces[0].get_metadata().schema.to_arrow_schema()


def _known_types(schema: pa.Schema) -> pa.Schema:
    """The schema in types that petastorm knows: it drops columns of large_string and large_list without a word."""

    def known(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return pa.string()
        if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
            return pa.binary()
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            return pa.list_(known(kind.value_type))
        return kind

    return pa.schema([field.with_type(known(field.type)) for field in schema])


def _split_piece(piece: _Piece, _open: Any) -> list[_Piece]:
    """One piece per row group; the piece itself when its row group was chosen already (no second look at the footer)."""
    if piece.row_group is not None:
        return [piece]
    count = piece.get_metadata().num_row_groups
    return [_Piece(piece.path, row_group=i, files=piece.files, footer=piece.footer) for i in range(count)]


def _dropped_names() -> None:
    """Names that petastorm imports and that numpy 2 and pyarrow 15 to 17 dropped."""
    numpy: Any = np
    for old, new in (("unicode_", np.str_), ("string_", np.bytes_)):
        if not hasattr(numpy, old):
            setattr(numpy, old, new)
    for name, attributes in (
        ("pyarrow.filesystem", {"LocalFileSystem": arrow_fs.LocalFileSystem}),
        ("pyarrow.hdfs", {"HadoopFileSystem": getattr(arrow_fs, "HadoopFileSystem", object)}),
    ):
        if name not in sys.modules:
            try:
                importlib.import_module(name)
            except ImportError:
                module = types.ModuleType(name)
                module.__dict__.update(attributes)
                sys.modules[name] = module
                setattr(pa, name.rpartition(".")[2], module)
    arrow: Any = pa
    if not hasattr(arrow.lib, "ArrowIOError"):
        arrow.lib.ArrowIOError = OSError
    if not hasattr(arrow, "localfs"):
        arrow.localfs = arrow_fs.LocalFileSystem()


def _deliver_every_row() -> None:
    """`ThreadPool.get_results` asks whether all workers are done BEFORE it asks whether the ventilator has handed out all work.

    Between the two questions the ventilator may hand out its last row group: 52 of 300 reads of 7 row groups came back
    empty. Asked the other way round, in one place, none of 1,360 was short.
    """
    stock = thread_pool.ThreadPool.all_workers_done
    if getattr(stock, "asks_ventilator_first", False):
        return

    def all_workers_done(pool: Any) -> bool:
        return (pool._ventilator is None or pool._ventilator.completed()) and stock(pool)

    vars(all_workers_done)["asks_ventilator_first"] = True
    thread_pool.ThreadPool.all_workers_done = all_workers_done


def _leave_quietly() -> None:
    """`Reader.__exit__` prints "Cache cleanup complete." to stdout at the end of every read, cache or none."""
    stock = petastorm_reader.Reader.cleanup_cache

    def cleanup_cache(reader: Any) -> None:
        with contextlib.redirect_stdout(None):
            stock(reader)

    petastorm_reader.Reader.cleanup_cache = cleanup_cache


def _dataset_path(url: Any) -> str:
    """bucket/key for s3://, which pyarrow's S3FileSystem wants; petastorm asks s3fs, whose botocore pin fights boto3's."""
    return url.path if url.scheme in ("", "file", "hdfs") else url.netloc + url.path


_dropped_names()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # distutils and pkg_resources, at import
    petastorm_reader: Any = importlib.import_module("petastorm.reader")
    arrow_reader_worker: Any = importlib.import_module("petastorm.arrow_reader_worker")
    dataset_metadata: Any = importlib.import_module("petastorm.etl.dataset_metadata")
    thread_pool: Any = importlib.import_module("petastorm.workers_pool.thread_pool")
    _fs_utils: Any = importlib.import_module("petastorm.fs_utils")
    _others = [importlib.import_module(f"petastorm.{name}") for name in ("py_dict_reader_worker", "etl.rowgroup_indexing")]

_old_parquet = types.SimpleNamespace(
    ParquetFile=parquet.ParquetFile, ParquetSchema=parquet.ParquetSchema, read_metadata=parquet.read_metadata,
    ParquetDataset=_Dataset, ParquetDatasetPiece=_Piece,
)  # fmt: skip
for _module in (petastorm_reader, arrow_reader_worker, dataset_metadata, *_others):
    _module.pq = _old_parquet
arrow_reader_worker.ParquetFile = lambda path: path  # the second opening of each row group: see _Files.open
dataset_metadata._split_piece = _split_piece
_fs_utils.get_dataset_path = dataset_metadata.get_dataset_path = _dataset_path
_deliver_every_row()
_leave_quietly()

make_batch_reader: Any = petastorm_reader.make_batch_reader  # the public face, for who wants it whole (and for the stress test)
