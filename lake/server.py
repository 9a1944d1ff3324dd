"""The embedded S3 server for whoever has no bucket: S3Proxy on the JVM that Spark needs anyway, with its data in `.lake/s3`.

Commands share it: each holds a shared lock on the file `users` while it is at work, and the last one to leave ends the server, unless it was
asked for outright (`lake up`). The system frees the lock of a killed process, so that nobody is counted who is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from filelock import FileLock

from lake.errors import SettingsWrong, StoreUnreachable
from lake.settings import Settings

BUCKET = "lake"
START_SECONDS = 60.0  # 2.4 s on an idle machine; 15 s were seen with both cores taken


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server: where it listens, and with which keys."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    pid: int
    started: bool  # by this very call


def up(settings: Settings) -> Server:
    """Start the embedded server, or find it running, and keep it until `down`; its port, keys and bucket are made when they are not there.

    Raises:
        SettingsWrong: the server's jar or Java is not there.
        StoreUnreachable: the server did not answer in time; the end of its log is in the message.
    """
    folder = _folder(settings)
    with FileLock(folder / "lock"):
        server = _up(settings, folder)
        _note(folder, server.pid, kept=True)
        return server


def down(settings: Settings) -> bool:
    """End the embedded server that this folder of state started, whoever uses it; False when none ran."""
    folder = _folder(settings)
    with FileLock(folder / "lock"):
        return _end(folder)


@contextlib.contextmanager
def running(settings: Settings) -> Generator[Server]:
    """The embedded server for the length of a block: whoever leaves last ends it, unless `up` asked for it outright."""
    folder = _folder(settings)
    with open(folder / "users", "ab") as users:
        with FileLock(folder / "lock"):
            server = _up(settings, folder)
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield server
        finally:
            with FileLock(folder / "lock"):
                fcntl.flock(users, fcntl.LOCK_UN)  # also of a child that was forked meanwhile and has the same open file
                if not _kept(folder) and not _used(folder):
                    _end(folder)


def credentials(settings: Settings) -> tuple[str, str, str]:
    """Endpoint, access key and secret key of the embedded server, as its first start wrote them.

    Raises:
        StoreUnreachable: it was never started.
    """
    keys = _read(settings.state / "s3")
    if keys is None:
        raise StoreUnreachable(
            f"{settings.root} is on the embedded S3 server, which has never been started here ({settings.state / 's3'})",
            next_step="lake up     (or set LAKE_ROOT to a folder, or LAKE_ENDPOINT, LAKE_ACCESS_KEY and LAKE_SECRET_KEY)",
        )
    return keys["endpoint"], keys["access_key"], keys["secret_key"]


def _up(settings: Settings, folder: Path) -> Server:
    """The server, found or started; the caller holds the folder's lock."""
    pid = _running(folder)
    if pid is not None:
        keys = _read(folder)
        # Both cores taken, a whole collection of garbage, a laptop that slept: slow is not dead, and others may be in the middle of a commit.
        if keys is not None and _answers(folder, keys):
            return Server(keys["endpoint"], keys["access_key"], keys["secret_key"], pid, started=False)
        if _used(folder) and _running(folder) is not None:
            raise StoreUnreachable(
                f"the embedded S3 server (process {pid}) lives and others use it, but it did not answer within {START_SECONDS:.0f} s",
                next_step=f"look at {folder / 'server.log'} and try again, or end it under the others: lake down",
            )
        _end(folder)
    keys = _keys(folder)
    process = _start(settings, folder, keys)
    _wait_until_healthy(process, folder, keys)
    return Server(keys["endpoint"], keys["access_key"], keys["secret_key"], process.pid, started=True)


def _answers(folder: Path, keys: dict[str, str]) -> bool:
    """Whether a server that lives answers within the time that a start has."""
    end = time.monotonic() + START_SECONDS
    while not _healthy(keys):
        if time.monotonic() > end or _running(folder) is None:
            return False
        time.sleep(0.5)
    return True


def _used(folder: Path) -> bool:
    """Whether any living process is at work with the server."""
    with open(folder / "users", "ab") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _folder(settings: Settings) -> Path:
    folder = settings.state / "s3"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    return folder


def _read(folder: Path) -> dict[str, str] | None:
    try:
        return json.loads((folder / "credentials.json").read_text())
    except FileNotFoundError:
        return None


