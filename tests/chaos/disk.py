"""Full disks: under the lake, and under Spark's own files: a small tmpfs, filled up. On Linux, as root: else it is said and left out."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.kills import HOLDS, recovered
from tests.chaos.place import Place, Twin, dice
from tests.chaos.project import ORDER, weather
from tests.chaos.tally import Result, Tally

TMPFS_MIB = 24
# A second night of the small project writes some 600 kB: from no byte at all to nearly enough.
MOST_FREE = 500_000


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of some MiB; None where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MIB}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def filled(folder: Path, free: int) -> Path:
    """A ballast that leaves about so many bytes free (whole pages)."""
    ballast = folder / "ballast"
    there = os.statvfs(folder)
    with ballast.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, max(1, there.f_bavail * there.f_bsize - free))
    return ballast


def full_disks(place: Place, seed: int, cases: int, tally: Tally) -> None:
    """A night on a disk that fills up under it fails and says so, shows nothing half done, and ends well when there is space again."""
    if all(tally.done(_case(seed, n, cases)) for n in range(cases)):
        return
    with small_disk(place.folder / "small") as disk:
        if disk is None:
            tally.console.print("disk: left out: no tmpfs can be mounted here (it takes root on Linux)", style="yellow")
            return
        here = place.in_folders(disk)
        twin = Twin.made(here, seed, weather(seed))
        for number in range(cases):
            tally.run(
                Result("disk", _name(number, cases), _case(seed, number, cases), HOLDS),
                lambda r, n=number: _full(here, disk, twin, seed, n, cases, r),
            )


def _full(here: Place, disk: Path, twin: Twin, seed: int, number: int, cases: int, result: Result) -> None:
    name = here.copy(twin.before[ORDER[0]], f"full-{seed}-{number}")
    if _name(number, cases).startswith("under Spark"):
        spark = disk / "spark"
        spark.mkdir()
        ballast = filled(disk, 0)
        shutil.copytree(here.disk(name), here.folder.parent / "elsewhere" / "roots" / name)  # the lake itself has space
        there = here.in_folders(here.folder.parent / "elsewhere")
        command = there.night(name, SPARK_LOCAL_DIRS=str(spark))
    else:
        there = here
        ballast = filled(disk, int(dice(seed, "disk", number).uniform(0, MOST_FREE)))
        command = there.night(name)
    code = command.code
    ballast.unlink()
    shutil.rmtree(disk / "spark", ignore_errors=True)
    told = command.said()
    if code and "next:" not in told:
        result.told.append(f"it ended with {code} and told no next step: {told[-2500:]}")
    if code == 0 and number == 0:
        result.told.append("the night ended well on a full disk")
    print(f"    the night on the full disk ended with {code}: {next((x for x in told.splitlines() if 'space' in x), '')[:300]}", flush=True)
    recovered(there, name, twin, result)
    there.remove(name)


def _name(number: int, cases: int) -> str:
    return "under Spark's own files" if number == cases - 1 else "under the lake"


def _case(seed: int, number: int, cases: int) -> str:
    return f"disk full {_name(number, cases)} {number}, seed {seed}"
