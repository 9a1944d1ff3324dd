"""The one Spark of a process: safe commits, UTC, nothing secret shown, and the same by `spark-submit`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession

from lake.errors import SettingsWrong
from lake.server import Server
from lake.session import ALWAYS, reach, spark_session
from lake.settings import Settings
from lake.store import Store


def test_a_session_is_its_own(spark: SparkSession, lake_env: Settings, store: Store) -> None:
    one, two = spark_session(lake_env, store, "one"), spark_session(lake_env, store, "two")
    one.conf.set("spark.sql.shuffle.partitions", "3")
    one.range(1).createOrReplaceTempView("seen_by_one")
    assert two.conf.get("spark.sql.shuffle.partitions") == "4"
    assert not two.catalog.tableExists("seen_by_one")
    assert one.sparkContext is two.sparkContext is spark.sparkContext


def test_what_must_hold_holds(spark: SparkSession, lake_env: Settings, store: Store) -> None:
    session: Any = spark_session(lake_env, store, "x")
    conf = dict(session.sparkContext.getConf().getAll())
    assert {key: conf.get(key) for key in ALWAYS} == ALWAYS
    assert session.conf.get("spark.sql.session.timeZone") == "UTC"


def test_commits_go_through_our_log_store(spark: SparkSession, lake_env: Settings, store: Store) -> None:
    """What Delta itself resolves for a table of this root, not what a setting says."""
    session: Any = spark_session(lake_env, store, "x")
    session.range(3).write.format("delta").save(store.uri("silver.t"))
    log = session._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(session._jsparkSession, store.uri("silver.t"))
    adaptor = log.store().getDelegate(log.logPath())
    used = adaptor.logStoreImpl().getClass().getName()
    assert used == ALWAYS[f"spark.delta.logStore.{'s3a' if store.on_s3 else 'file'}.impl"]


def test_delta_rs_reads_what_spark_wrote_and_back(spark: SparkSession, lake_env: Settings, store: Store) -> None:
    session = spark_session(lake_env, store, "x")
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    session.createDataFrame([(1, noon)], "id long, at timestamp").write.format("delta").save(store.uri("silver.t"))
    table = deltalake.DeltaTable(store.delta_uri("silver.t"), storage_options=store.delta_options())
    assert table.to_pyarrow_table().to_pylist() == [{"id": 1, "at": noon}]
    deltalake.write_deltalake(table, table.to_pyarrow_table(), mode="append")
    assert session.read.format("delta").load(store.uri("silver.t")).count() == 2


def test_naive_times_are_utc(spark: SparkSession, lake_env: Settings, store: Store) -> None:
    session = spark_session(lake_env, store, "x")
    (row,) = session.sql("select timestamp'2026-07-01 12:00:00' at, current_timezone() zone").collect()
    assert (row["at"], row["zone"]) == (datetime(2026, 7, 1, 12), "UTC")  # noqa: DTZ001 - Spark gives naive ones


def test_a_worker_opens_the_store(spark: SparkSession, lake_env: Settings, store: Store) -> None:
    """From the environment that the session gives it, and from a file of mode 600: no key travels with a task."""
    store.put("k", b"v")
    session = spark_session(lake_env, store, "x")

    def asked(_: Any) -> Any:
        from lake.store import open_store

        yield open_store().root, open_store().get("k"), os.environ.get("TZ")

    assert session.sparkContext.parallelize([0], 1).mapPartitions(asked).collect() == [(store.root, b"v", "UTC")]


def test_the_secret_shows_nowhere(spark: SparkSession, server: Server, lake_env: Settings, store: Store) -> None:
    session: Any = spark_session(lake_env, store, "x")
    context = session.sparkContext
    secret = server.secret_key
    shown = [value for _, value in context.getConf().getAll()]
    shown += [row["value"] for row in session.sql("set").collect()]
    shown.append(subprocess.run(["ps", "-ww", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout)
    assert not any(secret in text for text in shown)
    hadoop = context._jsc.hadoopConfiguration()
    assert hadoop.get("fs.s3a.secret.key") == secret  # Spark itself has it


def test_a_place_with_keys_of_its_own_is_read(spark: SparkSession, server: Server, lake_env: Settings, store: Store) -> None:
    """A source's bucket is open to Spark by its own keys, and the lake's stay what they were."""
    session: Any = spark_session(lake_env, store, "x")
    place = Store(
        "s3a://elsewhere/in", server.endpoint, "us-east-1", server.access_key, SecretStr(server.secret_key), name="elsewhere", writable=False
    )
    client = place.s3()
    if "elsewhere" not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket="elsewhere")
    client.put_object(Bucket="elsewhere", Key="in/a.txt", Body=b"one\ntwo\n")
    reach(session, place)
    assert session.read.text(place.key_uri("a.txt")).count() == 2
    assert session.sparkContext._jsc.hadoopConfiguration().get("fs.s3a.bucket.elsewhere.access.key") == server.access_key


def test_the_usual_chain_of_keys_is_read(spark: SparkSession, server: Server, lake_env: Settings, store: Store) -> None:
    """No LAKE_ACCESS_KEY: Spark asks AWS's own chain (here its first link, system properties)."""
    session: Any = spark_session(lake_env, store, "x")
    owner = Store("s3a://chained", server.endpoint, "us-east-1", server.access_key, SecretStr(server.secret_key))
    if "chained" not in {bucket["Name"] for bucket in owner.s3().list_buckets()["Buckets"]}:
        owner.s3().create_bucket(Bucket="chained")
    owner.put("a.txt", b"one\ntwo\nthree\n")
    reach(session, Store("s3a://chained", server.endpoint, name="chained"))
    keys = {"aws.accessKeyId": server.access_key, "aws.secretAccessKey": server.secret_key}
    for name, value in keys.items():
        session._jvm.System.setProperty(name, value)
    try:
        assert session.read.text("s3a://chained/a.txt").count() == 3
    finally:
        for name in keys:
            session._jvm.System.clearProperty(name)


