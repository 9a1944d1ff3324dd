"""What many known files cost: a night with 100 new ones, and the listing of a bucket.

    python -m benchmarks.listing --known 100,100000 --objects 1000000

`--known` runs the job of bronze.banking77 on 100 new files where so many are in the ledger, in a folder that really holds them all.
The ledger's rows of all but the first run are written as 20 runs would have written them; nothing else is made up. The time that the
listing takes is measured by itself.
`--objects` looks for what is new among so many objects of a bucket: boto3 asks a server of our own, in a process of its own, that answers
pages of 1,000 keys as S3 does, at once. A real S3 takes some 50 to 100 ms more for each page: that is what the last column adds, on paper.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr
from rich.console import Console

from benchmarks.ingest import lake_run, opened, show
from lake import ops
from lake.contract import Contract
from lake.lake import Lake
from lake.plan import plan
from lake.run.tables import TableRun
from lake.settings import Settings, project_root
from lake.sources.files import FileEdition, discover
from lake.store import Object, Store

ADDRESS, SOURCE, FOLDER = "bronze.banking77", "raw.banking77", "raw/text/banking77"
NEW = 100
PAGE = 1000
S3_PAGE = (0.05, 0.1)  # seconds of a page of a real S3 in the same region, as a range; not measured here


# -- a night after many files ---------------------------------------------------------------------------------------------


def nights(spark: Any, work: Path, known: int, repeats: int, say: Any) -> list[tuple[float, float]]:
    """(seconds of the night, of them listing) with 100 new files each, after so many known ones."""
    root = work / f"known-{known}"
    folder = root / FOLDER
    folder.mkdir(parents=True)
    names = count()

    def land(files: int, rows: int) -> None:
        for _ in range(files):
            n = next(names)
            body = "".join(f'"message {n} of line {i}, quoted",card_arrival\n' for i in range(rows))
            (folder / f"train-{n:07d}.csv").write_text("text,category\n" + body)

    lake = opened(root, spark, [])
    land(1, 100)
    lake_run(ADDRESS, lake)
    land(known - 1, 1)
    source = Contract.load(SOURCE).source
    assert source is not None
    run = TableRun(plan(project_root()).step(ADDRESS), None, lake)
    have = ops.read(lake.store, "files", [("address", "=", ADDRESS), ("status", "=", "read")], columns=["path"])
    found = [f for f in discover(lake.store, source, {}) if f.path not in {row["path"] for row in have}]
    for n in range(min(20, len(found))):
        for status in ("planned", "read"):
            ops.append(lake.store, "files", [run._ledger_row(f, status, 1, 1, 0) for f in found[n::20]])
    measured: list[tuple[float, float]] = []
    for repeat in range(repeats + 1):
        land(NEW, 100)
        spent = [0.0]
        with timed_listing(spent):
            began = time.monotonic()
            rows = lake_run(ADDRESS, lake)
            seconds = time.monotonic() - began
        assert rows == NEW * 100, rows
        say(f"{known:,} known, {NEW} new: {seconds:.1f} s, of them {spent[0]:.1f} s listing{'' if repeat else ' (not counted: the first)'}")
        measured.append((seconds, spent[0]))
    return measured[1:]


class timed_listing:
    """Adds the seconds that a store's listing takes to a counter."""

    def __init__(self, spent: list[float]) -> None:
        self.spent, self.list = spent, Store.list

    def __enter__(self) -> None:
        original, spent = self.list, self.spent

        def listed(store: Store, prefix: str = "") -> Iterator[Object]:
            began = time.monotonic()
            for found in list(original(store, prefix)):
                if began:
                    spent[0] += time.monotonic() - began
                    began = 0.0
                yield found

        Store.list = listed  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        Store.list = self.list  # type: ignore[method-assign]


# -- a bucket of many objects ---------------------------------------------------------------------------------------------


def name_of(n: int) -> str:
    return f"{FOLDER}/train-{n:08d}.csv"


