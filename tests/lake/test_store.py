"""The store: the same promises in a bucket and in a folder."""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from lake.errors import FileChanged, LakeError, SettingsWrong, SourceMissing, StoreUnreachable
from lake.server import Server
from lake.settings import Settings
from lake.store import PART, UNFINISHED, Store, open_place, open_store, split_location
from tests.lake.fault_proxy import fault_proxy

STRANGE = ["a b.txt", "%2F.txt", "50%.txt", "#x", 'it\'s "so".txt', "back`tick", "ünïcode/日本", "plus+and&.txt", "-", "a..b/...", "?q=1"]


# --- addresses ---------------------------------------------------------------------------------------------------------------------------------


def test_addresses_are_paths(store: Store) -> None:
    assert store.uri("silver.texts") == f"{store.root}/silver/texts"
    assert store.delta_uri("silver.texts").startswith("s3://lake/" if store.on_s3 else "/")
    assert store.arrow_path(store.uri("silver.texts")).endswith("/silver/texts")
    assert "://" not in store.arrow_path(store.uri("silver.texts"))


@pytest.mark.parametrize("wrong", ["", "texts", "silver.", ".texts", "silver.a/b", "silver.a b", "../x.y", "silver.x;drop"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsWrong, match="no address"):
        Store("/nowhere").uri(wrong)


@pytest.mark.parametrize(
    ("location", "fixed", "pattern"),
    [
        ("raw/logs/kafka/**", "raw/logs/kafka", "**"),
        ("raw/x/one.csv", "raw/x", "one.csv"),
        ("s3a://bucket/**", "s3a://bucket", "**"),
        ("s3a://bucket/a b/*/x?.csv", "s3a://bucket/a b", "*/x?.csv"),
        ("/data/in/[ab]*.gz", "/data/in", "[ab]*.gz"),
    ],
)
def test_a_location_is_a_folder_and_a_pattern(location: str, fixed: str, pattern: str) -> None:
    assert split_location(location) == (fixed, pattern)


# --- small objects -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", STRANGE)
def test_strange_keys_come_back(store: Store, key: str) -> None:
    store.put(f"x/{key}", key.encode())
    assert store.get(f"x/{key}") == key.encode()
    assert list(store.keys("x/")) == [f"x/{key}"]
    assert store.get("x/other") is None
    store.delete(f"x/{key}")
    store.delete(f"x/{key}")
    assert list(store.keys("x/")) == []


@pytest.mark.parametrize("key", ["../out", "a/../b", "/abs", "a//b", "", "a/./b", "a/"])
def test_no_write_steps_out(store: Store, key: str) -> None:
    with pytest.raises(SettingsWrong, match="no key"):
        store.put(key, b"x")


def test_put_replaces(store: Store) -> None:
    store.put("a/b", b"1")
    store.put("a/b", b"2")
    assert store.get("a/b") == b"2"
    assert list(store.keys()) == ["a/b"]


def test_of_racing_writers_one_wins(store: Store) -> None:
    """24 threads for each of 10 keys: one True each, and its bytes are the ones that lie there, whole."""
    for n in range(10):
        bodies = [f"{i:03}".encode() * 5000 for i in range(24)]
        with ThreadPoolExecutor(24) as threads:
            won = list(threads.map(lambda body, n=n: store.put_if_absent(f"champion/{n}.json", body), bodies))
        assert won.count(True) == 1
        assert store.get(f"champion/{n}.json") == bodies[won.index(True)]
    assert not store.on_s3 or store.honours_conditions()
    assert len(list(store.keys())) == 10


def test_racing_processes_have_one_winner(store: Store) -> None:
    code = (
        "import os, sys; from lake.store import open_store; s = open_store(); sys.stdin.readline();"
        "print(sum(s.put_if_absent(f'race/{n}', str(os.getpid()).encode()) for n in range(40)))"
    )
    racers = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [""] * 3

    def race(i: int) -> None:
        said[i] = racers[i].communicate("go\n", timeout=60)[0]

    threads = [threading.Thread(target=race, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(map(int, said)) == 40


def test_conditions_are_honoured(store: Store) -> None:
    assert store.honours_conditions()
    assert list(store.keys()) == []


@pytest.mark.parametrize("fault", ["conflict", "lost answer", "error after", "refused"])
def test_a_lost_answer_is_still_ours(server: Server, fault: str) -> None:
    with fault_proxy(server.endpoint) as faults:
        store = Store("s3a://lake/faults", faults.endpoint, "us-east-1", server.access_key, SecretStr(server.secret_key))
        key = secrets.token_hex(4)
        faults.waiting[:] = [fault]  # pyright: ignore[reportArgumentType]
        assert store.put_if_absent(key, b"ours")
        assert faults.puts == 2
        faults.waiting[:] = [fault]  # pyright: ignore[reportArgumentType]
        assert not store.put_if_absent(key, b"ours")  # equal bytes, and yet another writer's
        assert store.get(key) == b"ours"


# --- listing -----------------------------------------------------------------------------------------------------------------------------------


def test_listing_is_in_the_order_of_bytes(store: Store) -> None:
    keys = ["p/a-b/x", "p/a.txt", "p/a/b", "p/é", "p/Z", "q/other"]
    for key in keys:
        store.put(key, key.encode())
    expected = sorted((key for key in keys if key.startswith("p/")), key=str.encode)
    assert list(store.keys("p/")) == expected
    assert list(store.keys("p/a.")) == ["p/a.txt"]
    assert list(store.keys("p/a-")) == ["p/a-b/x"]
    assert list(store.keys("nothing/")) == list(store.keys("nothing")) == []


@given(names=st.lists(st.text("ab-./0", min_size=1, max_size=8), max_size=12, unique=True))
def test_a_folder_is_listed_as_a_bucket_would(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    store = Store(str(tmp_path_factory.mktemp("listing")))
    written: set[str] = set()
    for name in names:
        try:
            store.put(name, b"")
        except (SettingsWrong, OSError):  # no key, or a file where this needs a folder
            continue
        written.add(name)
    assert list(store.keys()) == sorted(written, key=str.encode)
    for prefix in ("a", "a/", "b-", "."):
        assert list(store.keys(prefix)) == sorted((name for name in written if name.startswith(prefix)), key=str.encode)


def test_more_than_one_page_is_listed(store: Store) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: store.put(f"many/{n:05}", b""), range(1100)))
    assert list(store.keys("many/")) == [f"many/{n:05}" for n in range(1100)]


def test_an_object_that_is_listed_while_it_is_written_is_asked_for_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3Proxy lists a key before its ETag is there; the same listing without one, as it was seen under eight racing writers."""
    store = Store("s3a://lake/young", server.endpoint, "us-east-1", server.access_key, SecretStr(server.secret_key))
    for key in ("a", "b"):
        store.put(key, b"123")
    client, seen = store.s3(), sorted(store.list(), key=lambda f: f.key)
    pages = client.get_paginator

    class Young:
        def paginate(self, **place: str) -> Iterator[dict[str, Any]]:
            for page in pages("list_objects_v2").paginate(**place):
                gone = {"Key": "young/c", "Size": 1, "LastModified": datetime.now(UTC)}
                yield {**page, "Contents": [{k: v for k, v in found.items() if k != "ETag"} for found in (*page["Contents"], gone)]}

    monkeypatch.setattr(client, "get_paginator", lambda _: Young())
    assert [(f.key, f.size, f.etag) for f in store.list()] == [(f.key, f.size, f.etag) for f in seen]


def test_a_listing_tells_size_time_and_change(store: Store) -> None:
    store.put("f/x", b"12345")
    (first,) = store.list("f/")
    assert (first.key, first.size, first.sha256) == ("f/x", 5, None)
    assert timedelta(0) <= datetime.now(UTC) - first.modified < timedelta(minutes=1) or first.modified > datetime.now(UTC)
    store.put("f/x", b"54321")  # as long as before
    (second,) = store.list("f/")
    assert second.etag != first.etag


def test_an_unfinished_file_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / f".1234{UNFINISHED}").write_text("half")
    (tmp_path / ".hidden").write_text("whole")
    assert list(Store(str(tmp_path)).keys()) == [".hidden"]


def test_links_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "lake/in/deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.txt").write_text("far")
    (tmp_path / "lake/in/near.txt").write_text("near")
    (tmp_path / "lake/in/a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "lake/in/deep/up").symlink_to(tmp_path / "lake/in")
    (tmp_path / "lake/in/itself").symlink_to("itself")
    (tmp_path / "lake/in/dead").symlink_to("nowhere")
    assert [found.key for found in Store(str(tmp_path / "lake")).list("in/")] == ["in/a/far.txt", "in/near.txt"]


def test_same_size_and_time_is_still_a_change(tmp_path: Path) -> None:
    """Whoever overwrites in place and sets the time back is found out: mtime is never trusted."""
    file = tmp_path / "a.csv"
    file.write_text("one")
    store = Store(str(tmp_path))
    seen, (before,) = file.stat(), store.list()
    file.write_text("two")
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    (after,) = store.list()
    assert (after.size, after.modified) == (before.size, before.modified)
    assert after.etag != before.etag


# --- landing -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10, PART + 1, 3 * PART])
def test_a_file_lands_once(store: Store, tmp_path: Path, size: int) -> None:
    file = tmp_path / "a file.bin"
    file.write_bytes(os.urandom(1000) * (size // 1000) + b"x" * (size % 1000))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert store.land(file, "raw/s/a file.bin", sha256)
    assert store.get("raw/s/a file.bin") == file.read_bytes()
    landed = store.stat("raw/s/a file.bin")
    assert landed and landed.size == size
    if store.on_s3:
        assert landed.sha256 == sha256
    assert not store.land(file, "raw/s/a file.bin")
    file.write_bytes(b"other bytes")
    with pytest.raises(LakeError, match="never overwrites"):
        store.land(file, "raw/s/a file.bin")
    landed_again = store.stat("raw/s/a file.bin")
    assert landed_again and landed_again.size == size


@pytest.mark.parametrize("size", [10, PART + 1])
def test_a_file_that_changes_while_it_lands_leaves_nothing(store: Store, tmp_path: Path, size: int) -> None:
    file = tmp_path / "growing.log"
    file.write_bytes(b"a" * size)
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_bytes(b"b" * size)
    with pytest.raises(FileChanged, match="changed"):
        store.land(file, "raw/growing.log", before)
    assert list(store.keys()) == []


def test_racing_landings_have_one_winner(store: Store, tmp_path: Path) -> None:
    files = [tmp_path / str(n) for n in range(3)]
    for n, file in enumerate(files):
        file.write_bytes(bytes([n]) * (PART + 5))

    def land(file: Path) -> bool | None:
        try:
            return store.land(file, "raw/contended")
        except LakeError:
            return None

    with ThreadPoolExecutor(3) as threads:
        told = list(threads.map(land, files))
    assert told.count(True) == 1 and told.count(None) == 2
    assert store.get("raw/contended") == files[told.index(True)].read_bytes()


def test_a_folder_does_not_land(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="not a file"):
        store.land(tmp_path, "raw/x")


# --- engines -----------------------------------------------------------------------------------------------------------------------------------


def test_delta_rs_polars_and_arrow_read_what_delta_rs_wrote(store: Store) -> None:
    deltalake.write_deltalake(store.delta_uri("silver.t"), pa.table({"a": [1, 2, 3]}), storage_options=store.delta_options())
    table = deltalake.DeltaTable(store.delta_uri("silver.t"), storage_options=store.delta_options())
    assert table.to_pyarrow_table()["a"].to_pylist() == [1, 2, 3]
    if store.on_s3:  # Polars 2.1 cannot read a folder with a blank in its path, as this suite's has
        assert pl.read_delta(store.delta_uri("silver.t"), storage_options=store.delta_options())["a"].to_list() == [1, 2, 3]
    found = store.arrow().get_file_info(pafs.FileSelector(store.arrow_path(store.uri("silver.t")), recursive=True))
    assert any(info.path.endswith(".parquet") for info in found)


# --- secrets, keys, places -----------------------------------------------------------------------------------------------------------------------


def test_the_secret_shows_nowhere(server: Server) -> None:
    store = Store("s3a://lake", server.endpoint, "us-east-1", server.access_key, SecretStr(server.secret_key))
    assert server.secret_key not in repr(store)
    assert server.secret_key not in repr(server)
    assert server.secret_key.encode() not in pickle.dumps(store)
    wrong = Store("s3a://lake", server.endpoint, "us-east-1", server.access_key, SecretStr("wrong-and-secret"))
    with pytest.raises(StoreUnreachable) as refused:
        wrong.put("x", b"")
    assert "wrong-and-secret" not in str(refused.value) and "LAKE_SECRET_KEY" in str(refused.value)


def test_a_pickle_opens_the_store_of_its_own_environment(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store.put("k", b"v")
    travelling = pickle.dumps(store)
    assert pickle.loads(travelling).get("k") == b"v"
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(SettingsWrong, match="same LAKE_"):
        pickle.loads(travelling)


def test_a_child_process_opens_it_from_the_environment_alone(store: Store) -> None:
    store.put("k", b"v")
    code = "from lake.store import open_store; print(open_store().get('k'))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "b'v'"


def test_what_does_not_answer_says_what_to_do(tmp_path: Path) -> None:
    settings = Settings(root="s3a://lake", home=tmp_path)  # pyright: ignore[reportCallIssue]
    with pytest.raises(StoreUnreachable, match="lake up"):
        open_store(settings)
    dead = Store("s3a://lake", "http://127.0.0.1:1", "us-east-1", "a", SecretStr("b"))
    with pytest.raises(StoreUnreachable, match="does not answer"):
        dead.get("k")


def test_a_bucket_that_is_not_there_says_so(server: Server) -> None:
    with pytest.raises(StoreUnreachable, match="make the bucket"):
        list(Store("s3a://no-such-bucket", server.endpoint, "us-east-1", server.access_key, SecretStr(server.secret_key)).keys())


def test_one_key_alone_is_refused() -> None:
    with pytest.raises(SettingsWrong, match="only one of"):
        open_store(Settings(root="s3a://other", access_key=SecretStr("a")))  # pyright: ignore[reportCallIssue]


def test_a_relative_place_is_below_the_root_and_read_only(store: Store, lake_env: Settings) -> None:
    store.put("raw/logs/kafka/k0/a.log", b"x")
    place = open_place("raw/logs/kafka/**", "kafka", lake_env)
    assert list(place.keys()) == ["k0/a.log"]
    assert place.get("k0/a.log") == b"x"
    for write in (lambda: place.put("y", b""), lambda: place.delete("k0/a.log"), lambda: place.put_if_absent("y", b"")):
        with pytest.raises(SettingsWrong, match="only ever read"):
            write()
    assert pickle.loads(pickle.dumps(place)) == place


def test_a_place_elsewhere_has_keys_of_its_own(server: Server, tmp_path: Path) -> None:
    settings = Settings(root=str(tmp_path))  # pyright: ignore[reportCallIssue]
    environ = {
        "LAKE_SOURCE_WEB_LOGS_ENDPOINT": server.endpoint,
        "LAKE_SOURCE_WEB_LOGS_ACCESS_KEY": server.access_key,
        "LAKE_SOURCE_WEB_LOGS_SECRET_KEY": server.secret_key,
    }
    Store("s3a://lake", server.endpoint, "us-east-1", server.access_key, SecretStr(server.secret_key)).put("elsewhere/in/a.csv", b"x")
    place = open_place("s3a://lake/elsewhere/in/*.csv", "web-logs", settings, environ)
    assert list(place.keys()) == ["a.csv"]
    assert set(place.spark_options()) >= {"fs.s3a.bucket.lake.endpoint", "fs.s3a.bucket.lake.secret.key"}
    assert server.secret_key not in repr(place)
    folder = open_place(f"{tmp_path}/in/*.csv", "x", settings, {})
    assert (folder.root, folder.writable) == (f"{tmp_path}/in", False)
    with pytest.raises(SettingsWrong, match="only one of"):
        open_place("s3a://b/*", "x", settings, {"LAKE_SOURCE_X_ACCESS_KEY": "a"})
