"""Rejects: rows that were set aside, what became of each, and the ways back: a repaired file, an SQL expression, a waiver.

Every way back writes decisions into ops.repairs (all of a call, or none) and changes no table: the next run of the address takes
them in, through the same gate (lake/run/repairs.py). So a process that dies between the two has lost nothing.

An exported row is one line of JSON, or one line of CSV: `_reject` and its like say which reject it is, and all other columns
are the row's. What differs from the export when the file comes back is the repair; what is as it was stays as it was.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa

from lake import ops
from lake.contract import Column, Contract
from lake.errors import ContractBroken, SettingsWrong, SourceMissing
from lake.job import Job
from lake.plan import plan
from lake.report.rejects import counted
from lake.run.repairs import EXACT, OF_A_FILE, Repairs, content_of, ddl, same_values, unfit
from lake.settings import reached
from lake.sources.read import ORIGIN
from lake.store import Store
from lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

State = Literal["open", "waiting", "waived", "back", "moot"]
Row = Mapping[str, Any]

STATES: Mapping[State, str] = {
    "open": "nobody has decided about it",
    "waiting": "repaired; the next run takes it in",
    "waived": "left out for good, by a name and for a reason",
    "back": "repaired, and in its table",
    "moot": "repaired, but its row is not there any more as it was: its file was overwritten or is gone, or its input has changed",
}
ABOUT = ("_reject", "_state", "_reasons", "_source", "_file", "_edition", "_line", "_offset", "_raw", "_raw_base64")
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # what a spreadsheet takes for a formula, and the same with our guard before it
_GUARDED = re.compile("'+[=+\\-@\t\r\n＝＋－＠]")
_MOST_TOLD = 20  # rows of a list of what is wrong with a file: the next ones are wrong in the same way


@dataclass(frozen=True, slots=True)
class Fate:
    """A reject and what became of it."""

    address: str
    reject: Row  # of ops.rejects; of what came back, what ops.repairs says of it
    state: State
    decision: Row | None = None  # the newest one about it

    @property
    def id(self) -> str:
        """Names it on the command line and in an exported file: the same for the same row with the same content."""
        said = (self.address, self.reject["row_id"] or "", content_of(self.reject, self.address))
        return hashlib.sha256("\x1f".join(said).encode()).hexdigest()[:16]

    @property
    def of_record(self) -> bool:
        """Whether it is a raw record, and no row."""
        return self.reject["raw"] is not None or bool(self.reject.get("sha256"))

    @property
    def source(self) -> str:
        """Where it came from: its raw source, or what its table reads."""
        return self.reject["source"] or ", ".join(_reads(self.address)) or self.address


@dataclass(frozen=True, slots=True)
class Which:
    """Which rejects of an address are meant; all that is given has to hold."""

    reason: str | None = None  # whole, or its kind: not_a_number:value, not_a_number
    file: str | None = None
    day: str | None = None  # on which it was set aside, UTC
    ids: tuple[str, ...] = ()

    def holds(self, fate: Fate) -> bool:
        """Whether a reject is meant."""
        row = fate.reject
        return (
            (self.reason is None or any(f"{told}:".startswith(f"{self.reason}:") for told in row["reasons"]))
            and (self.file is None or row["file"] == self.file)
            and (self.day is None or f"{row['at']:%Y-%m-%d}" == self.day)
            and (not self.ids or fate.id in self.ids)
        )

    def __str__(self) -> str:
        said = [f"{name} {value}" for name, value in (("reason", self.reason), ("file", self.file), ("day", self.day)) if value]
        return ", ".join([*said, *(f"id {i}" for i in self.ids)]) or "all"


def fates(store: Store, address: str | None = None, *, back: bool = False) -> list[Fate]:
    """The rejects that stand beside their tables, each with what was decided; with `back` also those that stand no more, by what ops.repairs says."""
    standing = counted(store, address)
    found = list[Fate]()
    addresses = {r["address"] for r in standing}
    if back:
        addresses |= {r["address"] for r in ops.read(store, "repairs", [("address", "=", address)] if address else (), columns=["address"])}
    for one in sorted(addresses):
        repairs, taken = Repairs.of(store, one), _taken(store, one)
        mine = [r for r in standing if r["address"] == one]
        there = [_fate(one, r, repairs.about(r), taken) for r in mine]
        found += there
        if back:
            found += _gone(store, one, repairs, taken, {r["row_id"] for r in mine})
    return found


def _fate(address: str, reject: Row, decision: Row | None, taken: int) -> Fate:
    if decision is None or decision["how"] == "reopened":
        return Fate(address, reject, "open", decision)
    if decision["how"] == "waived":
        return Fate(address, reject, "waived", decision)
    return Fate(address, reject, "waiting" if decision["number"] > taken else "moot", decision)


def _taken(store: Store, address: str) -> int:
    """The last decision that the runs of an address have taken in."""
    standing = ops.standing(ops.events(store, address), Table(address, store).last_run())
    return int((standing.taken.get("ops.repairs") or (None, 0))[1])


def _gone(store: Store, address: str, repairs: Repairs, taken: int, standing: set[str | None]) -> list[Fate]:
    """Of decisions about rows of which no reject stands: whether the row is back."""
    newest: dict[tuple[Any, ...], Row] = {(d["row_id"], content_of(_as_reject(d), address)): d for d in repairs.rows}
    mine = [d for d in newest.values() if d["row_id"] not in standing and d["how"] != "reopened"]
    rows = _rows_of(store, address, [d["row_id"] for d in mine if d["how"] == "repaired"])

    def state(d: Row) -> State:
        if d["how"] == "waived" or d["row_id"] not in rows:
            return "moot"
        if d["number"] > taken:
            return "waiting"
        row = rows[d["row_id"]]
        if d["sha256"] and row.get("edition") == d["edition"]:  # of the same bytes: what its job made of the fields is its own affair
            return "back"
        return "back" if all(_says(row[k], v) for k, v in json.loads(d["becomes"]).items() if k in row) else "moot"

    return [Fate(address, _as_reject(d), state(d), d) for d in mine]


def _as_reject(decision: Row) -> dict[str, Any]:
    """A decision as the reject that it was about: of a raw record only the hash of its bytes is known."""
    return {**decision, "raw": None}


def _rows_of(store: Store, address: str, ids: Sequence[str | None]) -> dict[str, Row]:
    """Rows of a table by their ids, as ops.rejects writes them."""
    table = Table(address, store)
    key = Contract.load(address).key
    if not ids or not key or not table.exists():
        return {}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", table.delta().to_pyarrow_dataset())
        connection.register("asked", pa.table({"_id": pa.array(sorted({i for i in ids if i}), pa.string())}))
        joined = ", ".join(f'"{k}"' for k in key)
        found = connection.sql(f"select concat_ws(',', {joined}) as _id, * from rows semi join asked on concat_ws(',', {joined}) = asked._id")
        rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
        return {row.pop("_id"): row for row in rows}


def _says(value: Any, told: Any) -> bool:
    """Whether a value of a table is what a JSON text says; days and times by their text, what is nested is not looked into."""
    if hasattr(value, "isoformat"):
        return str(told).replace("Z", "+00:00")[:19] == value.isoformat()[:19]
    return value == told or isinstance(value, list | dict | bytes) or value != value


# -- out ---------------------------------------------------------------------------------------------------------------


def export(found: Sequence[Fate], to: Path) -> int:
    """Write rejects into a file, exactly (`.jsonl`) or for a spreadsheet (`.csv`); only its owner may read it. Returns how many.

    Raises:
        SettingsWrong: another ending.
    """
    write = {".csv": _csv, ".jsonl": _json_lines}.get(to.suffix)
    if write is None:
        raise SettingsWrong(f"{to} is neither .csv nor .jsonl", next_step="JSON lines are exact; CSV is for a spreadsheet")
    text = write([_out(f) for f in found], _headings(found))
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # raw rows hold what people wrote
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return len(found)


def _out(fate: Fate) -> dict[str, Any]:
    """A reject as one flat row."""
    r = fate.reject
    out: dict[str, Any] = {"_reject": fate.id, "_state": fate.state, "_reasons": ";".join(r["reasons"])}
    out |= {f"_{name}": r[name] for name in ("source", "file", "edition", "line", "offset")}
    if r["raw"] is None:
        return out | json.loads(r["row"] or "{}")
    try:
        return out | {"_raw": bytes(r["raw"]).decode()}
    except UnicodeDecodeError:
        import base64

        return out | {"_raw_base64": base64.b64encode(bytes(r["raw"])).decode()}


def _headings(found: Sequence[Fate]) -> list[str]:
    """Columns of a file: what tells the reject, then those of the rows, and the fields of the records."""
    columns = list[str]()
    for fate in {(f.address, f.of_record, f.reject["source"]): f for f in found}.values():
        columns += [c.name for c in _columns(fate)]
    return [*ABOUT, *dict.fromkeys(columns)]


def _columns(fate: Fate) -> tuple[Column, ...]:
    """What a reject has columns of: its table's, or for a raw record its source's fields."""
    return Contract.load(fate.reject["source"] if fate.of_record else fate.address).columns


def _json_lines(rows: Sequence[Row], _: Sequence[str]) -> str:
    return "".join(json.dumps({k: v for k, v in row.items() if v is not None or not k.startswith("_")}, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: Sequence[Row], headings: Sequence[str]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(headings)
    writer.writerows([[cell(row.get(name)) for name in headings] for row in rows])
    return out.getvalue()


def cell(value: Any) -> Any:
    """A value as a cell of CSV: a text that a spreadsheet would take for a formula has an apostrophe before it; a number is one."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return "" if value is None else json.dumps(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if _FORMULA.match(text) else text


