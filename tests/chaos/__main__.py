"""`make chaos`: break a lake in every way we know, and count what is lost and doubled. Exit code 0 only when all holds that must.

make chaos                                  everything: hours
make chaos ARGS="--only random --kills 20"  one part
make chaos ARGS="--minutes 5 --keep DIR"    as much as five minutes give; the same again goes on where it ended
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.chaos import disk, files, kills, races
from tests.chaos.place import CHECKOUT, Place, Twin
from tests.chaos.project import ORDER, weather
from tests.chaos.tally import Tally

POINTS = tuple(p.strip("*") for p in kills.BOUNDARIES)
OTHERS = ("turns", "restore", "upkeep")
PARTS = ("kills", "random", "races", "disk", "files")


def main() -> int:
    """Parse the arguments, run the parts, show the table."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7, help="of data, moments and faults")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS, help="these parts")
    parser.add_argument("--repeats", type=int, default=5, help="times that each boundary is killed at, on other data each time")
    parser.add_argument("--points", nargs="*", default=[], help=f"only these: {', '.join((*POINTS, *OTHERS))}")
    parser.add_argument("--grains", nargs="*", default=list(ORDER), choices=ORDER, help="only these addresses")
    parser.add_argument("--kills", type=int, default=80, help="kills at random moments")
    parser.add_argument("--commits", type=int, default=500, help="commits of a race")
    parser.add_argument("--nights", type=int, default=5, help="nights through a server that errs")
    parser.add_argument("--disks", type=int, default=6, help="nights on a disk that is full")
    parser.add_argument("--at-once", type=int, default=2, help="nights side by side; one needs a core and 2 GB")
    parser.add_argument("--hours", type=float, default=0.0, help="go on with random kills and races until so many hours are over")
    parser.add_argument("--minutes", type=float, help="start no case after so many minutes")
    parser.add_argument("--keep", type=Path, help="folder of the lakes and results: what is in it is not run again")
    parser.add_argument("--table", type=Path, help="write the table as Markdown")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server and the commands end with us
    console = Console(highlight=False)
    if told.keep:
        told.keep.mkdir(parents=True, exist_ok=True)
    tally = Tally(told.keep and told.keep / "results.jsonl", told.minutes, console)
    grains = tuple(told.grains)
    points = len(told.points) or len(kills.BOUNDARIES) + 5
    tally.planned = sum(r.part not in told.only for r in tally.results) + sum((
        told.repeats * (points * len(grains)) if "kills" in told.only else 0, told.kills if "random" in told.only else 0,
        len(races.RACES) + told.nights if "races" in told.only else 0, told.disks if "disk" in told.only else 0, 8 if "files" in told.only else 0,
    ))  # fmt: skip
    with folder_of(told.keep) as folder, Place.opened(folder) as place:
        os.environ["LAKE_PROJECT"] = str(place.folder / "project")
        made: dict[tuple[bool, int], Twin] = {}

        def twin(seed: int, on_s3: bool = True) -> Twin:
            if (on_s3, seed) not in made:
                console.print(f"two undisturbed nights of seed {seed} {'in the bucket' if on_s3 else 'in a folder'} ...")
                made[on_s3, seed] = Twin.made(place if on_s3 else place.in_folders(), seed, weather(seed))
            return made[on_s3, seed]

        if "kills" in told.only:
            for repeat in range(told.repeats):
                if not tally.over():
                    seed = told.seed + repeat
                    tally.run_all(kills.at_boundaries(place, twin(seed), seed, repeat, grains, told.points), told.at_once)
        until, round_ = time.monotonic() + told.hours * 3600, 0
        while round_ == 0 or (time.monotonic() < until and not tally.over()):
            seed = told.seed + 10_000 * round_
            if "random" in told.only and not tally.over():
                tally.run_all([kills.at_random(place, twin(told.seed), seed, number) for number in range(told.kills)], told.at_once)
            if "races" in told.only and not tally.over():
                races.races(place, seed, told.commits, tally)
                for number in range(told.nights):
                    races.night_with_errors(place, twin(told.seed), seed, number, tally)
            round_ += 1
        if "disk" in told.only and not tally.over():
            disk.full_disks(place, told.seed, told.disks, tally)
        if "files" in told.only and not tally.over():
            files.changing(lambda on_s3: (place if on_s3 else place.in_folders(), twin(told.seed, on_s3)), told.seed, tally)
    console.print(tally.shown())
    if told.table:
        told.table.write_text(f"{tally.markdown()}\n{tally.grid(POINTS, ORDER)}")
    failed = [r for r in tally.results if r.told]
    for r in failed:
        console.print(f"{r.case}: must hold: {r.holds}", markup=False, style="red", soft_wrap=True)
    return 1 if failed or not tally.results else 0


@contextlib.contextmanager
def folder_of(kept: Path | None) -> Iterator[Path]:
    """The folder to work in: one that stays, or one for this run."""
    if kept is None:
        (CHECKOUT / ".lake" / "chaos").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CHECKOUT / ".lake" / "chaos") as folder:
            yield Path(folder)
    else:
        yield kept.absolute()


if __name__ == "__main__":
    raise SystemExit(main())
