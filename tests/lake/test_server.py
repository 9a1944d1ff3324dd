"""The embedded server: it starts once, keeps its keys to itself, and ends only what it started."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake import server as s3_server
from lake.errors import SettingsWrong, StoreUnreachable
from lake.settings import Settings
from lake.store import open_store


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    here = Settings(home=tmp_path)  # pyright: ignore[reportCallIssue]
    yield here
    s3_server.down(here)


def test_up_twice_is_one_server(settings: Settings) -> None:
    first = s3_server.up(settings)
    second = s3_server.up(settings)
    assert (first.started, second.started) == (True, False)
    assert (first.pid, first.endpoint) == (second.pid, second.endpoint)
    open_store(settings).put("a", b"1")
    assert s3_server.down(settings)
    assert not s3_server.down(settings)
    with pytest.raises(StoreUnreachable, match="lake up"):
        open_store(settings).get("a")


def test_data_and_keys_outlive_the_server(settings: Settings) -> None:
    """Also a kill -9: what was acknowledged is there, with the same keys and, since it is free, at the same port."""
    first = s3_server.up(settings)
    open_store(settings).put("a", b"1")
    os.kill(first.pid, signal.SIGKILL)
    again = s3_server.up(settings)
    assert again.started and again.pid != first.pid
    assert (again.endpoint, again.access_key, again.secret_key) == (first.endpoint, first.access_key, first.secret_key)
    assert open_store(settings).get("a") == b"1"


def test_a_taken_port_is_no_error(settings: Settings) -> None:
    first = s3_server.up(settings)
    s3_server.down(settings)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", int(first.endpoint.rpartition(":")[2])))
        squatter.listen()
        second = s3_server.up(settings)
    assert second.endpoint != first.endpoint
    assert open_store(settings).endpoint == second.endpoint


def test_keys_are_ours_alone(settings: Settings) -> None:
    running = s3_server.up(settings)
    for name in ("credentials.json", "s3proxy.properties"):
        assert stat.S_IMODE((settings.state / "s3" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((settings.state / "s3").stat().st_mode) == 0o700
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(running.pid)], capture_output=True, text=True, check=True).stdout
    assert "s3proxy" in shown and running.secret_key not in shown
    assert running.secret_key not in (settings.state / "s3" / "server.log").read_text()


def test_a_stale_pid_is_not_ended(settings: Settings) -> None:
    """The pid of the file belongs to another process by now: it is left alone."""
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        folder = settings.state / "s3"
        folder.mkdir()
        (folder / "pid").write_text(json.dumps({"pid": bystander.pid, "born": "1"}))
        assert not s3_server.down(settings)
        (folder / "pid").write_text(json.dumps({"pid": bystander.pid, "born": "1"}))
        assert s3_server.up(settings).pid != bystander.pid
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_half_a_pid_file_is_no_obstacle(settings: Settings) -> None:
    (settings.state / "s3").mkdir()
    (settings.state / "s3" / "pid").write_text('{"pid": 12')
    assert s3_server.up(settings).started


def test_racing_starts_are_one_server(settings: Settings) -> None:
    code = "from lake import server; from lake.settings import Settings; print(server.up(Settings.load()).pid)"
    env = os.environ | {"LAKE_HOME": str(settings.state)}
    starts = [subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {start.communicate(timeout=120)[0].strip() for start in starts}
    assert len(pids) == 1 and pids != {""}


USER = """
import sys
from lake import server
from lake.settings import Settings
with server.running(Settings.load()) as up:
    print(up.pid, flush=True)
    sys.stdin.readline()
"""


class Command:
    """A `lake` command in a process of its own: at work with the server until it is told to end."""

    def __init__(self, settings: Settings) -> None:
        env = os.environ | {"LAKE_HOME": str(settings.state)}
        self.process = subprocess.Popen([sys.executable, "-c", USER], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.server = int(self.process.stdout.readline())

    def ends(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0

    def is_killed(self) -> None:
        self.process.kill()
        self.process.communicate()


def alive(settings: Settings) -> bool:
    return s3_server._running(settings.state / "s3") is not None


def test_a_short_command_leaves_the_server_to_the_night_that_found_it(settings: Settings) -> None:
    """`lake sql` starts it at 02:14, the night of 02:15 finds it running, and `sql` ends first."""
    sql = Command(settings)
    night = Command(settings)
    assert sql.server == night.server
    sql.ends()
    assert alive(settings)
    open_store(settings).put("a", b"1")
    night.ends()
    assert not alive(settings)


def test_a_night_leaves_the_server_to_the_command_that_found_it(settings: Settings) -> None:
    night = Command(settings)
    sql = Command(settings)
    night.ends()
    assert alive(settings)
    open_store(settings).put("a", b"1")
    sql.ends()
    assert not alive(settings)


def test_a_killed_user_is_not_counted(settings: Settings) -> None:
    killed = Command(settings)
    last = Command(settings)
    killed.is_killed()
    last.ends()
    assert not alive(settings)


def test_a_server_that_lost_all_its_users_ends_with_the_next(settings: Settings) -> None:
    Command(settings).is_killed()
    assert alive(settings)
    Command(settings).ends()
    assert not alive(settings)


@pytest.mark.parametrize("first", ["up", "command"])
def test_what_was_asked_for_outright_stays_until_down(settings: Settings, first: str) -> None:
    if first == "up":
        s3_server.up(settings)
    command = Command(settings)
    s3_server.up(settings)
    command.ends()
    assert alive(settings)
    assert s3_server.down(settings)


def test_the_block_ends_what_it_started(settings: Settings) -> None:
    with s3_server.running(settings) as outer:
        with s3_server.running(settings) as inner:
            assert inner.pid == outer.pid
        open_store(settings).put("a", b"1")  # the inner block was not the last
    time.sleep(0.1)
    assert not s3_server.down(settings)


def test_a_slow_server_is_waited_for(settings: Settings) -> None:
    """For 12 s no byte comes back, as under a full load: longer than one question waits, and yet nobody ends it."""
    first = s3_server.up(settings)
    os.kill(first.pid, signal.SIGSTOP)
    awake = subprocess.Popen(["sh", "-c", f"sleep 12; kill -CONT {first.pid}"])
    try:
        assert s3_server.up(settings).pid == first.pid
    finally:
        awake.wait()


def test_a_server_that_hangs_is_replaced_only_when_nobody_is_at_work_with_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Command(settings)
    monkeypatch.setattr(s3_server, "START_SECONDS", 1)
    monkeypatch.setattr(s3_server, "_healthy", lambda keys: False)
    with pytest.raises(StoreUnreachable, match="others use it") as caught:
        s3_server.up(settings)
    assert "lake down" in caught.value.next_step
    assert alive(settings)
    night.is_killed()
    monkeypatch.undo()
    monkeypatch.setattr(s3_server, "_answers", lambda folder, keys: False)
    assert s3_server.up(settings).pid != night.server


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "jars" / "server").mkdir(parents=True)
    (tmp_path / "jars" / "server" / "s3proxy-0.jar").write_text("no jar")
    with pytest.raises(StoreUnreachable, match="Invalid or corrupt jarfile"):
        s3_server.up(Settings(home=tmp_path))  # pyright: ignore[reportCallIssue]


def test_no_jar_says_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path / "project"))
    monkeypatch.setattr("lake.settings.CHECKOUT", tmp_path / "checkout")
    with pytest.raises(SettingsWrong, match="make set-up"):
        s3_server.up(Settings(home=tmp_path))  # pyright: ignore[reportCallIssue]
