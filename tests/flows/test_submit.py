"""One job of each zone by spark-submit, as a user types it: on this machine, and on a standalone cluster of two workers."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lake.server import Server
from tests.flows.place import PROJECT, Place

pytestmark = pytest.mark.timeout(1500)

# The shortest way through all zones: messages, their examples, a model, its predictions.
JOBS = ("bronze/banking77", "silver/texts", "gold/intent_examples", "models/intent", "predictions/intent", "reports/nightly")
SPARK = Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages" / "pyspark"


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """A master with two workers of one core each."""
    env = {**os.environ, "SPARK_NO_DAEMONIZE": "1", "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(tmp_path / "work")}
    started: list[subprocess.Popen[str]] = []
    port, page = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"

    def start(name: str, *args: str) -> None:
        command = [str(SPARK / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", *args]
        with (tmp_path / f"{len(started)}.log").open("w") as log:
            started.append(subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, text=True))

    def workers() -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
                return int(json.load(answer)["aliveworkers"])
        except (OSError, ValueError):
            return -1

    def wait_for(count: int) -> None:
        for _ in range(240):
            if workers() == count:
                return
            time.sleep(0.5)
        logs = "\n".join(log.read_text()[-2000:] for log in sorted(tmp_path.glob("*.log")))
        raise AssertionError(f"{count} workers never came:\n{logs}")

    try:
        start("master.Master", "--port", str(port), "--webui-port", str(page))
        wait_for(0)
        for _ in (1, 2):
            start("worker.Worker", "--cores", "1", "--memory", "2g", "--webui-port", str(free_port()), url)
        wait_for(2)
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def begun(server: Server, store_home: Path) -> Place:
    """What silver.texts unites must be there: made in one go by `lake`, so that the submits below are about submitting."""
    place = Place.at(f"s3a://lake/{secrets.token_hex(4)}", store_home)
    place.lake("land", "--from", str(PROJECT / "samples" / "raw"))
    place.lake("run", *(f"bronze.{other}" for other in ("sms_spam", "sentiment_sentences", "asap_reviews_zh")))
    return place


def test_one_job_of_each_zone_by_spark_submit(begun: Place, standalone: str, server: Server, store_home: Path) -> None:
    """On this machine and on the cluster, side by side: most of a submit is one thread that starts a JVM."""
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(submit_all, begun, master, server, store_home) for master in ("local[2]", standalone)]:
            done.result()


def submit_all(begun: Place, master: str, server: Server, store_home: Path) -> None:
    bin = Path(sys.executable).parent
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"  # as `. .venv/bin/activate` sets it: PySpark's scripts look for their Python there
    surroundings = {"SPARK_CONF_DIR": str(PROJECT / ".lake" / "conf"), "PATH": path, "LAKE_TRAIN_SECONDS": "40"}
    place = Place.at(f"s3a://lake/{secrets.token_hex(4)}", store_home, **surroundings)
    for found in begun.store.list():  # a lake that is copied is a lake: its tables name their files by relative paths
        place.store.put(found.key, begun.store.get(found.key) or b"")
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
