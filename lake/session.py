"""The only place where a SparkSession is made."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.errors import SettingsWrong
from lake.settings import Settings
from lake.store import Store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOG_STORE_S3 = "lake.logstore.S3ConditionalPutLogStore"
LOG_STORE_FILE = "lake.logstore.FileLogStore"

# What must hold on every cluster. What only suits a small machine is in conf/spark-defaults.conf, which a user may replace.
ALWAYS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Delta's own LogStores lose acknowledged commits when two drivers race: 23 of 60 on S3.
    "spark.delta.logStore.s3a.impl": LOG_STORE_S3,
    "spark.delta.logStore.s3.impl": LOG_STORE_S3,
    "spark.delta.logStore.file.impl": LOG_STORE_FILE,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # the default, INT96, has no statistics and is deprecated
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",  # sql(q, args=...) fails under Delta's extension without it
    "spark.redaction.regex": "(?i)secret|password|passwd|token|credential|access[._]?key|pii",
    "spark.executorEnv.TZ": "UTC",
    "spark.executorEnv.PYTHONHASHSEED": "0",
}
# What a Python worker needs to open the same store; the keys themselves it finds in its own environment, or in a file of mode 600.
_FOR_WORKERS = ("LAKE_ROOT", "LAKE_ENDPOINT", "LAKE_REGION", "LAKE_HOME", "LAKE_PROJECT", "LAKE_MODELS", "LAKE_PII_KEY_FILE")


def spark_session(settings: Settings, store: Store, app_name: str) -> SparkSession:
    """A session of its own (configuration, views) on the one Spark of this process, which is started when there is none.

    Raises:
        SettingsWrong: the jars are not there, or a Spark that runs in this process was started without Delta or our LogStores.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    _environment(settings)
    # Not getActiveSession(): that is the thread's, and a night builds in several.
    base = SparkSession.builder.getOrCreate() if SparkContext._active_spark_context else _start(settings, app_name)
    _must_be_ours(base)
    context: Any = base.sparkContext
    workers: dict[str, str] = context.environment
    for name in _FOR_WORKERS:
        workers.pop(name, None)
    workers |= {name: os.environ[name] for name in _FOR_WORKERS if os.environ.get(name)}
    workers |= {"LAKE_HOME": str(settings.state), "LAKE_ROOT": settings.root, "TZ": "UTC"}
    reach(base, store)
    return base.newSession()


def reach(session: SparkSession, store: Store) -> None:
    """Let Spark read this store, or this place of a source. The keys go by Hadoop's configuration at run time: nothing shows them."""
    context: Any = session.sparkContext
    hadoop = context._jsc.hadoopConfiguration()
    new = {key: value for key, value in store.spark_options().items() if hadoop.get(key) != value}
    changed = any(hadoop.get(key) is not None for key in new)
    for key, value in new.items():
        hadoop.set(key, value)
    if changed:  # Hadoop keeps a file system per bucket, with the keys and the address that it was opened with
        context._jvm.org.apache.hadoop.fs.FileSystem.closeAll()


def forget(session: SparkSession | None) -> None:
    """Let go of a Spark whose JVM is gone, so that the next `spark_session` starts another; a living one is stopped."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    context: Any = SparkContext
    gateway = context._gateway
    if session is not None:
        with contextlib.suppress(Exception):  # of a dead JVM every call fails, each in its own way
            session.stop()
    if gateway is not None:
        with contextlib.suppress(Exception):
            gateway.shutdown()
    context._gateway = context._jvm = context._active_spark_context = None
    singleton: Any = SparkSession
    singleton._instantiatedSession = singleton._activeSession = None


def _environment(settings: Settings) -> None:
    """What must stand in the environment before the JVM starts, and UTC for Python's own clock."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers are PATH's python3, without pyarrow
    conf = settings.installed("conf")
    if "SPARK_CONF_DIR" not in os.environ and (conf / "spark-defaults.conf").is_file():
        os.environ["SPARK_CONF_DIR"] = str(conf)
    if os.environ.get("TZ") != "UTC":
        os.environ["TZ"] = "UTC"  # collect() and createDataFrame() read naive datetimes in the local zone
        time.tzset()


def _start(settings: Settings, app_name: str) -> SparkSession:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # by spark-submit: the master and the heap are its own
    builder: Any = SparkSession.builder.appName(app_name)
    for key, value in ALWAYS.items():
        builder = builder.config(key, value)
    if not submitted:
        builder = builder.master(settings.master)
        if "driver_memory" in settings.model_fields_set or "SPARK_CONF_DIR" not in os.environ:
            builder = builder.config("spark.driver.memory", settings.driver_memory)  # else set-up's figure stands
    master = SparkConf().get("spark.master", "") if submitted else settings.master
    if (master or "").startswith("local"):
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    return builder.getOrCreate()


def _must_be_ours(session: SparkSession) -> None:
    context: Any = session.sparkContext
    conf = context.getConf()
    vital = ("spark.sql.extensions", "spark.delta.logStore.s3a.impl", "spark.delta.logStore.file.impl")
    missing = [key for key in vital if ALWAYS[key] not in conf.get(key, "")]
    if missing:
        raise SettingsWrong(
            f"a Spark that `lake` did not start runs in this process, without {', '.join(missing)}: commits would not be safe",
            next_step="stop it before (spark.stop()), or start it with the settings in lake.session.ALWAYS",
        )
    jvm = context._jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for name in ("io.delta.sql.DeltaSparkSessionExtension", LOG_STORE_S3, "org.apache.hadoop.fs.s3a.S3AFileSystem"):
        try:
            jvm.java.lang.Class.forName(name, False, loader)
        except Exception as error:
            session.stop()
            raise SettingsWrong(
                f"Spark has no {name}: its jars are not where SPARK_CONF_DIR ({os.environ.get('SPARK_CONF_DIR', 'unset')}) says",
                next_step="make set-up",
            ) from error


def log_store_jar() -> Path:
    """The jar with our LogStores, which comes with the package."""
    return Path(__file__).parent / "logstore" / "millrace-logstore.jar"
