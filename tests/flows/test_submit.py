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

from lake.models.registry import Registry
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


MESSAGES = "text,category\r\nMy new card never came,card_arrival\r\nIs the transfer done?,card_arrival\r\nwhere is my card,card_arrival\r\n"


def test_one_job_of_each_zone_by_spark_submit(lake: Place, standalone: str, server: Server, store_home: Path) -> None:
    """On this machine and on the cluster, side by side: most of a submit is one thread that starts a JVM."""
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(submit_all, lake, master, server, store_home) for master in ("local[2]", standalone)]:
            done.result()


def submit_all(lake: Place, master: str, server: Server, store_home: Path) -> None:
    """Three new messages go through every zone of a lake that had its first night."""
    bin = Path(sys.executable).parent
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"  # as `. .venv/bin/activate` sets it: PySpark's scripts look for their Python there
    surroundings = {"SPARK_CONF_DIR": str(PROJECT / ".lake" / "conf"), "PATH": path, "LAKE_TRAIN_SECONDS": "20"}
    place = Place.at(f"s3a://lake/{secrets.token_hex(4)}", store_home, **surroundings)
    bucket, _, _ = lake.store.root.removeprefix("s3a://").partition("/")
    for found in lake.store.list():  # a lake that is copied is a lake: its tables name their files by relative paths
        there = {"Bucket": bucket, "Key": place.store.key_uri(found.key).removeprefix(f"s3a://{bucket}/")}
        place.store.s3().copy_object(**there, CopySource={**there, "Key": lake.store.key_uri(found.key).removeprefix(f"s3a://{bucket}/")})
    place.store.put("raw/text/banking77/monday.csv", MESSAGES.encode())
    before = {address: place.count(address) for address in ("bronze.banking77", "predictions.intent")}
    models = Registry(place.store).versions("intent")
    for job in JOBS:
        done = place.run([str(bin / "spark-submit"), "--master", master, str(PROJECT / "jobs" / f"{job}.py")])
        assert done.returncode == 0, f"{job} on {master}:\n{done.stdout[-6000:]}"
    assert place.count("bronze.banking77") == before["bronze.banking77"] + 3
    assert len(Registry(place.store).versions("intent")) == len(models) + 1
    texts = place.rows("silver.texts", "text_id", "text").to_pylist()
    new = {t["text_id"] for t in texts if t["text"] in ("My new card never came", "Is the transfer done?", "where is my card")}
    trained = {e["example_id"] for e in place.rows("gold.intent_examples", "example_id", "split").to_pylist() if e["split"] == "train"}
    assert len(new) == 3
    assert new - trained <= set(place.rows("predictions.intent", "text_id")["text_id"].to_pylist())
    secret = server.secret_key
    again = place.run([str(bin / "spark-submit"), "--master", master, str(PROJECT / "jobs" / "bronze/banking77.py")])
    assert again.returncode == 0
    assert "nothing" in again.stdout
    assert secret not in again.stdout
