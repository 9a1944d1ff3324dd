"""Where chaos happens: an S3 server of its own, lakes in it (or in folders), copied on the disk, and real `lake` processes, killed by their ids."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from deltalake import DeltaTable
from pydantic import SecretStr

from lake import ops
from lake import server as s3_server
from lake.columns.keys import make_key
from lake.report.rejects import counted
from lake.settings import Settings
from lake.store import Store, open_store
from lake.table import Table
from tests.chaos.project import GRAINS, ORDER, Row, text, told, write

CHECKOUT = Path(__file__).resolve().parents[2]
Whom = Literal["all", "driver", "jvm", "worker"]
NIGHT_SECONDS = 400.0  # a night takes 20 to 50 s; one that takes longer hangs, and is told as such


@dataclass(frozen=True)
class Seen:
    """What a lake holds: rows of each table with how often each is there; its books apart."""

    rows: Mapping[str, Counter[str]]
    books: Mapping[str, Counter[str]]
    wrong: tuple[str, ...]  # what the books say that can't be

    @property
    def count(self) -> int:
        """Rows of all tables and books."""
        return sum(c.total() for c in (*self.rows.values(), *self.books.values()))


@dataclass(frozen=True)
class Difference:
    """What a lake has lost and doubled (or holds beside what it should), against another."""

    expected: int
    lost: int
    doubled: int
    told: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Nothing is lost, nothing doubled, and the books are whole."""
        return not self.told


