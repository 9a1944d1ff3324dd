"""Lake: the things that every run needs, opened once: settings, store, one Spark session, locks, and a voice."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from lake.contract import Source
from lake.errors import Busy, LakeError, SourceMissing
from lake.server import running
from lake.settings import Settings
from lake.store import Store, open_store
from lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass
class Lake(AbstractContextManager["Lake"]):
    """An open lake. Spark starts when a job first asks for it, so that a night with nothing new starts none."""

    settings: Settings
    store: Store
    night: str | None = None
    listener: Callable[[str, str], None] | None = None
    _spark: SparkSession | None = None
    _closing: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def open(cls, *, night: str | None = None) -> Lake:
        """The lake of this environment; the embedded server is started when it is the root and not up, and ended by whoever closes last.

        Raises:
            SettingsWrong, StoreUnreachable: the environment does not lead to a store.
        """
        settings = Settings.load()
        closing = ExitStack()
        try:
            if settings.embedded:
                closing.enter_context(running(settings))
            store = open_store(settings)
            if not settings.single_writer:
                _must_honour_conditions(settings, store)
        except BaseException:
            closing.close()
            raise
        return cls(settings, store, night, _closing=closing)

    def spark(self, meanwhile: Callable[[], object] | None = None) -> SparkSession:
        """The one Spark session of this process. What is to be done `meanwhile` is done while its JVM starts: this process waits for it anyway."""
        if self._spark is None:
            importlib.import_module("pyspark.sql")  # here, so that no two threads import it: its modules import each other
            from lake.session import spark_session

            self.say("lake", "starting Spark")
            with ThreadPoolExecutor(1) as thread:
                starting = thread.submit(spark_session, self.settings, self.store, f"millrace {self.night or 'run'}")
                if meanwhile is not None:
                    meanwhile()
                self._spark = starting.result()
        return self._spark

    def jvm_died(self, error: BaseException) -> bool:
        """Whether an error means that the Spark JVM is gone; the next `spark()` then starts another."""
        names = {type(e).__name__ for e in _chain(error)}
        if not names & {"Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError"}:
            return False
        from lake.session import forget

        forget(self._spark)
        self._spark = None
        return True

    def say(self, about: str, text: str) -> None:
        """A line of progress, with the time of day; one line an event, so that it reads well in a log too."""
        if self.listener:
            self.listener(about, text)
        else:
            print(f"{datetime.now().astimezone():%H:%M:%S}  {about:<26} {text}", flush=True)

    @contextmanager
    def writing(self, what: str) -> Generator[None]:
        """Hold the lock of an address (or of the night) on this machine; the system frees a dead process's.

        Raises:
            Busy: another process holds it.
        """
        folder = self.settings.state / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        name = "".join(c if c.isalnum() else "-" for c in f"{self.store.root} {what}")
        lock = FileLock(folder / f"{name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise Busy(f"another process is writing {what}", next_step="wait until it ends; the lock goes with its process") from None
        try:
            yield
        finally:
            lock.release()

    def version_of(self, address: str) -> int | None:
        """The newest version of an input: a table's, or the number of a model's champion; None when there is none."""
        if address.startswith("models."):
            from lake.models.registry import Registry

            champion = Registry(self.store).champion(address.split(".")[1])
            return champion.version if champion else None
        return Table(address, self.store).version()

    def champion(self, address: str, version: int) -> Any:
        """The model version that a run has pinned."""
        from lake.models.registry import Registry

        return Registry(self.store).version(address.split(".")[1], version)

    def file_uri(self, source: Source | None, path: str) -> str:
        """The URI of a raw file by its path below the source's folder."""
        from lake.sources.files import place_of

        if source is None:
            raise SourceMissing(f"{path} belongs to no source", next_step="see schemas/raw/")
        return place_of(self.store, source).key_uri(path)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._spark is not None:
                self._spark.stop()
        finally:  # a JVM that died must not leave the embedded server running
            self._spark = None
            self._closing.close()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _must_honour_conditions(settings: Settings, store: Store) -> None:
    """Find out once per store whether it refuses a second conditional PUT; remember it beside the other local state."""
    if not store.on_s3:
        return
    mark = settings.state / "conditions" / "".join(c if c.isalnum() else "-" for c in f"{store.endpoint} {store.bucket}")
    if mark.exists():
        return
    if not store.honours_conditions():
        raise LakeError(
            f"{store.root} does not honour If-None-Match: two drivers would lose each other's commits",
            next_step="use a store that does (AWS S3, S3Proxy, versitygw ...), or, with one driver only: export LAKE_SINGLE_WRITER=1",
        )
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