def serve(objects: int, port: Any) -> None:
    """Answers ListObjectsV2 for a bucket that holds so many objects, a page of 1,000 at a time."""

    class Pages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            first = int(asked.get("continuation-token", ["0"])[0])
            last = min(first + PAGE, objects)
            more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < objects else ""
            body = "".join(
                f"<Contents><Key>{name_of(n)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{n:032x}&quot;</ETag>"
                f"<Size>1000</Size><StorageClass>STANDARD</StorageClass></Contents>"
                for n in range(first, last)
            )
            answer = (
                '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
                f"<MaxKeys>{PAGE}</MaxKeys><KeyCount>{last - first}</KeyCount><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{body}"
                "</ListBucketResult>"
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    port.send(server.server_address[1])
    server.serve_forever()


def resident() -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024  # type: ignore[index]


def highest() -> int:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024  # type: ignore[index]


def look(objects: int, port: int, answer: Any) -> None:
    """In a process of its own, so that its memory is its own: discover what is new where all are known."""
    source = Contract.load(SOURCE).source
    assert source is not None
    store = Store("s3a://b", f"http://127.0.0.1:{port}", "us-east-1", "key", SecretStr("secret"))
    before = resident()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    known = {
        name_of(n).rpartition("/")[2]: FileEdition(SOURCE, name_of(n).rpartition("/")[2], 1, 1000, f"{n:032x}", f"{n:064x}", at, "")
        for n in range(objects)
    }
    ledger = resident() - before
    began = time.monotonic()
    found = discover(store, source, known)
    answer.send((time.monotonic() - began, len(found), ledger, highest() - before - ledger))


def listing(objects: int, say: Any) -> list[str]:
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    server = spawn.Process(target=serve, args=(objects, theirs), daemon=True)
    server.start()
    port = mine.recv()
    looking = spawn.Process(target=look, args=(objects, port, theirs))
    looking.start()
    seconds, found, ledger, more = mine.recv()
    looking.join()
    server.terminate()
    pages = -(-objects // PAGE)
    paper = "-".join(f"{seconds + pages * page:,.0f}" for page in S3_PAGE)
    say(f"{objects:,} objects listed and compared in {seconds:.1f} s, {found} new; {ledger / 1e6:.0f} MB of ledger, {more / 1e6:.0f} MB beside it")
    return [f"{objects:,}", f"{pages:,}", f"{seconds:.1f}", f"{ledger / 1e6:,.0f}", f"{more / 1e6:,.0f}", paper]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", default="100,100000")
    parser.add_argument("--objects", default="100000,1000000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="append the tables to this file")
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args()
    console = Console(width=160)
    tables: list[tuple[list[str], list[list[str]]]] = []
    if asked.objects:
        head = ["objects", "pages", "list and compare, s", "MB of the ledger", "MB beside it", "s with S3's own time, on paper"]
        tables.append((head, [listing(int(n), console.print) for n in asked.objects.split(",")]))
    if asked.known:
        rows: list[list[str]] = []
        with tempfile.TemporaryDirectory(dir=asked.work) as folder:
            os.environ["LAKE_ROOT"] = str(Path(folder) / "first")
            os.environ.setdefault("LAKE_MASTER", "local[2]")
            settings = Settings.load()
            with Lake(settings, Store(settings.root), listener=lambda *_: None) as lake:
                from lake.gate import batch

                spark = lake.spark(meanwhile=batch.ready)
                spark.sparkContext.setLogLevel("ERROR")
                for known in (int(n) for n in asked.known.split(",")):
                    measured = nights(spark, Path(folder), known, asked.repeats, console.print)
                    apart = [seconds - listed for seconds, listed in measured]
                    rows.append(
                        [
                            f"{known:,}", f"{statistics.median(s for s, _ in measured):.1f}", f"{statistics.median(n for _, n in measured):.1f}",
                            f"{statistics.median(apart):.1f}", f"{min(apart):.1f}-{max(apart):.1f}",
                        ]
                    )  # fmt: skip
        tables.append((["known files", "night, s", "of it listing, s", "listing apart, s", "min-max"], rows))
    show(tables, console, asked.markdown, "a")


if __name__ == "__main__":
    main()