@dataclass
class Command:
    """A `lake` command at work."""

    pid: int
    out: Path
    began: float
    gone: threading.Event = field(default_factory=threading.Event)
    code: int | None = None

    def said(self) -> str:
        """What it has printed so far."""
        return self.out.read_text(errors="replace") if self.out.exists() else ""

    def wait(self, seconds: float = NIGHT_SECONDS) -> int:
        """Its exit code; 124 when it had to be ended for its time."""
        if not self.gone.wait(seconds):
            kill(self, "all")
            self.gone.wait(30)
            return 124
        return self.code if self.code is not None else 1

    def holds(self, point: str = "", seconds: float = NIGHT_SECONDS, count: int = 1) -> bool:
        """Whether it came to a point (the count-th hold): false when it ended before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lines = [x for x in self.said().splitlines() if x.startswith(f"holding at {point}")]
            if len(lines) >= count:
                return True
            if self.gone.is_set():
                return False
            time.sleep(0.03)
        return False


def difference(found: Seen, expected: Seen, *, ledger: bool = True) -> Difference:
    """What is lost and what is there beside, in every table and (with the `ledger`) in the books."""
    lost = doubled = 0
    told = list(found.wrong)
    for what, rows in {**expected.rows, **(expected.books if ledger else {})}.items():
        has = found.rows.get(what, found.books.get(what, Counter()))
        missing, more = rows - has, has - rows
        lost, doubled = lost + missing.total(), doubled + more.total()
        told += [f"{what} lost {n} x {row[:300]}" for row, n in list(missing.items())[:3]]
        told += [f"{what} has beside {n} x {row[:300]}" for row, n in list(more.items())[:3]]
    return Difference(expected.count, lost, doubled, tuple(told))


def descendants(pid: int) -> list[tuple[int, str]]:
    """Processes below one, with their command lines: its JVM, Spark's Python daemon and workers."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, left = list[tuple[int, str]](), [pid]
    while left:
        for child in children.get(left.pop(), []):
            left.append(child)
            with contextlib.suppress(OSError):
                found.append((child, Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")))
    return found


def kill(command: Command, whom: Whom) -> bool:
    """Kill -9 of a command and all below it (a machine that died), of its Python or JVM alone, or of a worker; false when there is none."""
    below = descendants(command.pid)
    java = [pid for pid, words in below if "java" in words.split(" ", 1)[0]]
    # Spark's daemon forks its workers: they have the daemon's command line, and the daemon as their parent.
    daemons = [pid for pid, words in below if "pyspark.daemon" in words]
    workers = [pid for daemon in daemons for pid, _ in descendants(daemon)] or daemons
    chosen = {"all": [command.pid, *[pid for pid, _ in below]], "driver": [command.pid], "jvm": java, "worker": workers[-1:]}[whom]
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(chosen)


class Zygote:
    """The process that forks the commands (tests/chaos/zygote.py)."""

    def __init__(self, env: Mapping[str, str]) -> None:
        words = [sys.executable, "-m", "tests.chaos.zygote"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(env), cwd=CHECKOUT)
        self.living: dict[int, Command] = {}
        self.pids: queue.Queue[int] = queue.Queue()
        self.lock = threading.Lock()
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if "ready" in said:
                self.ready.set()
            elif "pid" in said:
                self.pids.put(said["pid"])
            else:
                while said["ended"] not in self.living:  # it ended before `start` had written it down
                    time.sleep(0.01)
                command = self.living.pop(said["ended"])
                command.code = said["code"]
                command.gone.set()

    def start(self, args: list[str], env: Mapping[str, str], out: Path) -> Command:
        """Fork a command."""
        assert self.process.stdin is not None
        if not self.ready.wait(180):
            raise RuntimeError(f"the process that forks commands never came up (exit code {self.process.poll()})")
        with self.lock:
            self.process.stdin.write(json.dumps({"args": args, "env": dict(env), "out": str(out)}) + "\n")
            self.process.stdin.flush()
            command = Command(self.pids.get(timeout=60), out, time.monotonic())
            self.living[command.pid] = command
        return command

    def end(self) -> None:
        """End it, and whatever command is left."""
        for command in list(self.living.values()):
            kill(command, "all")
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(5)
        self.process.stdout.close()


@dataclass(frozen=True)
class Place:
    """A folder with a project, a state folder with an S3 server, and the process that forks commands."""

    folder: Path
    settings: Settings
    zygote: Zygote
    env: Mapping[str, str]
    on_s3: bool = True

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path, home: Path | None = None) -> Iterator[Place]:
        """The place, for the length of a block; with a state folder of its own, or with one whose server is up and stays."""
        write(folder / "project")
        own = home is None
        home = home or folder / "home"
        if own:
            make_key(home / "keys" / "pii")
        settings = Settings(home=home)  # pyright: ignore[reportCallIssue]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LAKE_", "AWS_"))}
        env |= {"LAKE_HOME": str(home), "LAKE_PROJECT": str(folder / "project"), "LAKE_MASTER": "local[1]", "LAKE_DRIVER_MEMORY": "1g", "TZ": "UTC",
                "PYTHONHASHSEED": "0", "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder / "spark"),
                # What a JVM has to say of an older archive goes to stderr: stdout is read.
                "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Xlog:disable -Xlog:all=warning:stderr"}  # fmt: skip
        # A start and a first write took 6.5 s with archived classes and 13.1 s without, on two cores.
        classes = CHECKOUT / ".lake" / "chaos" / "classes.jsa"
        if classes.exists():
            env |= _conf(folder / "conf", f"-XX:SharedArchiveFile={classes}")
        else:
            env |= _conf(folder / "conf", "")
        zygote = Zygote(env)
        try:
            if own:
                s3_server.up(settings)
            yield cls(folder, settings, zygote, env)
        finally:
            zygote.end()
            if own:
                s3_server.down(settings)

    def in_folders(self, folder: Path | None = None) -> Place:
        """The same with its lakes in folders instead of the bucket."""
        return Place(folder or self.folder, self.settings, self.zygote, self.env, on_s3=False)

    # -- lakes -----------------------------------------------------------------------------------------------------

    def root(self, name: str) -> str:
        """Where a lake is, as LAKE_ROOT says it."""
        return f"s3a://lake/{name}" if self.on_s3 else str(self.disk(name))

    def disk(self, name: str) -> Path:
        """The folder that holds a lake's bytes; of one in the bucket, the server's."""
        return (self.settings.state / "s3" / "data" / "lake" if self.on_s3 else self.folder / "roots") / name

    def store(self, name: str, endpoint: str | None = None) -> Store:
        """A lake's store, through another endpoint if one is given."""
        if not self.on_s3:
            return Store(self.root(name))
        there, access, secret = s3_server.credentials(self.settings)
        given: dict[str, Any] = {"access_key": SecretStr(access), "secret_key": SecretStr(secret), "endpoint": endpoint or there}
        return open_store(Settings(root=self.root(name), home=self.settings.state, **given))

    def copy(self, name: str, to: str) -> str:
        """A copy of a lake: its tables name their files by relative paths. Copied on the disk, with the server's marks."""
        shutil.copytree(self.disk(name), self.disk(to), symlinks=True)
        return to

    def remove(self, name: str) -> None:
        """Remove a lake."""
        shutil.rmtree(self.disk(name), ignore_errors=True)

    def land(self, name: str, files: Mapping[str, list[Row]]) -> None:
        """Write raw files, over others of their names."""
        for file, rows in files.items():
            if self.on_s3:
                self.store(name).put(f"raw/readings/{file}", text(rows))
            else:
                path = self.disk(name) / "raw" / "readings" / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text(rows))

    # -- commands --------------------------------------------------------------------------------------------------

    def start(self, name: str, *args: str, endpoint: str | None = None, **more: str) -> Command:
        """Start `lake ARGS` on a lake."""
        env = {**self.env, "LAKE_ROOT": self.root(name), **more}
        if self.on_s3:  # not the embedded server's settings: its end is ours to choose
            there, access, secret = s3_server.credentials(self.settings)
            env |= {"LAKE_ENDPOINT": endpoint or there, "LAKE_ACCESS_KEY": access, "LAKE_SECRET_KEY": secret}
        logs = self.settings.state / "logs"
        logs.mkdir(exist_ok=True)
        return self.zygote.start(list(args), env, logs / f"{name}-{time.monotonic_ns()}.log")

    def night(self, name: str, **more: str) -> Command:
        """Run a night to its end."""
        command = self.start(name, "nightly", **more)
        command.wait()
        return command

    def archiving_night(self, name: str) -> Command:
        """A night whose JVM archives its classes as it ends, for every later start of a JVM in this checkout; a plain one when that is done."""
        classes = CHECKOUT / ".lake" / "chaos" / "classes.jsa"
        if classes.exists():
            return self.night(name)
        classes.parent.mkdir(parents=True, exist_ok=True)
        part = classes.with_suffix(f".{os.getpid()}.part")
        command = self.start(name, "nightly", **_conf(self.folder / "conf", f"-XX:ArchiveClassesAtExit={part}"))
        jvm = list[int]()
        while not command.gone.wait(0.5):
            jvm = [pid for pid, words in descendants(command.pid) if "ArchiveClassesAtExit" in words] or jvm
        end = time.monotonic() + 120
        while jvm and Path(f"/proc/{jvm[0]}/cmdline").exists() and Path(f"/proc/{jvm[0]}/cmdline").read_bytes() and time.monotonic() < end:
            time.sleep(0.2)
        if part.exists():
            part.replace(classes)
            cast(dict[str, str], self.env).update(_conf(self.folder / "conf", f"-XX:SharedArchiveFile={classes}"))
        return command

    def killed_at(self, name: str, point: str, *args: str, whom: Whom = "all", **more: str) -> Command:
        """Run `lake ARGS` (a night without any) until it holds at a point, and kill -9 it there."""
        command = self.start(name, *(args or ("nightly",)), LAKE_HOLD_AT=point, **more)
        try:
            assert command.holds(point), f"it never came to {point}:\n{command.said()[-4000:]}"
        finally:
            kill(command, whom)
        command.wait(60)
        return command

    def killed_when(self, name: str, true: Callable[[], bool], *args: str, **more: str) -> Command:
        """Run `lake ARGS` (a night without any) until something is true, asked some 300 times a second, and kill -9 it then."""
        command = self.start(name, *(args or ("nightly",)), **more)
        end = time.monotonic() + NIGHT_SECONDS
        while not (met := true()) and not command.gone.is_set() and time.monotonic() < end:
            time.sleep(0.003)
        kill(command, "all")
        command.wait(60)
        assert met, f"it ended before:\n{command.said()[-4000:]}"
        return command

    def brought_to_an_end(self, name: str, tries: int = 4, **more: str) -> list[Command]:
        """Nights until one ends with 0: the first, as a rule; one that meets the rest of a killed driver says so and is run again."""
        nights = list[Command]()
        for _ in range(tries):
            nights.append(self.night(name, **more))
            if nights[-1].code == 0:
                break
        return nights

    # -- what is there ---------------------------------------------------------------------------------------------

    def delta(self, name: str, address: str) -> DeltaTable | None:
        """A table as delta-rs reads it; None when it is not there."""
        store = self.store(name)
        table = Table(address, store)
        return table.delta() if table.exists() else None

    def rows(self, name: str) -> dict[str, Counter[str]]:
        """Every row of every data table, all columns, with how often it is there."""
        return {address: _rows(self.delta(name, address)) for address in ORDER}

    def versions(self, name: str) -> dict[str, int | None]:
        """Versions of the data tables."""
        return {a: table.version() if (table := self.delta(name, a)) else None for a in ORDER}

    def seen(self, name: str) -> Seen:
        """All that a lake holds and says.

        Of the books every column is compared but: run numbers and times (`run`, `at`, `modified`), since an attempt that was given up has
        had a number and a moment of its own; `etag`, which a folder makes of an inode; and where reading could go on if a file
        grew, which only the process knew that read it: without that the file is read as a whole. Checks count as far as their run is published.
        """
        store, wrong = self.store(name), list[str]()
        read = ops.read(store, "files", [("status", "=", "read")])
        own = ("run", "at", "modified", "etag", "open_ordinal", "open_offset")
        files = Counter(str({k: v for k, v in row.items() if k not in own}) for row in read)
        rejects = Counter(str({k: v for k, v in row.items() if k not in ("run", "at")}) for row in counted(store))
        checks: Counter[str] = Counter()
        for address in ORDER:
            events = ops.events(store, address)
            table = Table(address, store)
            standing = ops.standing(events, table.last_run())
            if standing.open is not None:
                wrong.append(f"{address}: run {standing.open.run} is still open")
            ends = Counter(e.run for e in events if e.status in ("published", "restored"))
            wrong += [f"{address}: run {run} is written down as published {n} times" for run, n in ends.items() if n != 1]
            if max(ends, default=0) != table.last_run():
                wrong.append(f"{address}: the books' last run is {max(ends, default=0)}, the table's {table.last_run()}")
            judged = [c for c in ops.read(store, "checks", [("address", "=", address)]) if c["run"] in ends]
            twice = [k for k, n in Counter((c["run"], c["rule"], c["column"]) for c in judged).items() if n > 1]
            wrong += [f"{address}: check {rule} of run {run} is there more than once" for run, rule, _ in twice]
            checks.update({f"{address} runs without any check": sum(run not in {c["run"] for c in judged} for run in ends)})
        return Seen(self.rows(name), {"ops.files": files, "ops.rejects": rejects, "ops.checks": +checks}, tuple(wrong))

    def compared(self, name: str, expected: Seen, *, ledger: bool = True) -> Difference:
        """A lake against what it should hold, row for row; without the `ledger` when a restore has read files once more, as it must."""
        return difference(self.seen(name), expected, ledger=ledger)

    def half(self, name: str, *either: Seen) -> list[str]:
        """Tables that hold neither what they held before nor what they should hold in the end: something half done is visible."""
        return [a for a, rows in self.rows(name).items() if rows not in [seen.rows[a] for seen in either]]


