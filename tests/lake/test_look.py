"""Looking without Spark: SQL by address, a table's card, what was set aside, models, and the chain behind a row."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from lake import look, ops
from lake.contract import Contract
from lake.errors import ContractBroken, SourceMissing
from lake.rejects import Which, fates, waive
from lake.store import Store
from tests.lake.project import contract, write_contract, write_project

AT = datetime(2026, 3, 1, 4, tzinfo=UTC)
ID = "0123456789abcdef0123456789abcdef"
NOTES: list[dict[str, Any]] = [
    {"name": "row_id", "type": "string", "key": 1},
    {"name": "text", "type": "string", "required": True},
    {"name": "client", "type": "string", "classification": "personal"},
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "project")
    write_contract(folder, contract("silver.notes", NOTES))
    write_contract(folder, contract("gold.heap", [{"name": "n", "type": "int"}]))
    monkeypatch.setenv("LAKE_PROJECT", str(folder))
    return folder


def said(parts: RenderableType | Sequence[RenderableType]) -> str:
    """What a person reads in a wide window, without colours."""
    window = Console(file=io.StringIO(), width=300)
    for part in parts if isinstance(parts, list) else [parts]:
        window.print(part)
    return window.file.getvalue()


def write(store: Store, address: str, rows: Sequence[dict[str, Any]], run: int = 1) -> None:
    table = pa.Table.from_pylist(list(rows), schema=Contract.load(address).schema)
    committed = CommitProperties(app_transactions=[Transaction(address, run)])
    write_deltalake(store.delta_uri(address), table, mode="append", storage_options=store.delta_options(), commit_properties=committed)


def note(text: str, row_id: str = ID, client: str | None = "10.0.0.7") -> dict[str, Any]:
    return {"row_id": row_id, "text": text, "client": client}


def event(address: str, run: int, status: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    row = {"address": address, "run": run, "status": status, "at": AT + timedelta(minutes=run), "inputs": json.dumps(inputs or {})}
    return row | {"full": False, "code": "c0de", "contract": "k", **more}


def check(address: str, run: int, rule: str, success: bool, severity: str = "critical") -> dict[str, Any]:
    return {"address": address, "run": run, "at": AT, "rule": rule, "severity": severity, "success": success, "message": f"{rule} of run {run}"}


def reject(run: int, *reasons: str, **more: Any) -> dict[str, Any]:
    return {"address": "silver.notes", "run": run, "at": AT + timedelta(minutes=run), "reasons": list(reasons), **more}


# -- SQL ---------------------------------------------------------------------------------------------------------------


def test_tables_are_queried_by_their_addresses(project: Path, store: Store) -> None:
    write(store, "silver.notes", [note("a"), note("b", "f" * 32)])
    ops.append(store, "runs", [event("silver.notes", 1, "published")])
    assert look.query(store, "select count(*) as n from silver.notes where text > 'a'").to_pylist() == [{"n": 1}]
    joined = look.query(store, "select r.status, n.text from ops.runs r join silver.notes n on r.address = 'silver.notes' order by text")
    assert [tuple(row.values()) for row in joined.to_pylist()] == [("published", "a"), ("published", "b")]


def test_times_are_told_in_utc_wherever_one_sits(project: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    ops.append(store, "runs", [event("silver.notes", 0, "skipped")])
    assert look.query(store, "select strftime(runs.at, '%H:%M') as clock from ops.runs").to_pylist() == [{"clock": "04:00"}]


def test_an_address_that_is_only_a_value_needs_no_table(project: Path, store: Store) -> None:
    ops.append(store, "runs", [event("silver.notes", 1, "refused", message="too many rejects")])
    assert look.query(store, "select message from ops.runs where address = 'silver.notes'").to_pylist() == [{"message": "too many rejects"}]


@pytest.mark.parametrize(
    ("sql", "kind", "told"),
    [
        ("select * from silver.notes", SourceMissing, r"silver\.notes is not there yet"),
        ("select * from silver.notes join ops.runs using (address)", SourceMissing, r"is not there yet"),
        ("select nothing from ops.runs", ContractBroken, "nothing"),
        ("selec 1", ContractBroken, "syntax error"),
        ("select * from nowhere", ContractBroken, "nowhere"),
        ("", ContractBroken, "gives no rows"),
        ("select at from ops.runs", ContractBroken, 'write "at" in quotes'),
    ],
)
def test_a_query_that_can_not_be_answered_says_why(project: Path, store: Store, sql: str, kind: type[Exception], told: str) -> None:
    ops.made(store, "runs")
    with pytest.raises(kind, match=told):
        look.query(store, sql)


# -- cards -------------------------------------------------------------------------------------------------------------


def test_a_card_tells_how_a_table_stands_and_hides_personal_data(project: Path, store: Store) -> None:
    write(store, "silver.notes", [note("[kafka-1] went [/down]")])
    ops.append(store, "runs", [event("silver.notes", 1, "planned"), event("silver.notes", 1, "published", version=0)])
    ops.append(store, "checks", [check("silver.notes", 1, "unique", True), check("silver.notes", 1, "length", False, "warning")])
    card = said(look.describe(store, "silver.notes"))
    assert "silver.notes  Test rows." in card
    assert "version 0, 1 rows in 1 files" in card and "last published 2026-03-01 04:01 UTC by run 1" in card
    assert "verdict of run 1: 1 of 2 checks held\nwarn: length of run 1" in card
    assert "client of a test row [personal]" in card
    assert "10.0.0.7" not in card
    assert "[kafka-1] went [/down]" in card  # brackets are text, not the window's markup


def test_the_last_verdict_stays_in_sight_when_nothing_was_new(project: Path, store: Store) -> None:
    write(store, "silver.notes", [note("a")])
    ops.append(store, "runs", [event("silver.notes", 1, "published"), event("silver.notes", 2, "nothing")])
    ops.append(store, "checks", [check("silver.notes", 1, "unique", True)])
    assert "verdict of run 1: 1 of 1 checks held" in said(look.describe(store, "silver.notes"))


def test_a_refused_run_stands_in_red_above_the_rows_that_stand(project: Path, store: Store) -> None:
    write(store, "silver.notes", [note("a")])
    ops.append(store, "runs", [event("silver.notes", 1, "published"), event("silver.notes", 2, "refused", message="too short")])
    ops.append(store, "checks", [check("silver.notes", 1, "unique", True), check("silver.notes", 2, "length", False) | {"why": "a form has changed"}])
    card = said(look.describe(store, "silver.notes"))
    assert "last published 2026-03-01 04:01 UTC by run 1" in card
    assert "run 2 refused: too short" in card
    assert "refuse: length of run 2 (a form has changed)" in card


@pytest.mark.parametrize(
    ("address", "told"),
    [("silver.notes", "not there yet: lake run silver.notes"), ("raw.readings", "raw files: raw/readings/*.csv, read as delimited")],
)
def test_what_is_no_table_yet_is_told(project: Path, store: Store, address: str, told: str) -> None:
    assert told in said(look.describe(store, address))


# -- rejects and models ------------------------------------------------------------------------------------------------


def test_only_rejects_of_published_runs_count(project: Path, store: Store) -> None:
    write(store, "silver.notes", [note("a")], run=1)
    ops.append(store, "runs", [event("silver.notes", 1, "published"), event("silver.notes", 2, "planned"), event("silver.notes", 2, "refused")])
    ops.append(store, "rejects", [
        reject(1, "missing:text", source="raw.notes", file="[a].txt", line=7, raw=b"\xff[x]"),
        reject(1, "missing:text", "wrong_shape:client", row='{"text": null}'),
        reject(2, "missing:text"),
    ])  # fmt: skip
    table, *shown = said(look.rejected(store, None, rows=5)).split("raw.notes ")
    assert [line.split() for line in table.splitlines()[1:3]] == [["silver.notes", "missing:text", "2"], ["silver.notes", "wrong_shape:client", "1"]]
    assert shown[0].startswith("[a].txt:7  missing:text\n[hidden, 4 bytes]")
    assert "nothing was rejected" in said(look.rejected(store, "gold.daily"))


def test_rejects_are_counted_by_source_and_day_and_with_what_became_of_them(project: Path, store: Store) -> None:
    write(store, "silver.notes", [note("a")], run=1)
    ops.append(store, "runs", [event("silver.notes", 1, "published")])
    ops.append(store, "rejects", [
        reject(1, "missing:text", "wrong_shape:client", row_id="a", source="raw.notes", row='{"client": "Eleanor"}'),
        reject(1, "missing:text", row_id="b", row="{}"),
    ])  # fmt: skip
    by = {name: [line.split() for line in said(look.rejected(store, by=name)).splitlines()[1:]] for name in ("source", "day")}
    assert [row[0] for row in by["source"]] == ["silver.notes"] * 2 and "raw.notes" in [row[1] for row in by["source"]]
    assert by["day"] == [["silver.notes", f"{AT:%Y-%m-%d}", "2"]]
    hidden, plain = (said(look.rejected(store, "silver.notes", 5, which=Which("wrong_shape"), plain=plain)) for plain in (False, True))
    [fate] = [f for f in fates(store) if f.reject["row_id"] == "a"]
    assert f"[{fate.id}]\nclient: [hidden]" in hidden and f'[{fate.id}]\n{{"client": "Eleanor"}}' in plain
    assert waive(store, "silver.notes", Which(ids=(fate.id,)), "[ada]", "of a [test]") == 1
    assert "1 waived: left out for good, by a name and for a reason" in said(look.rejected(store))
    told = said(look.rejected(store, "silver.notes", 5, everything=True))
    assert (
        "waived on " in told
        and "by [ada]: of a [test]" in told
        and [line.split()[2:] for line in told.splitlines()[1:3]] == [["open", "1"], ["waived", "1"]]
    )


def counts(store: Store, address: str | None = None) -> list[list[str]]:
    """address, reason, rows of what is said to be set aside."""
    return [line.split() for line in said(look.rejected(store, address)).splitlines()[1:]]


def test_rows_on_a_terminal_hide_what_the_page_hides_and_say_where_all_of_it_is(project: Path, store: Store) -> None:
    write(store, "bronze.readings", [], run=1)
    write(store, "silver.notes", [], run=1)
    ops.append(store, "runs", [event("silver.notes", 1, "published"), event("bronze.readings", 1, "published")])
    whole = {"row_id": ID, "text": "ask ann@mail.example.com", "client": "Eleanor Whitcombe"}
    ops.append(store, "rejects", [
        reject(1, "missing:text", row=json.dumps(whole)),
        reject(1, "fields", address="bronze.readings", source="raw.readings", file="[a].csv", line=3, raw=b"north;\xff[x]"),
    ])  # fmt: skip
    shown = said(look.rejected(store, rows=9))
    assert f"row_id: {ID} · text: ask [EMAIL] · client: [hidden]" in shown
    assert "raw.readings [a].csv:3  fields\nnorth;\\xff[x]" in shown  # neither its table nor its source has a classified column
    assert 'lake sql "select file, line, row, raw from ops.rejects"' in shown


def test_what_two_drivers_of_one_intent_set_aside_counts_once_and_a_replay_takes_the_place_of_the_first_reading(project: Path, store: Store) -> None:
    write(store, "bronze.readings", [], run=2)
    ops.append(store, "runs", [event("bronze.readings", 1, "published", full=True), event("bronze.readings", 2, "published")])
    at = {"address": "bronze.readings", "source": "raw.readings", "file": "a.csv", "edition": 1}
    ops.append(store, "rejects", [reject(1, "fields", **at, line=n, offset=n * 10, raw=b"") for n in (3, 4, 3, 4)])
    assert counts(store) == [["bronze.readings", "fields", "2"]]
    mine = {"source": "raw.readings", "path": "a.csv", "edition": 1, "size": 1, "etag": "", "sha256": "", "modified": ops.now(), "at": ops.now()}
    ops.append(store, "files", [mine | {"address": "bronze.readings", "status": "read", "run": run} for run in (1, 2)])
    ops.append(store, "rejects", [reject(2, "fields", **at, line=4, offset=40, raw=b"")])
    assert counts(store) == [["bronze.readings", "fields", "1"]]


def test_a_rebuild_does_not_count_the_same_rows_twice(project: Path, store: Store) -> None:
    """Two nights, a rebuild that sets the same rows aside and one of them for another reason, and a night after it."""
    write(store, "silver.notes", [note("a", f"{9:032x}")], run=4)
    ids = [f"{n:032x}" for n in range(5)]
    ops.append(store, "runs", [
        event("silver.notes", 1, "published", full=True), event("silver.notes", 2, "published"),
        event("silver.notes", 3, "published", full=True), event("silver.notes", 4, "published"),
    ])  # fmt: skip
    ops.append(store, "rejects", [
        *(reject(1, "missing:text", row_id=i) for i in ids[:3]), reject(2, "missing:text", row_id=ids[3]),
        *(reject(3, "missing:text", row_id=i) for i in ids[:3]), reject(3, "wrong_shape:client", row_id=ids[3]),
        reject(4, "missing:text", row_id=ids[4]),
    ])  # fmt: skip
    assert counts(store) == [["silver.notes", "missing:text", "4"], ["silver.notes", "wrong_shape:client", "1"]]


def test_a_slice_that_is_built_again_counts_by_its_last_verdict(project: Path, store: Store) -> None:
    write(store, "silver.notes", [], run=3)
    ops.append(
        store,
        "runs",
        [event("silver.notes", 1, "published", full=True), event("silver.notes", 2, "published"), event("silver.notes", 3, "published")],
    )
    nameless = reject(1, "missing:row_id", row='{"text": "a"}')
    ops.append(store, "rejects", [
        *(reject(run, "missing:text", row_id=ID) for run in (1, 2, 3)),
        nameless, nameless,  # two rows without a key are two rows, in one run
        reject(2, "missing:row_id", row='{"text": "b"}'),
    ])  # fmt: skip
    assert counts(store) == [["silver.notes", "missing:row_id", "3"], ["silver.notes", "missing:text", "1"]]


def test_after_a_restore_the_rejects_of_the_rows_that_stand_again_count(project: Path, store: Store) -> None:
    write(store, "silver.notes", [], run=3)
    ops.append(store, "runs", [
        event("silver.notes", 1, "published", full=True), event("silver.notes", 2, "published", full=True),
        event("silver.notes", 3, "restored", back_to=1),
    ])  # fmt: skip
    ops.append(store, "rejects", [reject(1, "missing:text", row_id=ID), *(reject(2, "missing:text", row_id=i * 32) for i in "ab")])
    assert counts(store) == [["silver.notes", "missing:text", "1"]]


def read_file(path: str, edition: int, run: int, address: str = "bronze.readings") -> dict[str, Any]:
    file = {"source": "raw.readings", "path": path, "edition": edition, "size": 1, "etag": "e", "sha256": f"{edition:x}" * 64, "modified": AT}
    return file | {"status": "read", "address": address, "run": run, "at": AT + timedelta(minutes=run)}


def reading(row_id: str, edition: int = 1, file: str = "a.csv") -> dict[str, Any]:
    origin = {"row_id": row_id, "file": file, "edition": edition, "sha256": f"{edition:x}" * 64, "ordinal": 0, "line": 9, "offset": 0, "length": 5}
    return origin | {"station": "north", "day": AT.date(), "value": 1.0}


def test_records_of_content_that_was_replaced_count_no_more(project: Path, store: Store) -> None:
    """a.csv came anew in run 2: of its three bad lines one is mended, one is gone, and one is as bad as before."""
    bad, mended, gone, good = (f"{n:032x}" for n in range(4))
    write(store, "bronze.readings", [reading(bad, 2), reading(mended, 2), reading(good, 2)], run=2)
    write(store, "silver.notes", [note("a", good), note("b", mended)], run=2)
    ops.append(store, "files", [read_file("a.csv", 1, 1), read_file("b.csv", 1, 1), read_file("a.csv", 2, 2)])
    ops.append(store, "runs", [
        event("bronze.readings", 1, "published", full=True), event("bronze.readings", 2, "published"),
        event("silver.notes", 1, "published", {"bronze.readings": [None, 1]}, full=True),
        event("silver.notes", 2, "published", {"bronze.readings": [1, 2]}),
    ])  # fmt: skip
    raw = {"address": "bronze.readings", "source": "raw.readings", "raw": b"x"}
    ops.append(store, "rejects", [
        reject(1, "fields", **raw, row_id="1" * 32, file="a.csv", edition=1, line=1),
        reject(1, "fields", **raw, row_id="2" * 32, file="b.csv", edition=1, line=1),
        reject(2, "fields", **raw, row_id="1" * 32, file="a.csv", edition=2, line=1),
        reject(1, "missing:day", address="bronze.readings", row_id="3" * 32, file="a.csv", edition=1, line=2),
        *(reject(1, "missing:text", row_id=i) for i in (bad, mended, gone)), reject(2, "missing:text", row_id=bad),
    ])  # fmt: skip
    assert counts(store) == [["bronze.readings", "fields", "2"], ["silver.notes", "missing:text", "1"]]


def test_rejects_of_a_run_count_from_its_commit_on_also_when_it_died_before_saying_so(project: Path, store: Store) -> None:
    ops.append(store, "runs", [event("silver.notes", 1, "planned")])
    ops.append(store, "rejects", [reject(1, "missing:text")])
    assert "nothing was rejected" in said(look.rejected(store))
    write(store, "silver.notes", [note("a")], run=1)
    assert "missing:text" in said(look.rejected(store))


def test_a_model_version_is_shown_by_its_newest_decision(project: Path, store: Store) -> None:
    assert "no model yet" in said(look.model_versions(store))
    model = {
        "name": "intent",
        "version": 1,
        "table": "gold.daily",
        "table_version": 3,
        "card": "c",
        "metrics": json.dumps({"accuracy": 0.93, "rows": 12}),
    }
    ops.append(store, "models", [
        model | {"at": AT + timedelta(hours=1), "status": "retired", "reason": "version 2 [x] is better"},
        model | {"at": AT, "status": "champion", "reason": "the first"},
    ])  # fmt: skip
    [card] = look.describe(store, "models.intent")
    shown = said(card)
    assert shown == said(look.model_versions(store, "intent"))
    assert said(look.describe(store, "models.other")[0]).strip() == "no model yet: lake run models.other"
    assert "the first" not in shown
    assert shown.splitlines()[1].split() == ["intent", "1", "retired", "gold.daily", "version", "3", "0.9300", "version", "2", "[x]", "is", "better"]


# -- lineage -----------------------------------------------------------------------------------------------------------


def test_a_row_is_followed_back_to_its_raw_file(project: Path, store: Store) -> None:
    origin = {"row_id": ID, "file": "[a].csv", "edition": 2, "sha256": "ab" * 32, "ordinal": 0, "line": 9, "offset": 0, "length": 5}
    write(store, "bronze.readings", [origin | {"station": "north", "day": AT.date(), "value": 1.0}])
    write(store, "silver.notes", [note("hello")])
    ops.append(store, "runs", [
        event("bronze.readings", 1, "published", {"raw.readings": {"files": 1}}, version=1),
        event("silver.notes", 1, "published", {"bronze.readings": [None, 1]}, version=1),
    ])  # fmt: skip
    ops.append(store, "checks", [check("silver.notes", 1, "unique", True)])
    tree = said(look.lineage(store, "silver.notes", ID))
    for line in (f'silver.notes row_id={ID}  {{"row_id": "{ID}", "text": "hello"}}', "the gate: 1 of 1 checks held", "bronze.readings version 1",
                 "raw.readings [a].csv line 9, edition 2, sha256 abababababababab"):  # fmt: skip
        assert line in tree
    assert "10.0.0.7" not in tree


def test_a_row_of_an_earlier_night_names_the_runs_and_verdicts_of_that_night(project: Path, store: Store) -> None:
    """Three nights; the row came with the first, was read again by no other, and its predictions are of the first night too."""
    write_contract(project, contract("predictions.notes", [*NOTES[:1], {"name": "run", "type": "bigint"}]))
    write(store, "bronze.readings", [reading(ID)])
    write(store, "silver.notes", [note("hello")])
    write(store, "predictions.notes", [{"row_id": ID, "run": 1}])
    ops.append(store, "files", [read_file("a.csv", 1, 1), read_file("b.csv", 1, 2)])
    for n in (1, 2, 3):
        ops.append(store, "runs", [
            event("bronze.readings", n, "published", {"raw.readings": {"files": 1}}, version=2 * n, full=n == 1),
            event("silver.notes", n, "published", {"bronze.readings": [2 * n - 2 or None, 2 * n]}, version=n, full=n == 1),
            event("predictions.notes", n, "published", {"silver.notes": [n - 1 or None, n]}, version=n, full=n == 1),
        ])  # fmt: skip
        ops.append(store, "checks", [check("silver.notes", n, "length", n < 3)])
    tree = said(look.lineage(store, "predictions.notes", ID))
    for line in ("predictions.notes run 1, 2026-03-01 04:01 UTC, version 1", "silver.notes version 1", "silver.notes run 1, ",
                 "the gate: 1 of 1 checks held", "bronze.readings version 2", "bronze.readings run 1, ",
                 "raw.readings a.csv line 9, edition 1"):  # fmt: skip
        assert line in tree
    # The table of today does not say which run wrote the row; its bronze row does.
    tree = said(look.lineage(store, "silver.notes", ID))
    assert "silver.notes run 3 (the last one by then; the row may be of a run before it), 2026-03-01 04:03 UTC, version 3" in tree
    assert "bronze.readings version 6" in tree and "bronze.readings run 1, 2026-03-01 04:01 UTC, version 2" in tree


def test_a_row_whose_file_was_replaced_since_names_the_content_that_it_was_made_of(project: Path, store: Store) -> None:
    write(store, "bronze.readings", [reading(ID, edition=2)])
    write(store, "silver.notes", [note("hello")])
    ops.append(store, "files", [read_file("a.csv", 1, 1), read_file("a.csv", 2, 2), read_file("a.csv", 2, 3)])
    ops.append(store, "runs", [
        *(event("bronze.readings", n, "published", {"raw.readings": {"files": 1}}, version=n, full=n == 3) for n in (1, 2, 3)),
        event("silver.notes", 1, "published", {"bronze.readings": [None, 1]}, version=1, full=True),
    ])  # fmt: skip
    tree = said(look.lineage(store, "silver.notes", ID))
    assert "bronze.readings run 1, " in tree
    assert f"a.csv edition 1, sha256 {'1' * 16}; replaced since, it now stands in line 9, edition 2, sha256 {'2' * 16}" in tree
    assert "bronze.readings run 3, " in said(look.lineage(store, "bronze.readings", ID))  # the rebuild read that edition once more


def test_a_prediction_names_the_model_and_the_rows_it_learnt_from(project: Path, store: Store) -> None:
    write(store, "silver.notes", [note("hello")])
    ops.append(store, "runs", [event("silver.notes", 1, "published", {"models.intent": [None, 4]}, version=1)])
    model = {"name": "intent", "version": 4, "at": AT, "status": "champion", "card": "c", "metrics": "{}"}
    ops.append(store, "models", [model | {"table": "gold.daily", "table_version": 3, "reason": "better"}])
    tree = said(look.lineage(store, "silver.notes", ID))
    assert "models.intent version 4" in tree and "trained on gold.daily version 3; better" in tree


@pytest.mark.parametrize(
    ("address", "key", "kind", "told"),
    [
        ("silver.notes", "none", SourceMissing, r"silver\.notes has no row with row_id = none"),
        ("gold.heap", "1", ContractBroken, r"gold\.heap has no key"),
        ("gold.daily", "1", SourceMissing, r"gold\.daily is not there yet"),
    ],
)
def test_a_row_that_can_not_be_found_is_told(project: Path, store: Store, address: str, key: str, kind: type[Exception], told: str) -> None:
    write(store, "silver.notes", [note("a")])
    with pytest.raises(kind, match=told):
        look.lineage(store, address, key)


@settings(max_examples=10, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20), min_size=1, max_size=3, unique=True),
    odd=st.sampled_from(["[/]", "'", "[b]x", "%s", "';--", "silver.none"]),
)
def test_any_key_finds_its_row_and_no_text_is_taken_for_markup(texts: list[str], odd: str) -> None:
    keys = [f"{odd}{text}" for text in texts]
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        write_contract(Path(place, "project"), contract("silver.notes", NOTES))
        patch.setenv("LAKE_PROJECT", f"{place}/project")
        store = Store(f"{place}/root")
        write(store, "silver.notes", [note(odd, key) for key in keys])
        for key in keys:
            tree = look.lineage(store, "silver.notes", key)
            assert str(tree.label).startswith(f"silver.notes row_id={key}  ")
        assert said(look.describe(store, "silver.notes", len(keys))).count(odd) >= len(keys)