def uncell(text: str) -> str:
    """The text of a cell without its guard: the other way round."""
    return text[1:] if _GUARDED.match(text) else text


# -- decisions ---------------------------------------------------------------------------------------------------------


def waive(store: Store, address: str, which: Which, by: str, because: str) -> int:
    """Leave rejects out for good: they are listed no more, and no table changes. Returns how many; those waived already are none.

    Raises:
        SourceMissing: no reject is meant.
    """
    mine = _meant(fates(store, address), which, address, ("open", "moot", "waived"))
    return _decide(store, address, [(f, None) for f in mine if f.state != "waived"], "waived", by, because)


def reopen(store: Store, address: str, which: Which, by: str, because: str) -> int:
    """Take decisions back: what was waived is open again, what was repaired is as it was after the next run. Returns how many.

    Raises:
        SourceMissing: no decision is meant.
    """
    mine = _meant(fates(store, address, back=True), which, address, ("waiting", "waived", "back", "moot"))
    return _decide(store, address, [(f, {} if f.decision and f.decision["how"] == "repaired" else None) for f in mine], "reopened", by, because)


def repair_by_file(store: Store, spark: Callable[[], SparkSession], address: str, path: Path, by: str, because: str) -> int:
    """Take a repaired file in: rows as they were exported, with other values. Returns how many differ; none is taken in if one is wrong.

    Raises:
        SourceMissing: there is no such file.
        ContractBroken: a row of it is of no reject that we know, or can't be taken in.
    """
    known: dict[str, Fate] = {f.id: f for f in fates(store, address, back=True)}
    changed, wrong = list[tuple[Fate, dict[str, Any]]](), list[str]()
    for line, row in _rows_in(path):
        fate = known.get(str(row.get("_reject") or ""))
        if fate is None:
            wrong.append(f"line {line}: {row.get('_reject') or 'no _reject'} is no reject of {address}")
            continue
        becomes, why = _changes(fate, row, path.suffix == ".csv")
        why = why or (_not_mended(fate, set(becomes)) if becomes else "")
        if why:
            wrong.append(f"line {line}: {why}")
        elif becomes:
            changed.append((fate, becomes))
    if doubled := sorted(i for i, count in Counter(f.id for f, _ in changed).items() if count > 1):
        wrong.append(f"more than one row for {', '.join(doubled)}")
    _refuse(wrong, f"{path}", "nothing of the file was taken in: mend these rows")
    new = [(fate, becomes) for fate, becomes in (_normal(spark, changed) if changed else ()) if not _decided_so(fate, becomes)]
    other = [f"{f.id} came back with other values: lake rejects reopen {address} --id {f.id}" for f, _ in new if f.state == "back"]
    _refuse(other, f"{path}", "nothing of the file was taken in")
    return _decide(store, address, new, "repaired", by, because)


