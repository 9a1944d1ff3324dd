"""One job of each zone by spark-submit, as a user types it: on this machine, and on a standalone cluster of two workers."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.server import Server
from tests.flows.place import PROJECT, Place

pytestmark = pytest.mark.timeout(1500)

# The shortest way through all zones: messages, their examples, a model, its predictions.
JOBS = ("bronze/banking77", "silver/texts", "gold/intent_examples", "models/intent", "predictions/intent", "reports/nightly")
SPARK = Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages" / "pyspark"


@pytest.fixture(params=["local[2]", "standalone"])
def master(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param != "standalone":
        yield request.param
        return
    env = {**os.environ, "SPARK_NO_DAEMONIZE": "1", "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(tmp_path / "work")}
    env.pop("SPARK_CONF_DIR", None)  # ours keeps Spark quiet, and a master tells its address in a line of its log
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *args: str) -> Path:
        log = tmp_path / f"{name}.log"
        command = [str(SPARK / "bin" / "spark-class"), *args]
        started.append(subprocess.Popen(command, env=env, stdout=log.open("w"), stderr=subprocess.STDOUT, text=True))
        return log

    def said(log: Path, pattern: str) -> str:
        for _ in range(240):
            if found := re.search(pattern, log.read_text()):
                return found[0]
            time.sleep(0.25)
        raise AssertionError(f"{pattern} never came:\n{log.read_text()[-3000:]}")

    try:
        url = said(
            start("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"),
            r"spark://127\.0\.0\.1:\d+",
        )
        for n in (1, 2):
            worker = start(
                f"worker{n}",
                "org.apache.spark.deploy.worker.Worker",
                "--host",
                "127.0.0.1",
                "--cores",
                "1",
                "--memory",
                "2g",
                "--webui-port",
                "0",
                url,
            )
            said(worker, "Successfully registered with master")
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def test_one_job_of_each_zone_by_spark_submit(master: str, server: Server, store_home: Path) -> None:
    bin = Path(sys.executable).parent
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"  # as `. .venv/bin/activate` sets it: PySpark's scripts look for their Python there
    place = Place.at(f"s3a://lake/{secrets.token_hex(4)}", store_home, SPARK_CONF_DIR=str(PROJECT / ".lake" / "conf"), PATH=path)
    # What silver.texts unites must be there: made in one go by `lake`, so that the submits below are about submitting.
    place.lake("land", "--from", str(PROJECT / "samples" / "raw"))
    for other in ("sms_spam", "sentiment_sentences", "asap_reviews_zh"):
        place.lake("run", f"bronze.{other}")
    for job in JOBS:
        done = place.run([str(bin / "spark-submit"), "--master", master, str(PROJECT / "jobs" / f"{job}.py")])
        assert done.returncode == 0, f"{job} on {master}:\n{done.stdout[-6000:]}"
    assert place.count("bronze.banking77") == 545
    assert place.count("predictions.intent") > 119
    secret = server.secret_key
    again = place.run([str(bin / "spark-submit"), "--master", master, str(PROJECT / "jobs" / "bronze/banking77.py")])
    assert again.returncode == 0
    assert "nothing" in again.stdout
    assert secret not in again.stdout
