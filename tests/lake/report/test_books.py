"""A night's runs out of literal events; rejects, verdicts and freshness out of small tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lake.job import Job
from lake.ops import Event
from lake.plan import Plan, Step
from lake.report import books
from tests.lake.report import lakes

AT = datetime(2026, 3, 12, 3, tzinfo=UTC)
SHOWN = Path(books.__file__)  # any file with a docstring


def event(address: str, status: str, minute: float = 0, *, night: str | None = "n1", run: int = 1, message: str | None = None, **more: Any) -> Event:
    plain: dict[str, Any] = {
        "inputs": {},
        "full": False,
        "code": "",
        "contract": "",
        "seconds": None,
        "rows_in": None,
        "rows_kept": None,
        "rows_rejected": None,
        "version": None,
        "back_to": None,
    }
    return Event(address=address, run=run, status=status, at=AT + timedelta(minutes=minute), night=night, message=message, **{**plain, **more})


def plan_of(**reads: tuple[str, ...]) -> Plan:
    return Plan(tuple(Step(Job(writes=a.replace("__", "."), reads=r), SHOWN) for a, r in reads.items()))


def test_every_state_of_a_night() -> None:
    plan = plan_of(
        bronze__a=("raw.a",),
        bronze__b=("raw.b",),
        bronze__c=("raw.c",),
        bronze__d=("raw.d",),
        bronze__e=("raw.e",),
        bronze__f=("raw.f",),
        silver__g=("bronze.b",),
        reports__nightly=("silver.g",),
    )
    events = [
        event("bronze.a", "planned"),
        event("bronze.a", "published", 1, rows_in=10, rows_kept=8, rows_rejected=2, version=4, seconds=60.0),
        event("bronze.b", "planned", 1),
        event("bronze.b", "failed", 2, message="it broke\n  next: mend it"),
        event("bronze.c", "planned", 2),
        event("bronze.d", "published", -1500, night="n0", run=7),
        event("bronze.f", "planned", 2),
        event("bronze.f", "refused", 3),
        event("silver.g", "skipped", 3, run=0, message="not touched tonight: bronze.b failed"),
    ]
    ran = {r.address: r for r in books.runs(plan, events, "n1")}
    assert {a: r.status for a, r in ran.items()} == {
        "bronze.a": "published",
        "bronze.b": "failed",
        "bronze.c": "cut",
        "bronze.d": "nothing",
        "bronze.e": "absent",
        "bronze.f": "refused",
        "silver.g": "skipped",
    }
    assert (ran["bronze.a"].rows_rejected, ran["bronze.a"].version, ran["bronze.a"].seconds) == (2, 4, 60.0)
    assert (ran["bronze.b"].message, ran["bronze.b"].next_step) == ("it broke", "mend it")
    assert ran["bronze.d"].last is not None and ran["bronze.d"].last.run == 7
    assert ran["silver.g"].run is None
    assert [a for a, r in ran.items() if r.wrong] == ["bronze.b", "bronze.c", "bronze.f"]


def test_a_repeat_after_a_crash_counts_as_what_it_ended_as() -> None:
    plan = plan_of(bronze__a=("raw.a",))
    events = [event("bronze.a", "planned", 0), event("bronze.a", "planned", 5), event("bronze.a", "published", 6)]
    assert books.runs(plan, events, "n1")[0].status == "published"


def test_a_page_by_hand_tells_of_the_last_day() -> None:
    events = [event("bronze.a", "published", -3000, night="n0"), event("bronze.b", "published", 0, night=None)]
    assert [e.address for e in books.of_night(events, None)] == ["bronze.b"]
    assert books.of_night([], None) == []
    assert books.of_night(events, "n0") == [events[0]]


def test_rejects_by_reason_with_examples(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    ran = (
        books.Ran("silver.sensor_readings", "", "published", (), run=1),
        books.Ran("bronze.access", "", "published", (), run=1),
        books.Ran("silver.texts", "", "published", (), run=2),  # the rows of run 1 are another night's
    )
    found = books.rejected(lake.store, ran)
    assert [(r.address, r.reason, r.rows) for r in found] == [
        ("silver.sensor_readings", "out_of_range:value", 41),
        ("bronze.access", "no_match", 3),
        ("silver.sensor_readings", "missing:unit", 3),
    ]
    access = found[1].examples
    assert [e.place for e in access] == ["access_log lines 40, 41, 42"]  # they look the same: told once
    assert access[0].text == "[hidden, 62 bytes]"  # the address and the source say that a client's address is in there
    assert books.rejected(lake.store, ()) == ()


def test_of_a_record_of_personal_data_only_its_place_is_shown(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    kept = lakes.Books(lake.store, "n1", AT)
    said = "My name is Eleanor Whitcombe, 14 Harbour Lane"
    kept.reject("bronze.banking77", ["fields"], file="train.csv", line=7, raw=said.encode())
    kept.reject("bronze.unheard_of", ["fields"], file="x", line=8, raw=said.encode())  # no contract says that it is nobody's
    kept.reject("bronze.air_quality_it", ["empty_row"], file="AirQualityUCI.csv", line=9, raw=b";;;;")
    long = {"row_id": "ab", "level": "INFO", "message": said * 3000}
    kept.reject("silver.log_events", ["missing:host"], row=long)
    kept.reject("silver.log_events", ["missing:time"], row=long | {"message": said * 50})
    kept.close()
    ran = tuple(
        books.Ran(a, "", "published", (), run=1) for a in ("bronze.banking77", "bronze.unheard_of", "bronze.air_quality_it", "silver.log_events")
    )
    found = {(r.address, r.reason): [(e.place, e.text) for e in r.examples] for r in books.rejected(lake.store, ran)}
    assert found == {
        ("bronze.banking77", "fields"): [("train.csv line 7", "[hidden, 45 bytes]")],
        ("bronze.unheard_of", "fields"): [("x line 8", "[hidden, 45 bytes]")],
        ("bronze.air_quality_it", "empty_row"): [("AirQualityUCI.csv line 9", ";;;;")],
        ("silver.log_events", "missing:host"): [("", "[hidden, 100,000 characters]")],
        ("silver.log_events", "missing:time"): [("", "row_id: ab · level: INFO · message: [hidden]")],
    }


def test_a_value_that_an_error_quotes_is_hidden_where_the_table_or_its_input_is_personal() -> None:
    said = 'AnalysisException: The value \'Eleanor\'s house\' of the type "STRING" cannot be cast to "INT"'
    plan = plan_of(silver__texts=("bronze.banking77",), bronze__nab=("raw.nab",))
    personal, plain = books.runs(plan, [event(a, "failed", message=said) for a in ("silver.texts", "bronze.nab")], "n1")
    assert personal.message == 'AnalysisException: The value \'[hidden]\' of the type "STRING" cannot be cast to "INT"'
    assert plain.message == said


def test_a_verdict_on_a_personal_column_tells_counts_but_no_values(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    kept = lakes.Books(lake.store, "n1", AT)
    for rule, observed, threshold in (
        ("expect_column_distinct_values_to_be_in_set", '["Eleanor"]', "{}"),
        ("expect_column_values_to_not_be_null", "2 of 9 unexpected", "{}"),
    ):
        check = {"address": "bronze.access", "run": 1, "at": AT, "rule": rule, "column": "user", "severity": "warning", "success": False}
        kept.add("checks", check | {"observed": observed, "threshold": threshold, "message": f"saw {observed}"})
    kept.close()
    (judged,) = books.judged(lake.store, (books.Ran("bronze.access", "", "published", (), run=1),))
    told = " ".join(c.message for c in judged.checks)
    assert "Eleanor" not in told and "what was seen is hidden" in told and "2 of 9 values of user" in told


def test_verdicts_of_tonight_only(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    ran = (books.Ran("silver.sensor_readings", "", "published", (), run=1), books.Ran("silver.texts", "", "published", (), run=9))
    (judged,) = books.judged(lake.store, ran)
    assert judged.address == "silver.sensor_readings"
    assert len(judged.checks) - judged.held == 1
    assert judged.failed[0].message.startswith("9,412 rows")


def test_freshness_of_tables_there_and_not(tmp_path: Path) -> None:
    lake = lakes.full(tmp_path)
    there, gone = books.fresh(lake.store, ["predictions.intent", "bronze.kafka"])
    assert (there.rows, there.version, there.files) == (460, 0, 1)
    assert there.size and there.changed
    assert gone == books.Fresh("bronze.kafka", None, None, None, None, None)


def test_landed_counts_the_newest_edition_of_a_path_once(tmp_path: Path) -> None:
    lake = lakes.lake_in(tmp_path)
    kept = lakes.Books(lake.store, None, AT)
    for edition, size in ((1, 10), (2, 30)):
        kept.add(
            "files",
            {
                "source": "raw.a",
                "path": "x",
                "edition": edition,
                "size": size,
                "etag": "",
                "sha256": "",
                "modified": AT,
                "status": "read",
                "address": "bronze.a",
                "run": edition,
                "at": AT,
            },
        )
    kept.close()
    assert books.landed(lake.store) == (books.Landed("raw.a", 1, 30),)


def test_inputs_in_words() -> None:
    said = event("gold.x", "published", inputs={"silver.a": [None, 3], "silver.b": [3, 4], "silver.c": [2, 5], "raw.d": {"files": 1, "bytes": 9}})
    assert books.inputs_of(said) == "silver.a version 3, silver.b version 4, silver.c versions 3 to 5, 1 file of raw.d"
    assert books.inputs_of(None) == ""
