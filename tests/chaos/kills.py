"""Kills: at every boundary of a run, at every grain, and at random moments; then the night again, and every table against the undisturbed one.

A training rank is not killed here: tests/lake/models/test_train.py and tests/lake/test_run_models.py kill it, and resume from its checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from lake import server as s3_server
from tests.chaos.place import Place, Twin, dice, kill, staged_file
from tests.chaos.project import ORDER
from tests.chaos.tally import Result
from tests.lake.fault_proxy import Choice, Fault, fault_proxy

# Where a night is killed on its way through one address; those with a mark at their name are aimed from outside, the others hold there.
# After one of the last four the address is done, and the next night goes on with the one after it.
BOUNDARIES = {
    "listed": "before its intent, the ledger's lines written",
    "planned": "its intent written, nothing else",
    "writing*": "in the middle of its data files",
    "written": "its data files written",
    "rejected": "its rejects written",
    "checked": "its verdict written",
    "staged": "all but its commit",
    "asked*": "its commit's PUT sent, and not arrived",
    "unanswered*": "its commit in the table, the answer not heard",
    "committed": "its commit answered",
    "closed": "the ledger's files closed, `published` not written",
    "published": "all of it written",
}
LAST = ("unanswered*", "committed", "closed", "published")
RESTORES = ("planned", "staged", "committed")
HOLDS = "after the next night every table has the rows of the undisturbed one, its books are whole, and one more night commits nothing"
EIGHT_DAYS = timedelta(days=8).total_seconds()  # upkeep keeps seven days of what no version names


def boundary(place: Place, twin: Twin, seed: int, point: str, address: str) -> Callable[[Result], None]:
    """A night that dies at a boundary of one address."""

    def work(result: Result) -> None:
        name = place.copy(twin.before[address], f"{point.strip('*')}-{address}-{seed}")
        at_boundary(place, name, point, address)
        result.kills = 1
        result.at.append(f"{point.strip('*')}:{address}")
        recovered(place, name, twin, result)

    return work


def at_boundary(place: Place, name: str, point: str, address: str) -> None:
    """Kill a night at a boundary of an address: it, its JVM and its workers, as a machine dies."""
    if point == "writing*":
        place.killed_when(name, staged_file(place, name, address))
    elif point in ("asked*", "unanswered*"):
        commit = re.compile(rf"/{re.escape(name)}/{address.replace('.', '/')}/_delta_log/\d+\.json")
        fault: Fault = "hold before" if point == "asked*" else "hold after"

        def choose(method: str, path: str, _: Mapping[str, str]) -> Fault | None:
            return fault if method == "PUT" and commit.search(path) else None

        with proxied(place, choose) as (endpoint, holding):
            place.killed_when(name, holding, endpoint=endpoint)
    else:
        place.killed_at(name, f"{point}:{address}")


def in_turn(place: Place, twin: Twin, seed: int, turn: int, address: str) -> Callable[[Result], None]:
    """A night that is killed at one boundary of an address after the other: each recovery but the last is killed too.

    Of the four last boundaries it meets one, and another one in another `turn`.
    """

    def work(result: Result) -> None:
        name = place.copy(twin.before[address], f"turn-{turn}-{address}-{seed}")
        for point in (*(p for p in BOUNDARIES if p not in LAST), LAST[(turn + ORDER.index(address)) % 4]):
            at_boundary(place, name, point, address)
            result.kills += 1
            result.at.append(f"{point.strip('*')}:{address}")
            result.told += [f"{a} held something half done after {result.at[-1]}" for a in place.half(name, twin.first, twin.last)]
        recovered(place, name, twin, result)

    return work


@contextlib.contextmanager
def proxied(place: Place, choose: Choice) -> Iterator[tuple[str, Callable[[], bool]]]:
    """The fault proxy before the place's server: its address, and whether it holds a request."""
    with fault_proxy(s3_server.credentials(place.settings)[0]) as faults:
        faults.choose = choose
        yield faults.endpoint, faults.holding.is_set


def recovered(place: Place, name: str, twin: Twin, result: Result, *, ledger: bool = True, keep: bool = False) -> None:
    """Nothing half done is visible; the next night ends well, with the twin's rows; one more changes nothing."""
    result.holds, result.expected = HOLDS, twin.last.count
    result.told += [f"{a} held something half done after the kill" for a in place.half(name, twin.first, twin.last)]
    nights = place.brought_to_an_end(name)
    result.nights += len(nights)
    if nights[-1].code != 0:
        result.told.append(f"the night ended with {nights[-1].code}: {nights[-1].said()[-3000:]}")
    difference = place.compared(name, twin.last, ledger=ledger)
    result.lost, result.doubled = difference.lost, difference.doubled
    result.told += difference.told
    before = place.versions(name)
    again = place.night(name)
    if again.code != 0 or place.versions(name) != before:
        result.told.append(f"one more night ended with {again.code} and versions {place.versions(name)} in place of {before}")
    if not result.told and not keep:
        place.remove(name)


def restoring(place: Place, twin: Twin, seed: int, point: str, address: str) -> Callable[[Result], None]:
    """A restore to the first night's version that dies on its way; the night after it takes in again what came since, or finds nothing to do."""

    def work(result: Result) -> None:
        name = place.copy(twin.name, f"restore-{point}-{address}-{seed}")
        place.killed_at(name, f"{point}:{address}", "restore", address, "--to", "1")
        result.kills = 1
        recovered(place, name, twin, result, ledger=False)

    return work


