"""Races: two and three Spark drivers and delta-rs write to one table at once, with a server that answers and with one that errs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import deltalake
import pyarrow as pa

from lake import server as s3_server
from tests.chaos.place import CHECKOUT, Place, Twin, dice
from tests.chaos.project import ORDER
from tests.chaos.tally import Result, Tally
from tests.lake.fault_proxy import Choice, Fault, fault_proxy

STOCK = "io.delta.storage.S3SingleDriverLogStore"
NAMES = ("one", "two", "three")
SCHEMA = pa.schema([pa.field("driver", pa.string(), nullable=False), pa.field("n", pa.int32(), nullable=False)])
FAULTS: tuple[Fault, ...] = ("delay", "drop", "refused", "conflict", "lost answer", "error after", "truncated", "reset")
# Conditional PUTs are what a commit hangs on: of them one in eight goes wrong, of all other requests one in fifty.
SHARE_OF_COMMITS, SHARE_OF_OTHERS = 1 / 8, 1 / 50


class Drivers:
    """Racing drivers (tests/lake/racing_driver.py), each a process with a Spark of its own."""

    def __init__(self, place: Place, root: str, count: int, log_store: str | None, endpoint: str) -> None:
        there, access, secret = s3_server.credentials(place.settings)
        env = {**place.env, "LAKE_ROOT": root, "LAKE_ENDPOINT": endpoint or there, "LAKE_ACCESS_KEY": access, "LAKE_SECRET_KEY": secret,
               **({"RACE_LOG_STORE": log_store} if log_store else {})}  # fmt: skip
        self.processes = {
            name: subprocess.Popen(
                [sys.executable, "-m", "tests.lake.racing_driver", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, env=env, cwd=CHECKOUT,
            )
            for name in NAMES[:count]
        }  # fmt: skip
        for name in self.processes:
            self._hears(name)

    def _hears(self, name: str) -> dict[str, Any]:
        pipe = self.processes[name].stdout
        assert pipe is not None
        line = pipe.readline()
        if not line:
            raise RuntimeError(f"driver {name} has ended with {self.processes[name].wait()}")
        return json.loads(line)

    def append(self, name: str, table: str, n: int) -> bool:
        """Append a row; whether the driver says that it is in the table."""
        pipe = self.processes[name].stdin
        assert pipe is not None
        pipe.write(json.dumps({"do": "append", "table": table, "n": n}) + "\n")
        pipe.flush()
        return bool(self._hears(name)["done"])

    def end(self) -> None:
        """End them by the end of their input."""
        for process in self.processes.values():
            assert process.stdin is not None
            process.stdin.close()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def erring(seed: int, *about: object, shares: tuple[float, float] = (SHARE_OF_COMMITS, SHARE_OF_OTHERS)) -> tuple[Choice, Counter[str]]:
    """A choice of faults for a proxy, drawn from a seed in the order of the requests; and how many there were of each."""
    draw, given, lock = dice(seed, *about), Counter[str](), threading.Lock()

    def choose(method: str, path: str, headers: Mapping[str, str]) -> Fault | None:
        commit = method == "PUT" and any(k.lower() == "if-none-match" for k in headers)
        with lock:
            if draw.random() >= (shares[0] if commit else shares[1]):
                return None
            fault = draw.choice(FAULTS)
            given[fault] += 1
        return fault

    return choose, given


@contextlib.contextmanager
def between(place: Place, choose: Choice | None) -> Iterator[str]:
    """The address of the place's server, or of a proxy before it that errs."""
    there = s3_server.credentials(place.settings)[0]
    if choose is None:
        yield there
        return
    with fault_proxy(there) as faults:
        faults.choose = choose
        yield faults.endpoint


def race(place: Place, seed: int, drivers: int, commits: int, *, log_store: str | None = None, faulty: bool = False, beside: bool = True) -> Result:
    """A race as a result: every commit that a driver said was done is in the table once; one that it said had failed is there once or not at all."""
    log = "Delta's default LogStore" if log_store else "our LogStore"
    name = f"{drivers} drivers{', delta-rs beside them' if beside else ''}, {log}{', a server that errs' if faulty else ''}"
    holds = "Delta's own loses some: else this race shows nothing" if log_store else "every acknowledged commit is in the table, once"
    result = Result("races", name, f"{name}: {commits} commits, seed {seed}", holds)
    result.commits = commits
    return result