@dataclass(frozen=True)
class Twin:
    """A night that nobody disturbed: what it left, and copies of its lake as it stood before each address. What is broken is a copy of these."""

    name: str
    before: Mapping[str, str]  # address -> lake in which it is the next to run
    first: Seen  # before the night
    last: Seen  # after it
    seconds: float

    @classmethod
    def made(cls, place: Place, seed: int, files: tuple[Mapping[str, list[Row]], Mapping[str, list[Row]]]) -> Twin:
        """Land and run the first night, then the second in steps: it is held after each address, and the lake copied. Found, when it was kept."""
        name = f"twin-{seed}"
        before = {address: f"{name}-before-{n}" for n, address in enumerate(ORDER)}
        mark = place.settings.state / f"{name}-{'bucket' if place.on_s3 else place.folder.name}-seconds"
        if not mark.exists() or not place.disk(name).exists():
            for lake in (name, *before.values()):
                place.remove(lake)
            place.land(name, files[0])
            night = place.archiving_night(name)
            assert night.code == 0, night.said()[-4000:]
            place.land(name, files[1])
            place.copy(name, before[ORDER[0]])
            go_on = place.settings.state / f"go-on-{name}"
            began = time.monotonic()
            command = place.start(name, "nightly", LAKE_HOLD_AT=",".join(f"published:{a}" for a in ORDER[:-1]), LAKE_HOLD_UNTIL=str(go_on))
            for done, address in itertools.pairwise(ORDER):
                assert command.holds(f"published:{done}"), command.said()[-4000:]
                place.copy(name, before[address])
                go_on.touch()
            assert command.wait() == 0, command.said()[-4000:]
            mark.write_text(str(time.monotonic() - began))
        first, last = place.seen(before[ORDER[0]]), place.seen(name)
        assert not (first.wrong or last.wrong), (first.wrong, last.wrong)
        for seen, landed in ((first, files[0]), (last, {**files[0], **files[1]})):
            assert sums(seen.rows) == told(landed).rows, (sums(seen.rows), told(landed).rows)
        return cls(name, before, first, last, float(mark.read_text()))


