"""The log and sensor samples are what their manifest says, and what samples/make.py makes.

Every fact is counted from the bytes, in plain Python and without the product's readers, so that a test of the product
may lean on the manifest. After a wanted change: python samples/make.py, then write the new figures into the manifest.
"""

import bz2
import csv
import io
import json
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
RAW = SAMPLES / "raw"
MANIFEST = RAW / "MANIFEST.logs-and-sensors.md"

EVENT = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\] (TRACE|DEBUG|INFO|WARN|ERROR|FATAL) ")
REQUEST = re.compile(r'^(\S+) \S+ \S+ \[([^\]]+)\] "\S+ \S+ HTTP/1\.[01]" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"$')
SYSLOG = re.compile(r"^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([\w-]+)(?:\[(\d+)\])?: (.*)$")

Facts = dict[tuple[str, str], str]


def test_every_fact_of_the_manifest_holds() -> None:
    assert recounted() == claimed()


def test_the_files_are_what_the_script_makes() -> None:
    """Exit code 0 of `make.py --check`: nothing missing, changed or left over."""
    checked = subprocess.run([sys.executable, SAMPLES / "make.py", "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_is_small_and_two_days_long() -> None:
    files = [path for folder in ("logs", "sensors") for path in (RAW / folder).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_400_000
    events = [moment(when, "%Y-%m-%d %H:%M:%S,%f") for broker in (0, 1) for when, _, _ in kafka_events(broker)]
    assert (min(events).day, max(events).day) == (10, 11)
    assert int(claimed()["all logs", "events"]) >= 2_000


def test_the_incident_shows_where_it_should() -> None:
    """A page that draws errors by the hour gets its peak at 14 h of the second day, in both logs; day 1 is calm."""
    wrong = Counter(f"{when:%d-%H}" for when, status in requests() if status >= 500)
    assert wrong.most_common(1)[0][0] == "11-14"
    assert sum(n for hour, n in wrong.items() if hour.startswith("10")) <= 3
    errors = Counter(when[8:13] for broker in (0, 1) for when, level, _ in kafka_events(broker) if level in ("ERROR", "FATAL"))
    assert errors.most_common(1)[0][0] == "11 14"
    assert not [hour for hour in errors if hour.startswith("10")]


def test_no_address_belongs_to_anybody() -> None:
    """Only blocks for documentation (RFC 5737), private networks and the machine itself."""
    for path in (RAW / "logs").rglob("*"):
        if path.is_file() and path.parent.name in ("apache_access", "sshd_auth", "BGL", "HDFS", "Linux"):
            for line in path.read_text().splitlines():
                for address in re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", re.sub(r'"[^"]*"$|\w+/\d[\d.]*', "", line)):
                    assert re.match(r"(192\.0\.2|198\.51\.100|203\.0\.113|10\.20\.\d+|0\.0\.0)\.\d+$", address), line


def claimed() -> Facts:
    """The rows of the manifest's last table: folder, fact, figure."""
    table = MANIFEST.read_text(encoding="utf-8").partition("## Facts, counted")[2]
    rows = [line.strip("|\n ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {(where, fact): figure for where, fact, figure in rows if where != "below raw/"}


def recounted() -> Facts:
    facts: Facts = {}
    for broker in (0, 1):
        facts |= about(f"logs/kafka/kafka{broker}", kafka_facts(broker))
    facts |= about("logs/apache_access", access_facts())
    facts |= about("logs/sshd_auth", auth_facts())
    good = sum(1 for _ in requests())
    lines = len((RAW / "logs/sshd_auth/auth.log").read_text().splitlines())
    kafka = sum(1 for broker in (0, 1) for _ in kafka_events(broker))
    facts |= about("all logs", {"events": kafka + good + lines})
    for system in ("BGL", "HDFS", "Linux"):
        facts |= about(f"logs/loghub/{system}", loghub_facts(RAW / "logs/loghub" / system))
    windows: dict[str, list[list[str]]] = json.loads((RAW / "sensors/nab/combined_windows.subset.json").read_text())
    for path in sorted((RAW / "sensors/nab").glob("*/*.csv")):
        key = path.relative_to(RAW / "sensors/nab").as_posix()
        facts |= about(f"sensors/nab/{key}", nab_facts(path, windows[key]))
    facts |= about("sensors/air_quality_it", air_facts())
    for path in sorted((RAW / "sensors/beijing_air").glob("*.csv")):
        facts |= about(f"sensors/beijing_air/{path.name.split('_')[2]}", beijing_facts(path))
    for name in ("datatest.txt", "datatraining.txt"):
        facts |= about(f"sensors/occupancy/{name}", occupancy_facts(RAW / "sensors/occupancy" / name))
    return facts


def about(where: str, found: dict[str, object]) -> Facts:
    return {(where, fact): str(value) for fact, value in found.items()}


def kafka_facts(broker: int) -> dict[str, object]:
    files = sorted((RAW / f"logs/kafka/kafka{broker}").iterdir())
    lines = [line for path in files for line in lines_of(path)]
    events = list(kafka_events(broker))
    levels = Counter(level for _, level, _ in events)
    backward = 0
    for path in files:
        times = [found[1] for line in lines_of(path) if (found := EVENT.match(line))]
        backward += sum(later < earlier for earlier, later in pairwise(times))
    traces = [below for _, _, below in events if any(line.startswith("\tat ") for line in below)]
    return {
        "files": len(files),
        "empty files": sum(path.stat().st_size == 0 for path in files),
        "files that end without a newline": sum(not path.read_bytes().endswith(b"\n") for path in files if path.stat().st_size),
        "lines": len(lines),
        "events": len(events),
        "continuation lines": len(lines) - len(events),
        "events of several lines": sum(bool(below) for _, _, below in events),
        "events with a stack trace": len(traces),
        "events with `Caused by:`": sum(any(line.startswith("Caused by: ") for line in below) for below in traces),
        **{level: levels[level] for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")},
        "backward timestamps inside files": backward,
        "first": min(when for when, _, _ in events),
        "last": max(when for when, _, _ in events),
    }


def kafka_events(broker: int) -> Iterator[tuple[str, str, list[str]]]:
    """Time, level and the lines below the first one, of every event of a broker."""
    for path in sorted((RAW / f"logs/kafka/kafka{broker}").iterdir()):
        below: list[str] = []
        for line in lines_of(path):
            if found := EVENT.match(line):
                below = []
                yield found[1], found[2], below
            else:
                below.append(line)


def access_facts() -> dict[str, object]:
    lines = lines_of(RAW / "logs/apache_access/apache_logs")
    bad = [number for number, line in enumerate(lines, 1) if not REQUEST.match(line)]
    times = [when for when, _ in requests()]
    status = Counter(status for _, status in requests())
    return {
        "lines": len(lines),
        "malformed line numbers": ", ".join(map(str, bad)),
        "exact duplicates": len(lines) - len(set(lines)),
        "backward timestamps": sum(later < earlier for earlier, later in pairwise(times)),
        "IPv6 clients": sum(line.startswith("2001:db8:") for line in lines),
        "lines whose size is `-`": sum(found[4] == "-" for line in lines if (found := REQUEST.match(line))),
        "statuses of the good lines": " ".join(f"{code}:{n}" for code, n in sorted(status.items())),
        "5xx from 13:52 to 15:20 of day 2": sum(status >= 500 and "11 13:52" <= f"{when:%d %H:%M}" < "11 15:20" for when, status in requests()),
        "first": f"{min(times):%Y-%m-%dT%H:%M:%S}",
        "last": f"{max(times):%Y-%m-%dT%H:%M:%S}",
    }


def requests() -> Iterator[tuple[datetime, int]]:
    for line in lines_of(RAW / "logs/apache_access/apache_logs"):
        if found := REQUEST.match(line):
            yield moment(found[2], "%d/%b/%Y:%H:%M:%S +0000"), int(found[3])


def auth_facts() -> dict[str, object]:
    lines = lines_of(RAW / "logs/sshd_auth/auth.log")
    parsed = [found for line in lines if (found := SYSLOG.match(line))]
    times = [moment(f"2026 {found[1]}", "%Y %b %d %H:%M:%S") for found in parsed]
    return {
        "lines": len(lines),
        "lines that are no syslog": len(lines) - len(parsed),
        "exact duplicates": len(lines) - len(set(lines)),
        "backward timestamps": sum(later < earlier for earlier, later in pairwise(times)),
        "lines without a process id": sum(found[4] is None for found in parsed),
        "`Failed password` (not repeated)": sum(found[5].startswith("Failed password") for found in parsed),
        "`message repeated`": sum(found[5].startswith("message repeated") for found in parsed),
        "`Invalid user`": sum(found[5].startswith("Invalid user") for found in parsed),
        "`Accepted`": sum(found[5].startswith("Accepted") for found in parsed),
        "lines that name 203.0.113.77 in the attack": sum(
            "203.0.113.77" in found[5] and found[1] >= "Mar 10 22:14:20" and found[1] <= "Mar 10 22:42:00" for found in parsed
        ),
        "first": parsed[0][1],
        "last": parsed[-1][1],
    }


def loghub_facts(folder: Path) -> dict[str, object]:
    """Of a log, the same parsed, and its templates: every parsed message stands at the end of its line, and follows its template."""
    (log,), (structured,), (named,) = (list(folder.glob(f"*.log{end}")) for end in ("", "_structured.csv", "_templates.csv"))
    lines = log.read_bytes().decode().removesuffix("\r\n").split("\r\n")
    parsed, templates = table(structured), {row["EventId"]: row["EventTemplate"] for row in table(named)}
    assert [int(row["LineId"]) for row in parsed] == list(range(1, len(lines) + 1))
    assert all(line.strip().endswith(f" {row['Content']}") for line, row in zip(lines, parsed, strict=True))
    for row in parsed:
        assert row["EventTemplate"] == templates[row["EventId"]]
        assert re.fullmatch(".+".join(map(re.escape, row["EventTemplate"].split("<*>"))), row["Content"])
    return {
        "lines": len(lines),
        "line end": "CRLF",
        "newline at the end": "yes" if log.read_bytes().endswith(b"\n") else "no",
        "exact duplicates": len(lines) - len(set(lines)),
        "templates": len(templates),
        **({"alerts": sum(row["Label"] != "-" for row in parsed)} if "Label" in parsed[0] else {}),
        **({"lines without a process id": sum(not row["PID"] for row in parsed)} if "PID" in parsed[0] else {}),
    }


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file whose lines end in CRLF."""
    content = path.read_bytes().decode()
    assert "\n" not in content.replace("\r\n", "")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def nab_facts(path: Path, windows: list[list[str]]) -> dict[str, object]:
    content = path.read_bytes()
    header, *rows = content.decode().split("\r\n" if b"\r\n" in content else "\n")
    assert header == "timestamp,value"
    ends = rows[-1] == ""
    times = [datetime.fromisoformat(row.split(",")[0]) for row in rows if row]
    assert all(float(row.split(",")[1]) >= 0 for row in rows if row)
    inside = sum(any(datetime.fromisoformat(a) <= when <= datetime.fromisoformat(b) for a, b in windows) for when in times)
    return {
        "rows": len(times),
        "repeated timestamps": len(times) - len(set(times)),
        "backward steps": sum(later < earlier for earlier, later in pairwise(times)),
        "gaps": gaps(times),
        "windows": len(windows),
        "rows in windows": inside,
        "line end": "CRLF" if b"\r\n" in content else "LF",
        "newline at the end": "yes" if ends else "no",
    }


def air_facts() -> dict[str, object]:
    header, *rows = lines_of(RAW / "sensors/air_quality_it/AirQualityUCI.csv")
    cells = [row.split(";") for row in rows]
    real = [row for row in cells if row[0]]
    assert {len(row) for row in [header.split(";"), *cells]} == {17}
    assert all(row[15:] == ["", ""] for row in cells)
    times = [moment(f"{row[0]} {row[1]}", "%d/%m/%Y %H.%M.%S") for row in real]
    return {
        "rows": len(real),
        "rows of only `;`": len(cells) - len(real),
        "columns": f"{len(header.split(';'))}, of which {header.split(';').count('')} have no name and no values",
        "missing marks (-200 and -200,0)": sum(float(cell.replace(",", ".")) == -200 for row in real for cell in row[2:15]),
        "of these NMHC(GT)": sum(row[4] == "-200" for row in real),
        "gaps": gaps(times),
    }


def beijing_facts(path: Path) -> dict[str, object]:
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    header, *rows = path.read_bytes().decode().removesuffix("\r\n").split("\r\n")
    cells = [row.split(",") for row in rows]
    assert {len(row) for row in cells} == {18} == {len(header.split(","))}
    return {
        "rows": len(cells),
        "rows with any NA": sum("NA" in row for row in cells),
        "NA cells": sum(row.count("NA") for row in cells),
        "of these PM2.5": sum(row[5] == "NA" for row in cells),
    }


def occupancy_facts(path: Path) -> dict[str, object]:
    header, *rows = lines_of(path)
    cells = [row.split(",") for row in rows]
    times = [datetime.fromisoformat(row[1].strip('"')) for row in cells]
    return {
        "rows": len(cells),
        "names in the header": len(header.split(",")),
        "fields in a row": ", ".join(map(str, sorted({len(row) for row in cells}))),
        "first row number": cells[0][0].strip('"'),
        "occupied rows": sum(row[7] == "1" for row in cells),
        "gaps": gaps(times),
    }


def gaps(times: list[datetime]) -> int:
    """Steps of more than 1.5 times the median one, as silver.sensor_readings sees a hole; in order, without repeats."""
    steps = [(later - earlier) / timedelta(seconds=1) for earlier, later in pairwise(sorted(set(times)))]
    return sum(step > 1.5 * statistics.median(steps) for step in steps)


def moment(text: str, pattern: str) -> datetime:
    """A time as the file writes it; the zone does not matter here, so all are taken for UTC."""
    return datetime.strptime(text, pattern).replace(tzinfo=UTC)


def lines_of(path: Path) -> list[str]:
    """Lines that end in a newline only: neither a lone carriage return nor U+0085 ends one."""
    content = path.read_bytes().decode()
    return content.removesuffix("\n").split("\n") if content else []


def test_what_the_manifest_says_of_tagged_sentences_meanings_and_ratings_holds() -> None:
    sentences = {path.name: [s for s in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")) if s.strip()] for path in RAW.glob("text/w*/*")}
    assert {name: (len(found), len(found) - len(set(found))) for name, found in sentences.items()} == {
        "wnut17train.conll": (12, 1), "emerging.dev.conll": (3, 0), "emerging.test.annotated": (4, 0),
        "weiboNER_2nd_conll.train": (8, 1), "weiboNER_2nd_conll.dev": (2, 0), "weiboNER_2nd_conll.test": (2, 0),
    }  # fmt: skip
    assert [name for name, found in sentences.items() for s in found if "\n\ufeff" in s] == ["emerging.dev.conll"]
    meanings = list(csv.DictReader((RAW / "text/e2e_nlg/devset.csv").open(encoding="utf-8", newline="")))
    assert (len(meanings), len({row["mr"] for row in meanings}), len({tuple(row.items()) for row in meanings})) == (12, 9, 11)
    ratings = list(csv.DictReader(io.StringIO(bz2.decompress((RAW / "text/ratings/anonreviews.csv.bz2").read_bytes()).decode(), newline="")))
    assert (len(ratings), len({row["reviewerId"] for row in ratings}), len({row["vendorId"] for row in ratings})) == (25, 21, 5)
    assert (len({tuple(row.items()) for row in ratings}), sum(row["rating"] == "0" for row in ratings)) == (24, 1)