def repair_by_sql(store: Store, spark: Callable[[], SparkSession], address: str, which: Which, sets: Sequence[str], by: str, because: str) -> int:
    """Set columns of rejects by SQL expressions (`status = 200`) over their rows. Returns how many change; none does if one is wrong.

    Over a raw record the expression knows `raw` (its text), `source`, `file`, `edition`, `line`, `offset`; what it doesn't set stays as read.

    Raises:
        SourceMissing: no reject is meant.
        ContractBroken: an expression is wrong, or a reject can't be repaired so.
    """
    given = dict(_parted(one) for one in sets)
    mine = _meant(fates(store, address, back=True), which, address, ("open", "waived", "moot", "waiting", "back"))
    mine = [f for f in mine if f.state in ("open", "moot")]
    if not mine:
        return 0
    kinds = {f.of_record for f in mine}
    if len(kinds) > 1:
        raise ContractBroken(
            f"{address}: some of these are rows, others raw records: they have other columns", next_step="choose one of them by --reason, or by --id"
        )
    _refuse(sorted({why for f in mine if (why := _not_mended(f, set(given)))}), f"{address}: --set", "nothing was taken in")
    return _decide(store, address, _evaluated(spark(), mine, given), "repaired", by, because)


def pending(store: Store, address: str) -> bool:
    """Whether decisions wait for a run of the address."""
    return Repairs.of(store, address).number > _taken(store, address)