def _keys(folder: Path) -> dict[str, str]:
    """The keys of the first start, and a port that is free now: the old one if it still is, so that old sessions find it again."""
    keys = _read(folder) or {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
    old = keys.get("endpoint", "").rpartition(":")[2]
    keys["endpoint"] = f"http://127.0.0.1:{_free_port(int(old) if old else 0)}"
    _write_privately(folder / "credentials.json", json.dumps(keys, indent=1))
    return keys


def _free_port(wanted: int) -> int:
    # A killed JVM's threads hold its port a little longer than its pid: the old port gets a second to come free.
    for port in (wanted,) * 10 * bool(wanted) + (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                time.sleep(0.1)
                continue
            return int(probe.getsockname()[1])
    raise StoreUnreachable("no port of 127.0.0.1 is free for the embedded S3 server", next_step="end some local servers and try again")


def _write_privately(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    beside.replace(path)


def _start(settings: Settings, folder: Path, keys: dict[str, str]) -> subprocess.Popen[bytes]:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not Path(java).exists():
        raise SettingsWrong(
            "the embedded S3 server needs Java 17 or newer, and there is none", next_step="make set-up    (it prints the line that installs Java)"
        )
    place = settings.installed("jars/server")
    jars = sorted(place.glob("s3proxy-*.jar"))
    if not jars:
        raise SettingsWrong(f"there is no s3proxy jar in {place}", next_step="make set-up")
    # The keys go by a file of mode 600: an argument would show in the process list.
    properties = {
        "s3proxy.endpoint": keys["endpoint"],
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": keys["access_key"],
        "s3proxy.credential": keys["secret_key"],
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(folder / "data"),
    }
    _write_privately(folder / "s3proxy.properties", "".join(f"{k}={v}\n" for k, v in properties.items()))
    with open(folder / "server.log", "ab") as log:
        command = [
            java,
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",  # no file of figures in the system's temporary folder
            f"-Djava.io.tmpdir={folder}",
            "-jar",
            str(jars[-1]),
            "--properties",
            str(folder / "s3proxy.properties"),
        ]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=folder)
    _note(folder, process.pid, kept=False)
    return process


def _note(folder: Path, pid: int, *, kept: bool) -> None:
    """Write down which process the server is, and whether it stays when its last user leaves."""
    _write_privately(folder / "pid", json.dumps({"pid": pid, "born": _born(pid), "kept": kept}))


def _kept(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "pid").read_text()).get("kept", True))
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def _wait_until_healthy(process: subprocess.Popen[bytes], folder: Path, keys: dict[str, str]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        if _healthy(keys):
            return
        time.sleep(0.1)
    _end(folder)
    tail = (folder / "server.log").read_text(errors="replace")[-1500:]
    raise StoreUnreachable(
        f"the embedded S3 server did not answer at {keys['endpoint']} within {START_SECONDS:.0f} s; the end of its log:\n{tail}",
        next_step="mend what the log says, then: lake up",
    )


def _healthy(keys: dict[str, str]) -> bool:
    """Whether the server answers to these keys; its bucket is there afterwards."""
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex(("127.0.0.1", int(keys["endpoint"].rpartition(":")[2]))):
            return False
    client = boto3.client(
        "s3", endpoint_url=keys["endpoint"], aws_access_key_id=keys["access_key"], aws_secret_access_key=keys["secret_key"], region_name="us-east-1",
        config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )  # fmt: skip
    try:
        if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)
        return True
    except (BotoCoreError, ClientError):
        return False


def _running(folder: Path) -> int | None:
    """The pid of our own live server: the process that the pid file names, and born when it says, since pids are used again."""
    try:
        note = json.loads((folder / "pid").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return note["pid"] if _born(note["pid"]) == note["born"] else None


def _born(pid: int) -> str | None:
    """When a process started, as its system tells it; None when it lives no more (or is a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    seen = subprocess.run(["ps", "-o", "lstart=,state=", "-p", str(pid)], capture_output=True, text=True, check=False)  # macOS: untried
    words = seen.stdout.split()
    return " ".join(words[:-1]) if words and not words[-1].startswith("Z") else None


def _end(folder: Path) -> bool:
    pid = _running(folder)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):  # it may end by itself meanwhile
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 10
            while _running(folder) is not None and time.monotonic() < end:
                time.sleep(0.05)
            if _running(folder) is not None:
                os.kill(pid, signal.SIGKILL)
    (folder / "pid").unlink(missing_ok=True)
    return pid is not None