def compacting(place: Place, twin: Twin, seed: int, address: str) -> Callable[[Result], None]:
    """Upkeep that dies between a compaction and its checkpoint."""

    def work(result: Result) -> None:
        name = place.copy(twin.before[ORDER[-1]], f"compacted-{address}-{seed}")
        place.killed_at(name, f"compacted:{address}")
        result.kills = 1
        recovered(place, name, twin, result)

    return work


def removing(place: Place, twin: Twin, seed: int, address: str) -> Callable[[Result], None]:
    """Two nights die with staged files, a week goes by, the upkeep of the third dies when it has removed one of them."""

    def work(result: Result) -> None:
        name = place.copy(twin.before[address], f"removed-{address}-{seed}")
        known = data_files(place, name, address)
        for _ in (1, 2):
            place.killed_at(name, f"staged:{address}")
        left = data_files(place, name, address) - known
        for file in place.disk(name).rglob("*.parquet"):
            os.utime(file, (time.time() - EIGHT_DAYS,) * 2)
        place.killed_at(name, f"removed:{address}")
        result.kills = 3
        recovered(place, name, twin, result, keep=True)
        stays = data_files(place, name, address) & left
        if not left or stays:
            result.told.append(f"of {len(left)} files that killed runs left, {len(stays)} are still there")
        place.remove(name)

    return work


def data_files(place: Place, name: str, address: str) -> set[Path]:
    """Data files in a table's folder, named by a version or not."""
    folder = place.disk(name) / address.replace(".", "/")
    return {f for f in folder.rglob("*.parquet") if "_delta_log" not in f.parts}


Case = tuple[Result, Callable[[Result], None]]


def at_boundaries(place: Place, twin: Twin, seed: int, turn: int, grains: Sequence[str], points: Sequence[str]) -> Iterator[Case]:
    """Nights killed at every boundary of every grain in turn, then each boundary of each grain alone; restores and upkeep."""
    for address in grains if not points or "turns" in points else ():
        case = Result("kills", "one night after the other, each a boundary further", f"turn {turn}: {address}, seed {seed}", HOLDS)
        yield case, in_turn(place, twin, seed, turn, address)
    for point in RESTORES:
        for address in grains:
            if not points or "restore" in points:
                case = Result("kills", "a restore, planned, staged or committed", f"restore {point}:{address}, seed {seed}", HOLDS)
                yield case, restoring(place, twin, seed, point, address)
    if not points or "upkeep" in points:
        case = Result("kills", "upkeep, between a compaction and its checkpoint", f"compacted:ops.runs, seed {seed}", HOLDS)
        yield case, compacting(place, twin, seed, "ops.runs")  # after two nights no other table has files enough to be compacted
        for address in grains[:2]:
            case = Result("kills", "upkeep, among the files that it removes", f"removed:{address}, seed {seed}", HOLDS)
            yield case, removing(place, twin, seed, address)
    for point in BOUNDARIES:
        for address in grains:
            if not points or point.strip("*") in points:
                case = Result("kills", "a night at one boundary, ended by the next", f"{point.strip('*')}:{address}, seed {seed}", HOLDS)
                yield case, boundary(place, twin, seed, point, address)


WHOM = {"all": "a night and all its processes", "driver": "its Python alone, the JVM left to itself", "jvm": "its JVM alone",
        "worker": "a Python worker", "server": "the S3 server, up again within 3 s"}  # fmt: skip


def at_random(place: Place, twin: Twin, seed: int, number: int) -> Case:
    """One kill at a moment drawn from the whole night: of the machine, of one process of it, or of the server under it."""
    draw = dice(seed, "random", number)
    whom = draw.choices(list(WHOM), (50, 15, 15, 10, 10))[0]
    moment = draw.uniform(0.0, twin.seconds)
    rest = draw.uniform(0.0, 3.0)

    def work(result: Result) -> None:
        name, at = f"random-{seed}-{number}", moment
        while not result.kills:  # a night that ended before its moment is taken again, with an earlier one
            place.remove(name)
            place.copy(twin.before[ORDER[0]], name)
            command = place.start(name, "nightly")
            if whom != "worker":  # one lives for a second or two of a night: the first one is killed
                command.gone.wait(at)
            if whom == "server":
                result.kills = int(server_killed(place, rest))
            while whom != "server" and not result.kills and not command.gone.is_set():  # a JVM may not be born yet at that moment
                result.kills = int(kill(command, whom))  # pyright: ignore[reportArgumentType]
                time.sleep(0.01)
            command.wait()
            at *= 0.7
        recovered(place, name, twin, result)

    return Result("random", WHOM[whom], f"random {number}: {whom} at {moment:.1f} s, seed {seed}", HOLDS, alone=whom == "server"), work


def server_killed(place: Place, rest: float) -> bool:
    """Kill -9 of the S3 server, and after a rest its start on the same data and port."""
    pid = s3_server.up(place.settings).pid
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2 + rest)  # a killed JVM's threads hold its port a little longer
    s3_server.up(place.settings)
    return True