def _meant(found: Sequence[Fate], which: Which, address: str, states: Sequence[State]) -> list[Fate]:
    mine = [f for f in found if f.state in states and which.holds(f)]
    if not mine:
        raise SourceMissing(f"{address} has no reject that is {' or '.join(states)} for {which}", next_step=f"lake rejects {address} --all")
    if lost := set(which.ids) - {f.id for f in mine}:
        raise SourceMissing(f"{address} has no reject {', '.join(sorted(lost))}", next_step=f"lake rejects show {address} --all")
    return mine


def _decide(store: Store, address: str, decided: Sequence[tuple[Fate, Mapping[str, Any] | None]], how: str, by: str, because: str) -> int:
    """Write decisions: all of them in one commit."""
    if not by.strip() or not because.strip():
        raise SettingsWrong("a decision needs a name and a reason", next_step="--by NAME --because 'why'")
    before = Repairs.of(store, address).rows
    number = max((r["number"] for r in before), default=0)
    at, rows = ops.now(), list[dict[str, Any]]()
    for fate, becomes in {f.id: (f, b) for f, b in decided}.values():
        number += 1
        row: dict[str, Any] = {k: fate.reject[k] for k in ("row_id", "source", "file", "edition", "line", "offset", "reasons")}
        row |= {"address": address, "number": number, "at": at, "how": how, "by": by, "because": because}
        row |= {"becomes": None if becomes is None else json.dumps(becomes, ensure_ascii=False)}
        rows.append(row | _content(before, fate, becomes))
    ops.append(store, "repairs", rows)
    reached(f"decided:{address}")
    return len(rows)