def raced(place: Place, result: Result, seed: int, drivers: int, commits: int, log_store: str | None, faulty: bool, beside: bool) -> None:
    """Run a race, round by round: all start each round together, on the same version."""
    lake = f"race-{seed}-{drivers}-{int(faulty)}-{int(bool(log_store))}"
    place.remove(lake)
    store = place.store(lake)
    table, options = store.delta_uri("silver.race"), store.delta_options()
    deltalake.DeltaTable.create(table, SCHEMA, storage_options=options)
    choose, given = erring(seed, lake)
    said: Counter[tuple[str, int]] = Counter()
    unsure: set[tuple[str, int]] = set()
    result.commits = 0
    with between(place, choose if faulty else None) as endpoint:
        racing = Drivers(place, place.root(lake), drivers, log_store, endpoint)
        mine = place.store(lake, endpoint).delta_options()

        def by_delta_rs(n: int) -> bool:
            try:
                deltalake.write_deltalake(table, pa.Table.from_pydict({"driver": ["rust"], "n": [n]}, SCHEMA), mode="append", storage_options=mine)
            except (deltalake.exceptions.DeltaError, OSError):
                return False
            return True

        try:
            with ThreadPoolExecutor(drivers + 1) as threads:
                n = 0
                while sum(said.values()) + len(unsure) < commits:
                    answers = {who: threads.submit(racing.append, who, store.uri("silver.race"), n) for who in racing.processes}
                    if beside and n % 4 == 0:  # Spark reads a table's state anew after each commit of delta-rs: not in every round
                        answers["rust"] = threads.submit(by_delta_rs, n)
                    for who, answer in answers.items():
                        if answer.result():
                            said[who, n] += 1
                        else:
                            unsure.add((who, n))
                    n += 1
        finally:
            racing.end()
    rows = Counter((r["driver"], r["n"]) for r in deltalake.DeltaTable(table, storage_options=options).to_pyarrow_table().to_pylist())
    result.commits, result.expected = said.total(), said.total()
    result.lost = (said - rows).total()
    more = rows - said
    result.doubled = sum(count - (key in unsure) for key, count in more.items())
    if log_store:
        if not result.lost:
            result.told.append("Delta's own LogStore lost nothing: this race cannot show that ours does not")
    elif result.lost or result.doubled:
        extra = {key: count for key, count in more.items() if count > (key in unsure)}
        result.told.append(f"lost {sorted((said - rows).elements())[:5]}, doubled {sorted(extra)[:5]} of {dict(given)}")
    if faulty:
        print(f"    faults: {dict(given)}; {len(unsure)} commits answered as failed, {sum(k in rows for k in unsure)} of them are there", flush=True)
    if not result.told:
        place.remove(lake)


RACES: Sequence[tuple[int, str | None, bool, bool, float]] = (
    # drivers, log store, a server that errs, delta-rs beside, share of the commits
    (2, None, False, True, 1.0),
    (3, None, False, True, 1.0),
    (2, STOCK, False, False, 0.2),
    (2, None, True, True, 0.5),
    (3, None, True, False, 0.5),
)


def races(place: Place, seed: int, commits: int, tally: Tally) -> None:
    """All races."""
    for drivers, log_store, faulty, beside, share in RACES:
        count = max(30, int(commits * share))
        result = race(place, seed, drivers, count, log_store=log_store, faulty=faulty, beside=beside)
        tally.run(result, lambda r, a=(seed, drivers, count, log_store, faulty, beside): raced(place, r, *a))


def night_with_errors(place: Place, twin: Twin, seed: int, number: int, tally: Tally) -> None:
    """A whole night through a server that errs: it ends well or says why, and the next one, through a good server, ends it."""
    from tests.chaos.kills import HOLDS, recovered

    choose, given = erring(seed, "night", number, shares=(1 / 12, 1 / 60))

    def work(result: Result) -> None:
        name = place.copy(twin.before[ORDER[0]], f"errs-{seed}-{number}")
        with between(place, choose) as endpoint:
            began = time.monotonic()
            command = place.start(name, "nightly", endpoint=endpoint)
            code = command.wait()
        print(f"    the night ended with {code} after {time.monotonic() - began:.0f} s; faults: {dict(given)}", flush=True)
        if code and "next:" not in command.said():
            result.told.append(f"it ended with {code} and told no next step: {command.said()[-2000:]}")
        recovered(place, name, twin, result)

    tally.run(Result("races", "nights through a server that errs", f"night with errors {number}, seed {seed}", HOLDS), work)