def staged_file(place: Place, name: str, address: str) -> Callable[[], bool]:
    """Whether a data file of a table is there that was not when this was asked for: its run is in the middle of writing."""
    folder = place.disk(name) / address.replace(".", "/")

    def files() -> set[Path]:
        return {p for p in folder.rglob("*.parquet") if not {"_delta_log", "_change_data"} & {*p.parts}} if folder.exists() else set()

    known = files()
    return lambda: bool(files() - known)


def sums(rows: Mapping[str, Counter[str]]) -> dict[str, int]:
    """Rows of each table."""
    return {address: rows[address].total() for address in GRAINS}


def _rows(table: DeltaTable | None) -> Counter[str]:
    return Counter(str(sorted(row.items())) for row in table.to_pyarrow_table().to_pylist()) if table is not None else Counter()


def _conf(folder: Path, java: str) -> dict[str, str]:
    """The environment that gives Spark set-up's configuration, with options for its JVM.

    Small queries are interpreted (compiling their code is a third of such a night), and jars stand on the class path: only classes from there can be
    archived. The archive wants every folder on that path empty, so the configuration comes as a file and SPARK_CONF_DIR is empty.
    """
    installed, empty = CHECKOUT / ".lake" / "conf", folder / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    lines = list[str]()
    for line in (installed / "spark-defaults.conf").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "spark.jars":
            line = f"spark.driver.extraClassPath {value.strip().replace(',', ':')}"
        if name == "spark.driver.extraJavaOptions":
            line += f" -Dlog4j2.configurationFile=file:{installed / 'log4j2.properties'} {java}"
        lines.append(line)
    file = folder / f"spark{len(list(folder.iterdir()))}.conf"
    file.write_text("\n".join([*lines, "spark.sql.codegen.factoryMode NO_CODEGEN", ""]))
    return {"SPARK_CONF_DIR": str(empty), "PYSPARK_SUBMIT_ARGS": f"--properties-file {file} pyspark-shell"}


def dice(seed: int, *about: object) -> random.Random:
    """A random generator of a case's own: the same whichever cases run before it."""
    return random.Random(f"{seed} {about}")