def _content(before: Sequence[Row], fate: Fate, becomes: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a decision is about: the content of the row as its build makes it, or the bytes of the record."""
    if fate.of_record:
        return {"row": None, "sha256": content_of(fate.reject, fate.address)}
    if fate.state != "open" and fate.decision is not None:
        return {"row": fate.decision["row"], "sha256": fate.decision["sha256"]}
    was: dict[str, Any] = json.loads(fate.reject["row"])
    was = {c.name: was.get(c.name) for c in Contract.load(fate.address).columns}
    if becomes is not None:
        # Set aside again after a repair: its build still makes the row that it was before, so both repairs are one now.
        for older in reversed(before):
            if older["row_id"] == fate.reject["row_id"] and older["how"] == "repaired" and older["row"] is not None:
                first, then = json.loads(older["row"]), json.loads(older["becomes"])
                if same_values(first | then, was, fate.address):
                    return {"row": older["row"], "sha256": None, "becomes": json.dumps(then | dict(becomes), ensure_ascii=False)}
    return {"row": json.dumps(was, ensure_ascii=False), "sha256": None}


def _not_mended(fate: Fate, given: set[str]) -> str:
    """Why a reject can't be repaired by setting these columns; empty where it can."""
    contract, reasons, job = Contract.load(fate.address), list(fate.reject["reasons"]), _job(fate.address)
    if any(re.match(OF_A_FILE, r) for r in reasons):
        return f"{fate.reject['file']} was set aside as a whole ({', '.join(reasons)}): land it mended, or mend its contract and lake replay"
    if fate.of_record:
        fields = {c.name for c in _columns(fate)}
        if lost := given - fields:
            return f"{fate.reject['source']} has no field {', '.join(sorted(lost))}"
        needed = {r.partition(":")[2] for r in reasons if ":" in r} if all(r.partition(":")[2] in fields for r in reasons) else fields
        missing = f"{', '.join(reasons)}: set also {', '.join(sorted(needed - given))}"
        return missing if needed - given else ""
    if not contract.key:
        return f"{fate.address} has no key: nobody can tell which row it is; mend it where it comes from, or waive it"
    if gone := {f"missing:{k}" for k in contract.key} & set(reasons):
        return f"{', '.join(sorted(gone))}: without its key nobody can tell which row it is; mend it where it comes from, or waive it"
    if twice := [r for r in reasons if r.startswith("not_unique:")]:
        return f"{', '.join(twice)}: another row has its key; mend it where it comes from, or waive it"
    fixed = {*contract.key, "run", "input_version", *(ORIGIN if any(r.startswith("raw.") for r in job.reads) else ())}
    fixed |= {contract.slice} if job.grain == "slice" else set()
    if held := given & fixed:
        return f"{', '.join(sorted(held))} says which row it is, and can't be set"
    lost = given - {c.name for c in contract.columns}
    return f"{fate.address} has no column {', '.join(sorted(lost))}" if lost else ""


def _decided_so(fate: Fate, becomes: Mapping[str, Any]) -> bool:
    """Whether the newest decision about a reject says this already."""
    if fate.decision is None or fate.decision["how"] != "repaired" or fate.state not in ("waiting", "back"):
        return False
    told: dict[str, Any] = json.loads(fate.decision["becomes"])
    return all(k in told and told[k] == v for k, v in becomes.items())


def _refuse(wrong: Sequence[str], where: str, next_step: str) -> None:
    if wrong:
        more = f"\n  ... and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise ContractBroken(f"{where}:\n  " + "\n  ".join(wrong[:_MOST_TOLD]) + more, next_step=next_step)


def _job(address: str) -> Job:
    return plan().step(address).job


def _reads(address: str) -> tuple[str, ...]:
    try:
        return _job(address).reads
    except ContractBroken:  # no job writes it any more
        return ()


# -- a repaired file ---------------------------------------------------------------------------------------------------


def _rows_in(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Rows of a repaired file, each with its line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SourceMissing(f"{path} is not there", next_step="lake rejects export ADDRESS --to FILE") from None
    except UnicodeDecodeError as error:
        raise ContractBroken(f"{path} is not UTF-8: {error}", next_step="save it as UTF-8") from None
    if path.suffix == ".csv":
        first = text.partition("\n")[0]
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
        if "_reject" not in (rows.fieldnames or ()):
            raise ContractBroken(f"{path} has no column _reject", next_step="keep the columns of the export: they say which row is which")
        return [(rows.line_num, {k: v for k, v in row.items() if k}) for row in rows]
    if path.suffix != ".jsonl":
        raise SettingsWrong(f"{path} is neither .csv nor .jsonl", next_step="as `lake rejects export` writes it")
    found = list[tuple[int, dict[str, Any]]]()
    for line, one in enumerate(text.splitlines() if "\r" in text else text.split("\n"), 1):
        if one.strip():
            try:
                found.append((line, dict(json.loads(one))))
            except (ValueError, TypeError) as error:
                raise ContractBroken(f"{path} line {line} is no JSON object: {error}", next_step="one object a line") from None
    return found


def _changes(fate: Fate, row: Row, of_csv: bool) -> tuple[dict[str, Any], str]:
    """(what a row of a repaired file sets, why it can't be taken in): where it differs from the export."""
    was, types = _out(fate), {c.name: c.type for c in _columns(fate)}
    becomes = dict[str, Any]()
    for name, value in row.items():
        if name in ("_reject", "_state") or (name in ABOUT and fate.state == "back"):
            continue
        if of_csv:
            if (value or "") == cell(was.get(name)):
                continue
            if name not in types or name.startswith("_"):
                return {}, f"{name} is not to be changed"
            try:
                value = _typed(value or "", types[name])
            except ValueError:
                return {}, f"{name}: {value!r} is no {types[name]}"
        elif value == was.get(name) and (name in was or value is not None):
            continue
        elif name not in types or name.startswith("_"):
            return {}, f"{name} is not to be changed"
        becomes[name] = value
    if of_csv and becomes and fate.of_record and not all(r.partition(":")[2] in types for r in fate.reject["reasons"]):
        becomes = dict.fromkeys(types) | becomes  # no field of it could be read: what stands here is the whole of it
    return becomes, ""


def _typed(text: str, kind: str) -> Any:
    """The value of a cell that was changed; an empty one is null."""
    if not text:
        return None
    return uncell(text) if kind in ("string", "date", "timestamp", "binary") else json.loads(uncell(text))


def _normal(spark: Callable[[], SparkSession], changed: Sequence[tuple[Fate, dict[str, Any]]]) -> list[tuple[Fate, dict[str, Any]]]:
    """The same values as Spark writes them.

    Raises:
        ContractBroken: a value is none of its column's type.
    """
    from pyspark.sql import functions as F

    done, wrong = dict[int, dict[str, Any]](), list[str]()
    session = spark()
    for columns in {_columns(f) for f, _ in changed}:
        mine = [(n, json.dumps(b)) for n, (f, b) in enumerate(changed) if _columns(f) == columns]
        rows = session.createDataFrame(mine, "n int, becomes string")
        typed = F.to_json(F.from_json("becomes", ddl(columns)), EXACT).alias("typed")
        for n, names, text in rows.select("n", unfit(F.col("becomes"), columns), typed).collect():
            fate, becomes = changed[n]
            wrong += [f"{fate.id}: {name} {becomes[name]!r} is no {next(c.type for c in columns if c.name == name)}" for name in names]
            done[n] = {k: v for k, v in json.loads(text).items() if k in becomes}
    _refuse(wrong, "these values", "nothing of the file was taken in: mend them")
    return [(fate, done[n]) for n, (fate, _) in enumerate(changed)]


# -- an expression -----------------------------------------------------------------------------------------------------

_RECORD = "source string, file string, edition int, line bigint, `offset` bigint, raw string"
_REACHES_OUT = frozenset({"reflect", "java_method", "try_reflect"})  # functions that call any Java method
_NO_VALUE = ("Subquery", "ListQuery", "Exists", "UnresolvedStar", "Window")


def _parted(one: str) -> tuple[str, str]:
    name, equals, expression = one.partition("=")
    if not equals or not name.strip().isidentifier() or not expression.strip():
        raise ContractBroken(f"--set {one!r} is no `column = expression`", next_step='e.g. --set "status = 200"')
    return name.strip(), expression.strip()


def _evaluated(spark: SparkSession, mine: Sequence[Fate], given: Mapping[str, str]) -> list[tuple[Fate, dict[str, Any]]]:
    """What the expressions make of each reject's row."""
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    columns, rows = {c.name: c for c in _columns(mine[0])}, _expressed(spark, mine)
    known = set(rows.columns) - {"_n"}
    try:
        sets: list[SparkColumn] = []
        for name, expression in given.items():
            _must_be_plain(spark, expression, known)
            sets.append(F.expr(expression).cast(columns[name].type).alias(name))
        told = rows.select("_n", F.to_json(F.struct(*sets), EXACT).alias("becomes")).collect()
    except PySparkException as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ContractBroken(
            f"--set {' --set '.join(f'{k} = {v}' for k, v in given.items())}: {first[:400]}", next_step="nothing was taken in"
        ) from None
    if sorted(n for n, _ in told) != list(range(len(mine))):
        raise ContractBroken("--set gives another number of rows than there are", next_step="use expressions of one row")
    found = [(mine[n], dict(json.loads(becomes))) for n, becomes in sorted(told)]
    if idle := [f.id for f, b in found if not f.of_record and all(json.loads(f.reject["row"]).get(k) == v for k, v in b.items())]:
        _refuse([f"{i} is as it was" for i in idle], "--set changes nothing", "choose the rows that it mends by --reason, or by --id")
    return found


def _expressed(spark: SparkSession, mine: Sequence[Fate]) -> DataFrame:
    """Rejects as the rows that an expression sees."""
    from pyspark.sql import functions as F

    if not mine[0].of_record:
        texts = spark.createDataFrame([(n, f.reject["row"]) for n, f in enumerate(mine)], "_n int, _row string")
        return texts.select("_n", F.from_json("_row", ddl(_columns(mine[0]))).alias("_row")).select("_n", "_row.*")
    names = ("source", "file", "edition", "line", "offset")
    rows = [(n, *(f.reject[k] for k in names), bytes(f.reject["raw"]).decode(errors="replace")) for n, f in enumerate(mine)]
    return spark.createDataFrame(rows, f"_n int, {_RECORD}")


def _must_be_plain(spark: SparkSession, expression: str, known: set[str]) -> None:
    """Look at an expression before it runs: of columns that there are, and of functions of one row.

    Raises:
        ContractBroken: it names another column, asks a table, or calls into Java.
    """
    jvm: Any = spark._jsparkSession  # pyright: ignore[reportPrivateUsage]
    parser = jvm.sessionState().sqlParser()

    def walk(node: Any) -> Iterable[str]:
        kind = str(node.getClass().getSimpleName())
        if kind == "UnresolvedAttribute" and (name := str(node.nameParts().head())) not in known:
            yield f"there is no column {name}: there are {', '.join(sorted(known))}"
        if kind == "UnresolvedFunction" and str(node.nameParts().last()).lower() in _REACHES_OUT:
            yield f"{node.nameParts().last()} reaches out of the row"
        if any(part in kind for part in _NO_VALUE):
            yield "it asks for more than the row"
        children = node.children()
        for at in range(children.size()):
            yield from walk(children.apply(at))

    parsed: Any = parser.parseExpression(expression)
    _refuse(list(walk(parsed)), f"--set ... = {expression}", "nothing was taken in")
