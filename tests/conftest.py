"""What the suite shares: a real S3 server, a fresh root in a bucket and in a folder, and one Spark."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake import server as s3_server
from lake.columns.keys import make_key
from lake.server import Server
from lake.settings import Settings
from lake.store import Store, open_store

PROJECT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay in one process, for they share what it has made; the flows that begin with the first night share that one."""
    for item in items:
        first_night = item.path.parent.name == "flows" and item.path.stem in ("test_night", "test_submit")
        item.add_marker(pytest.mark.xdist_group("first night" if first_night else item.path.relative_to(PROJECT).as_posix()))


@pytest.fixture(scope="session", autouse=True)
def no_surroundings() -> Iterator[None]:
    """No LAKE_* of the one who runs the suite reaches a test, but the samples and the models; Spark finds set-up's configuration."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("LAKE_", "AWS_"))}
    for name in kept.keys() - {"LAKE_SAMPLES", "LAKE_MODELS"}:
        del os.environ[name]
    os.environ["LAKE_PROJECT"] = str(PROJECT)
    os.environ.setdefault("SPARK_CONF_DIR", str(PROJECT / ".lake" / "conf"))
    os.environ["TZ"] = "UTC"
    # The JVMs of a suite live for minutes, on little data: without the second compiler ten small commits took 19 s of CPU in place of 32,
    # and with the plain collector a start, a small write and a read took 16.4 s in place of 18.6 (2 cores, medians of 3).
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session")
def store_home(tmp_path_factory: pytest.TempPathFactory, no_surroundings: None) -> Path:
    """A LAKE_HOME of the suite's own, with a key of its own; jars are found in the project's .lake."""
    home = tmp_path_factory.mktemp("home")
    make_key(home / "keys" / "pii")
    return home


@pytest.fixture(scope="session")
def server(store_home: Path) -> Iterator[Server]:
    """A real S3Proxy on a free port, with its data in the suite's own home."""
    settings = Settings(home=store_home)  # pyright: ignore[reportCallIssue]
    try:
        yield s3_server.up(settings)
    finally:
        s3_server.down(settings)


@pytest.fixture(params=["s3", "folder"])
def lake_env(request: pytest.FixtureRequest, server: Server, store_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """LAKE_* on an empty root, once in a bucket and once in a folder: what is proved on one holds on the other."""
    root = f"s3a://lake/{secrets.token_hex(4)}" if request.param == "s3" else str(tmp_path / "lake root")
    monkeypatch.setenv("LAKE_ROOT", root)
    monkeypatch.setenv("LAKE_HOME", str(store_home))
    monkeypatch.delenv("LAKE_ENDPOINT", raising=False)
    return Settings.load()


@pytest.fixture
def store(lake_env: Settings) -> Store:
    """The store of `lake_env`."""
    return open_store(lake_env)


@pytest.fixture(scope="session")
def spark(server: Server, store_home: Path) -> Iterator[object]:
    """One Spark for the whole run, on two cores; the suite's bucket and any folder are open to it."""
    from lake.session import spark_session

    settings = Settings(home=store_home, master="local[2]", driver_memory="2g")  # pyright: ignore[reportCallIssue]
    session = spark_session(settings, open_store(settings), "tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def samples() -> Path:
    """The raw files of LAKE_SAMPLES: the tests that count them skip aloud without, and fail in CI."""
    named = os.environ.get("LAKE_SAMPLES")
    if named and Path(named).is_dir():
        return Path(named).absolute()
    if os.environ.get("CI"):
        pytest.fail(f"LAKE_SAMPLES is {named!r}, and CI must count real files")
    pytest.skip("LAKE_SAMPLES is not set: real raw files are not counted")
