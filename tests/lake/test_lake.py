"""Lake: what every run needs, opened once and closed whatever happens; one writer an address."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake import session
from lake.contract import Source
from lake.errors import Busy, LakeError, SourceMissing
from lake.lake import Lake
from lake.server import Server
from lake.settings import Settings
from lake.store import Store

HOLDER = """
import sys
from lake.lake import Lake
with Lake.open() as lake, lake.writing("silver.texts"):
    print("held", flush=True)
    sys.stdin.read()
"""


class Spark:
    """A session whose JVM has gone: it can't even be stopped."""

    def stop(self) -> None:
        raise ConnectionRefusedError


def quiet(folder: Path) -> Lake:
    """A lake in a folder, without a voice."""
    settings = Settings(root=str(folder / "root"), home=folder / "state")  # pyright: ignore[reportCallIssue]
    return Lake(settings, Store(settings.root), listener=lambda *_: None)


def test_a_lake_opens_where_the_environment_says(lake_env: Settings) -> None:
    with Lake.open(night="tonight") as lake:
        lake.store.put("raw/a", b"1")
        assert lake.store.get("raw/a") == b"1"
        assert (lake.store.root, lake.night) == (lake_env.root, "tonight")


def test_a_second_writer_is_refused_until_the_first_has_ended(lake_env: Settings) -> None:
    with Lake.open() as one, Lake.open() as other:
        with (
            one.writing("silver.texts"),
            other.writing("gold.daily"),
            pytest.raises(Busy, match=r"another process is writing silver\.texts"),
            other.writing("silver.texts"),
        ):
            pass
        with pytest.raises(ValueError, match="broke"), one.writing("silver.texts"):
            raise ValueError("broke")
        with other.writing("silver.texts"):
            pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    lake = quiet(tmp_path)
    env = os.environ | {"LAKE_ROOT": lake.store.root, "LAKE_HOME": str(lake.settings.state)}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(Busy), lake.writing("silver.texts"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with lake.writing("silver.texts"):
        pass


ADDRESSES = st.from_regex(r"(bronze|silver|gold)\.[a-z][a-z0-9_]{0,9}", fullmatch=True)


@settings(deadline=None, max_examples=50)
@given(first=ADDRESSES, second=ADDRESSES)
def test_two_addresses_never_share_a_lock(tmp_path_factory: pytest.TempPathFactory, first: str, second: str) -> None:
    lake = quiet(tmp_path_factory.getbasetemp() / "locks")
    with lake.writing(first):
        if first == second:
            with pytest.raises(Busy), lake.writing(second):
                pass
        else:
            with lake.writing(second):
                pass


def test_a_store_that_overwrites_is_for_one_driver_only(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Store] = []
    monkeypatch.setattr(Store, "honours_conditions", lambda self: bool(asked.append(self)))
    for name, value in {
        "ROOT": "s3a://lake",
        "HOME": str(tmp_path),
        "ENDPOINT": server.endpoint,
        "ACCESS_KEY": server.access_key,
        "SECRET_KEY": server.secret_key,
    }.items():
        monkeypatch.setenv(f"LAKE_{name}", value)
    for _ in range(2):
        with pytest.raises(LakeError, match="does not honour If-None-Match") as caught:
            Lake.open()
    assert "LAKE_SINGLE_WRITER=1" in caught.value.next_step
    assert len(asked) == 2  # a refusal is not remembered: the store may be mended
    monkeypatch.setenv("LAKE_SINGLE_WRITER", "1")
    Lake.open().__exit__(None, None, None)
    assert len(asked) == 2


def test_a_store_that_keeps_conditions_is_asked_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Store] = []
    monkeypatch.setattr(Store, "honours_conditions", lambda self: asked.append(self) is None)
    for name, value in {
        "ROOT": "s3a://lake",
        "HOME": str(tmp_path),
        "ENDPOINT": server.endpoint,
        "ACCESS_KEY": server.access_key,
        "SECRET_KEY": server.secret_key,
    }.items():
        monkeypatch.setenv(f"LAKE_{name}", value)
    for _ in range(2):
        Lake.open().__exit__(None, None, None)
    assert len(asked) == 1


def test_what_was_opened_is_closed_even_when_spark_has_died(tmp_path: Path) -> None:
    lake, closed = quiet(tmp_path), list[str]()
    lake._spark, _ = Spark(), lake._closing.callback(closed.append, "server")
    with pytest.raises(ConnectionRefusedError), lake:
        pass
    assert (closed, lake._spark) == (["server"], None)


def caused_by(cause: Exception) -> Exception:
    error = RuntimeError("a job's own")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "died"),
    [
        (ConnectionRefusedError(), True),
        (caused_by(caused_by(ConnectionResetError())), True),
        (type("Py4JNetworkError", (Exception,), {})(), True),
        (ValueError("wrong"), False),
        (caused_by(TimeoutError()), False),
    ],
)
def test_a_dead_jvm_is_told_from_a_failed_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, died: bool) -> None:
    forgotten: list[Any] = []
    monkeypatch.setattr(session, "forget", forgotten.append)
    lake = quiet(tmp_path)
    lake._spark = spark = Spark()
    assert lake.jvm_died(error) is died
    assert forgotten == ([spark] if died else [])
    assert (lake._spark is None) is died  # the next spark() starts another


def test_a_voice_says_one_line_an_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[str, str]] = []
    lake = quiet(tmp_path)
    lake.listener = lambda about, text: heard.append((about, text))
    lake.say("silver.texts", "published")
    lake.listener = None
    lake.say("silver.texts", "published")
    assert heard == [("silver.texts", "published")]
    time, about, text = capsys.readouterr().out.split()
    assert (len(time.split(":")), about, text) == (3, "silver.texts", "published")


def test_an_input_that_is_not_there_has_no_version(store: Store, lake_env: Settings) -> None:
    lake = Lake(lake_env, store)
    assert (lake.version_of("silver.texts"), lake.version_of("models.intent")) == (None, None)


def test_a_raw_file_has_its_address_in_the_store(tmp_path: Path) -> None:
    lake = quiet(tmp_path)
    inside, outside = Source("raw.a", "a", "raw/logs/**", "lines", {}, ()), Source("raw.b", "b", "/mnt/logs/*.log", "lines", {}, ())
    assert lake.file_uri(inside, "x/y.log") == f"{lake.store.root}/raw/logs/x/y.log"
    assert lake.file_uri(outside, "y.log") == "/mnt/logs/y.log"
    with pytest.raises(SourceMissing, match="belongs to no source"):
        lake.file_uri(None, "y.log")