def test_a_spark_of_somebody_else_is_refused() -> None:
    code = """
from pyspark.sql import SparkSession
SparkSession.builder.master("local[1]").getOrCreate()
from lake.session import spark_session
from lake.settings import Settings
from lake.store import Store
spark_session(Settings(root="/tmp"), Store("/tmp"), "x")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "SettingsWrong" in ended.stderr and "spark.stop()" in ended.stderr, ended.stderr[-2000:]


def test_without_jars_it_says_set_up(tmp_path: Path) -> None:
    code = "from lake.session import spark_session; from lake.settings import Settings; from lake.store import Store;"
    code += "spark_session(Settings(root='/tmp'), Store('/tmp'), 'x')"
    (tmp_path / "conf").mkdir()
    env = os.environ | {"SPARK_CONF_DIR": str(tmp_path / "conf")}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert "make set-up" in ended.stderr, ended.stderr[-2000:]


@pytest.mark.parametrize("lake_env", ["s3"], indirect=True)
def test_plain_spark_submit_is_the_same(lake_env: Settings, tmp_path: Path) -> None:
    """No SPARK_CONF_DIR, no PYSPARK_PYTHON: set-up's link in PySpark's own folder is enough."""
    script = tmp_path / "job.py"
    script.write_text(
        "from lake.session import spark_session\nfrom lake.settings import Settings\nfrom lake.store import open_store\n"
        "import sys, time\n"
        "store = open_store(); spark = spark_session(Settings.load(), store, 'submitted')\n"
        "spark.range(5).write.format('delta').save(store.uri('silver.t'))\n"
        "print('rows', spark.read.format('delta').load(store.uri('silver.t')).count(), spark.sparkContext.master, sys.prefix, time.tzname[0])\n"
    )
    binaries = Path(sys.prefix) / "bin"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_")) and name != "TZ"}
    env["PATH"] = f"{binaries}{os.pathsep}{env['PATH']}"
    command = [str(binaries / "spark-submit"), "--master", "local[1]", str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=tmp_path)
    assert f"rows 5 local[1] {sys.prefix} UTC" in ended.stdout, ended.stderr[-3000:]
    assert list(tmp_path.iterdir()) == [script]  # no warehouse, no metastore where it was started


def test_the_settings_refused_are_named() -> None:
    with pytest.raises(SettingsWrong):
        Store("/x").s3()
