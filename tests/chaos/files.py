"""Raw files that change under a night: overwritten, appended to, taken away and delivered again, rotated."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.chaos.place import NIGHT_SECONDS, Command, Place, Twin, dice, sums
from tests.chaos.project import ORDER, Row, told, weather
from tests.chaos.tally import Result, Tally

HOLDS = "in the end bronze has each row of the files as they lie there once, and every later table their sum"


def changed(place: Place, name: str, twin: Twin, seed: int, how: str, result: Result) -> None:
    """One night, held between its plan and its reading, while a file changes; then nights until all is in."""
    first, second = weather(seed)
    place.copy(twin.before[ORDER[0]], name)
    files: dict[str, list[Row]] = {**first, **second}
    other, _ = weather(seed + 1000)
    go_on = place.settings.state / f"go-on-{name}"
    stop, writing = threading.Event(), None
    raw = place.disk(name) / "raw" / "readings"
    command = place.start(name, "nightly", LAKE_HOLD_AT=f"planned:{ORDER[0]}", LAKE_HOLD_UNTIL=str(go_on))
    assert command.holds(f"planned:{ORDER[0]}"), command.said()[-3000:]
    if how == "overwritten between plan and read":
        files["c.csv"] = other["a.csv"]
        place.land(name, {"c.csv": files["c.csv"]})
    elif how == "deleted and delivered again":
        place.store(name).delete("raw/readings/c.csv") if place.on_s3 else (raw / "c.csv").unlink()
    elif how == "rotated":  # the old content goes on under another name, a new file begins under the old one
        files["d.csv"], files["c.csv"] = files["c.csv"], other["b.csv"]
        (raw / "c.csv").rename(raw / "d.csv")
        place.land(name, {"c.csv": files["c.csv"]})
    elif how == "appended while read":
        files["c.csv"] = [*files["c.csv"]]
        writing = threading.Thread(target=_appending, args=(raw / "c.csv", files["c.csv"], other["a.csv"], stop))
    elif how == "overwritten again and again":
        writing = threading.Thread(target=_overwriting, args=(place, name, files, seed, command, stop))
    if writing:
        writing.start()
    end = time.monotonic() + NIGHT_SECONDS
    while not command.gone.wait(0.1) and time.monotonic() < end:
        go_on.touch()  # a plan that a change made wrong is made once more, and held once more
    code = command.wait(1)
    stop.set()
    if writing:
        writing.join()
    go_on.unlink(missing_ok=True)
    if how == "deleted and delivered again":
        place.land(name, {"c.csv": files["c.csv"]})
    if code and "next:" not in command.said():
        result.told.append(f"the night ended with {code} and told no next step: {command.said()[-3000:]}")
    nights = place.brought_to_an_end(name)
    result.nights = 1 + len(nights)
    if nights[-1].code:
        result.told.append(f"the last night ended with {nights[-1].code}: {nights[-1].said()[-3000:]}")
    _as_it_lies(place, name, files, result)
    before = place.versions(name)
    again = place.night(name)
    if again.code or place.versions(name) != before:
        result.told.append(f"one more night ended with {again.code} and versions {place.versions(name)} in place of {before}")
    if not result.told:
        place.remove(name)


def _as_it_lies(place: Place, name: str, files: dict[str, list[Row]], result: Result) -> None:
    """Bronze against the files, row for row; the other tables against what Python makes of these rows."""
    expected = Counter((file, s, d, float(v)) for file, rows in files.items() for s, d, v in rows if v != "NA")
    delta = place.delta(name, ORDER[0])
    assert delta is not None
    columns = ["file", "station", "day", "value"]
    found = Counter((r["file"], r["station"], str(r["day"]), r["value"]) for r in delta.to_pyarrow_table(columns=columns).to_pylist())
    result.expected, result.lost, result.doubled = expected.total(), (expected - found).total(), (found - expected).total()
    if expected != found:
        result.told.append(f"bronze lost {list((expected - found).items())[:3]}, has beside {list((found - expected).items())[:3]}")
    must = told(files)
    if sums(place.rows(name)) != must.rows:
        result.told.append(f"tables have {sums(place.rows(name))} rows in place of {must.rows}")
    seen = place.seen(name)
    result.told += seen.wrong
    totals = place.delta(name, ORDER[-1])
    assert totals is not None
    totals_are = {r["station"]: r["total"] for r in totals.to_pyarrow_table().to_pylist()}
    if totals_are != must.totals:
        result.told.append(f"gold.totals says {totals_are} in place of {must.totals}")


def _appending(path: Path, rows: list[Row], more: list[Row], stop: threading.Event) -> None:
    """Add row after row to a file, as a logger does; `rows` says what it holds."""
    for n in range(4000):
        if stop.wait(0.01):
            return
        row = more[n % len(more)]
        with path.open("ab") as out:
            out.write(f"{','.join(row)}\n".encode())
        rows.append(row)


def _overwriting(place: Place, name: str, files: dict[str, list[Row]], seed: int, command: Command, stop: threading.Event) -> None:
    draw = dice(seed, name)
    for n in range(200):
        files["c.csv"] = weather(seed + 2000 + n)[0]["a.csv"]
        place.land(name, {"c.csv": files["c.csv"]})
        if stop.wait(draw.uniform(0.1, 0.6)) or command.gone.is_set():
            return


BOTH = ("overwritten between plan and read", "deleted and delivered again", "overwritten again and again")
IN_FOLDERS = ("appended while read", "rotated")


def changing(places: Callable[[bool], tuple[Place, Twin]], seed: int, tally: Tally) -> None:
    """Every way to change a file, in the bucket and in a folder."""
    for on_s3, ways in ((True, BOTH), (False, (*BOTH, *IN_FOLDERS))):
        for how in ways:
            where = "in the bucket" if on_s3 else "in a folder"
            result = Result("files", f"{how}", f"{how} {where}, seed {seed}", HOLDS)
            if tally.done(result.case) or tally.over():
                continue
            place, twin = places(on_s3)
            name = f"files-{how.replace(' ', '-')}-{'s3' if on_s3 else 'folder'}-{seed}"
            tally.run(result, lambda r, p=place, t=twin, n=name, h=how: changed(p, n, t, seed, h, r))
