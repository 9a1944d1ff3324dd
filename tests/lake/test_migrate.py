"""A contract that changes: what the rows that stand obey is taken over without them being made again, the rest is named and refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from lake.cli import app
from lake.errors import ContractBroken, SourceMissing
from lake.migrate import differences, migrate
from tests.lake.project import COLUMNS, Place, contract, write_contract

SILVER = "silver.readings"
STAND = [("north", "2026-03-01", 1.0), ("north", "2026-03-02", 3.0), ("north", "2026-03-05", 10.0), ("south", "2026-03-02", 5.0)]


def change(place: Place, address: str = SILVER, more: Mapping[str, Any] | None = None, **columns: Mapping[str, Any] | None) -> None:
    """Write the contract of an address with some columns changed, gone (None) or added."""
    edited = {c["name"]: c for c in COLUMNS[address]}
    for name, facts in columns.items():
        edited[name] = {} if facts is None else {"name": name, **edited.get(name, {}), **facts}
    write_contract(place.project, contract(address, [c for c in edited.values() if c]) | dict(more or {}))


def metadata(place: Place, address: str = SILVER) -> tuple[dict[str, bool], dict[str, str]]:
    """(columns of a table, and whether each may be null; its CHECKs)."""
    delta = place.table(address).delta()
    checks = {k.split(".")[-1]: v for k, v in delta.metadata().configuration.items() if k.startswith("delta.constraints.")}
    return {f.name: f.nullable for f in delta.schema().fields}, checks


def one_more(place: Place) -> None:
    place.file("c.csv", ("south", "2026-03-06", 7.0))
    assert place.run("bronze.readings").status == "published"


def files(place: Place, address: str = SILVER) -> set[str]:
    return set(place.table(address).delta().file_uris())


def test_additions_and_wider_rules_come_with_the_rows_of_the_next_run_in_its_own_commit(place: Place) -> None:
    before = files(place)
    wider = {"allowed": ["north", "south", "east"]}
    change(place, value={"maximum": 100, "required": False}, station=wider, unit={"type": "string"}, more={"status": "draft"})
    # The job goes on as it was: the column is there for a later one.
    place.change("jobs/silver/readings.py", '"value")', '"value").selectExpr("*", "cast(null as string) as unit")')
    assert [(c.kind, c.what) for c in place.table(SILVER).changes() or ()] == [
        ("wider", "allowed values changed: station +east"),
        ("wider", "may be null now: value"),
        ("wider", "range changed: value [-50, 60] -> [-50, 100]"),
        ("wider", "column added: unit string"),
    ]
    one_more(place)
    version = place.table(SILVER).version() or 0
    outcome = place.run(SILVER)
    assert (outcome.status, outcome.version) == ("published", version + 1)
    assert "contract applied: allowed values changed: station +east; may be null now: value" in outcome.message
    assert metadata(place) == (
        {"row_id": False, "station": False, "day": False, "value": True, "unit": True},
        {"value_in_range": "value IS NULL OR value BETWEEN -50 AND 100"},
    )
    assert before < files(place)  # no row that stood was made again
    assert place.rows(SILVER, "station", "day", "value", "unit") == [
        *((*r, None) for r in STAND[:3]),
        ("south", "2026-03-02", 5.0, None),
        ("south", "2026-03-06", 7.0, None),
    ]
    assert place.table(SILVER).changes() is None
    assert [place.run(a).status for a in ("gold.daily", "gold.totals")] == ["published", "published"]  # readers of what changed read on
    versions = place.versions()
    assert {place.run(a).status for a in ("bronze.readings", SILVER, "gold.daily", "gold.totals")} == {"nothing"}
    assert place.versions() == versions


@pytest.mark.parametrize("point", ["staged", "committed"])
def test_a_run_that_dies_beside_its_commit_has_applied_the_contract_once_or_not_at_all(
    place: Place, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    change(place, value={"maximum": 100})
    one_more(place)
    run = place.table(SILVER).last_run()

    class Killed(BaseException):
        pass

    def reached(name: str) -> None:
        if name == f"{point}:{SILVER}":
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("lake.run.tables.reached", reached)
        place.run(SILVER)
    table = place.table(SILVER)
    done = point == "committed"
    assert ((table.changes() is None), table.last_run()) == (done, run + done)
    assert place.run(SILVER).status == ("nothing" if done else "published")
    assert (table.changes(), table.last_run(), table.version()) == (None, run + 1, 2)
    assert len(place.rows(SILVER, "value")) == len(STAND) + 1


def test_rows_that_are_carried_over_have_null_in_a_column_that_is_younger(place: Place) -> None:
    change(place, "bronze.readings", note={"type": "string"})
    place.change("jobs/bronze/readings.py", '"value")', '"value").selectExpr("*", "\'new\' as note")')
    place.file("a.csv", ("north", "2026-03-01", 2.0))  # b.csv lies in the same data file, or in one of its own
    outcome = place.run("bronze.readings")
    assert outcome.status == "published", outcome.error
    assert place.rows("bronze.readings", "file", "value", "note") == [("a.csv", 2.0, "new"), ("b.csv", 10.0, None)]


def test_words_that_changed_neither_warn_nor_cost_a_commit(place: Place) -> None:
    document = contract(SILVER, COLUMNS[SILVER])
    document["schema"][0]["properties"][3]["description"] = "Degrees Celsius."
    write_contract(place.project, document | {"version": "1.0.1"})
    version = place.table(SILVER).version()
    outcome = place.run(SILVER)
    assert (outcome.status, outcome.message, place.table(SILVER).version()) == ("nothing", "", version)
    one_more(place)
    assert place.run(SILVER).message == ""
    field = next(f for f in place.table(SILVER).delta().schema().fields if f.name == "value")
    assert field.metadata == {"comment": "Degrees Celsius."} and place.table(SILVER).changes() is None


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"value": {"maximum": 9}}, "narrower: range changed: value [-50, 60] -> [-50, 9]"),
        ({"station": {"allowed": ["north"]}}, "narrower: allowed values changed: station -south"),
        ({"value": None}, "breaking: column removed: value"),
        ({"value": {"type": "float"}}, "breaking: type changed: value double -> float"),
        ({"unit": {"type": "string", "required": True}}, "breaking: required column added: unit string"),
        ({"station": {"key": 2}}, "breaking: key changed: row_id -> row_id, station"),
        ({"day": {"partitioned": False}}, "breaking: partition changed: day -> none"),
    ],
)
def test_what_rows_may_stand_against_is_refused_with_the_way_out(place: Place, columns: dict[str, Any], told: str) -> None:
    before = place.rows(SILVER, "station", "day", "value")
    change(place, **columns)
    assert [f"{c.kind}: {c.what}" for c in place.table(SILVER).changes() or ()] == [told]
    what = told.partition(": ")[2]
    assert f"({what})" in place.run(SILVER).message  # nothing new: it is said, and nothing is done
    place.table("bronze.readings").delta().delete("value = 5")
    outcome = place.run(SILVER)
    assert isinstance(outcome.error, ContractBroken) and outcome.exit_code == 65
    assert what in outcome.message and "lake contract migrate silver.readings" in outcome.error.next_step
    with pytest.raises(ContractBroken) as caught:
        migrate(place.lake, SILVER)
    assert what in caught.value.what
    for way in ("lake contract migrate silver.readings --rebuild", "lake rebuild silver.readings --downstream", "an address of its own"):
        assert way in caught.value.next_step
    assert (place.rows(SILVER, "station", "day", "value"), place.table(SILVER).version()) == (before, 1)


def test_a_narrower_rule_is_taken_over_when_no_row_that_stands_breaks_it(place: Place) -> None:
    run = place.table(SILVER).last_run()
    change(place, value={"maximum": 10, "minimum": 0}, row_id={"pattern": "[0-9a-f]{32}"})
    assert migrate(place.lake, SILVER) == (
        "silver.readings: version 2 is as its contract says: pattern changed: row_id any -> [0-9a-f]{32}; range changed: value [-50, 60] -> [0, 10]"
    )
    assert metadata(place)[1] == {"value_in_range": "value IS NULL OR value BETWEEN 0 AND 10"}
    assert (place.rows(SILVER, "station", "day", "value"), place.table(SILVER).last_run()) == (STAND, run)
    assert migrate(place.lake, SILVER) == "silver.readings is as its contract says"
    assert place.table(SILVER).version() == 2
    one_more(place)
    outcome = place.run(SILVER)
    assert (outcome.status, outcome.rows_kept, outcome.message) == ("published", 1, "")


def test_rows_that_are_against_a_narrower_rule_are_counted(place: Place) -> None:
    change(place, value={"maximum": 9}, station={"unique": True}, day={"minimum": "2026-03-02"})
    with pytest.raises(ContractBroken, match="rows that stand break the contract") as caught:
        migrate(place.lake, SILVER)
    assert caught.value.what.split("break the contract: ")[1].split("; ") == [
        "must be unique now: station: 2 rows are against it",
        "range changed: day any -> [2026-03-02, -): 1 rows are against it",
        "range changed: value [-50, 60] -> [-50, 9]: 1 rows are against it",
    ]
    assert place.table(SILVER).version() == 1


def test_the_first_rule_of_a_table_brings_in_no_feature_that_a_reader_lacks(place: Place) -> None:
    before = place.table("bronze.readings").delta().protocol().writer_features
    change(place, "bronze.readings", station={"required": True}, value={"required": True, "minimum": 0})
    assert "version" in migrate(place.lake, "bronze.readings")  # the row without a number was set aside by its reader
    columns, checks = metadata(place, "bronze.readings")
    assert columns["value"] is False and checks == {"value_in_range": "value IS NULL OR (value >= 0 AND value < CAST('Infinity' AS DOUBLE))"}
    protocol = place.table("bronze.readings").delta().protocol()
    assert set(protocol.writer_features or ()) - set(before or ()) <= {"checkConstraints"} and not protocol.reader_features
    place.file("c.csv", ("south", "2026-03-06", -7.0))
    outcome = place.run("bronze.readings")
    assert (outcome.rows_kept, outcome.rows_rejected) == (0, 1)


def test_a_rebuild_gives_the_table_any_shape(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    change(place, value={"type": "float"})
    place.change("jobs/silver/readings.py", '"value")', '"value").selectExpr("row_id", "station", "day", "cast(value as float) as value")')
    monkeypatch.setattr("lake.lake.Lake.open", lambda: _Open(place))
    done = CliRunner().invoke(app, ["contract", "migrate", SILVER, "--rebuild"])
    assert done.exit_code == 0, done.output
    assert "type changed: value double -> float" in done.output
    assert place.table(SILVER).changes() is None and place.table(SILVER).version() == 2


def test_diff_lists_what_waits_and_ends_with_65_where_a_run_would_refuse(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.lake.Lake.open", lambda: _Open(place))
    assert CliRunner().invoke(app, ["contract", "diff"]).output.strip() == "every table is as its contract says"
    change(place, unit={"type": "string"})
    done = CliRunner().invoke(app, ["contract", "diff"])
    assert (done.exit_code, done.output.split()) == (0, ["silver.readings", "column", "added:", "unit", "string", "with", "the", "next", "run"])
    change(place, value=None)
    done = CliRunner().invoke(app, ["contract", "diff", SILVER])
    assert done.exit_code == 65 and "column removed: value" in done.output and "needs a rebuild" in done.output
    assert differences(place.lake.store).keys() == {"bronze.readings", SILVER, "gold.daily", "gold.totals"}


def test_a_table_of_which_nobody_knows_the_older_rules_has_all_its_rows_asked(place: Place) -> None:
    log = place.root / "silver" / "readings" / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:  # as a table lies there that was made before terms were kept
        if "metaData" in line:
            del line["metaData"]["configuration"]["lake.terms"]
            line["metaData"]["configuration"]["lake.contract"] = "of before"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for checksum in log.parent.glob("*.crc"):  # which say what the log said
        checksum.unlink()
    assert [(c.kind, c.what) for c in place.table(SILVER).changes() or ()] == [
        ("narrower", "the rules of the contract that it was made by are not known")
    ]
    assert "is as its contract says" in migrate(place.lake, SILVER)
    assert place.table(SILVER).changes() is None


def test_a_table_that_is_not_there_has_nothing_to_migrate(new_place: Place) -> None:
    with pytest.raises(SourceMissing, match="is not there yet"):
        migrate(new_place.lake, SILVER)
    assert differences(new_place.lake.store) == {}


class _Open:
    """`with Lake.open()` that gives the lake of a test."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def __enter__(self) -> Any:
        return self.place.lake

    def __exit__(self, *_: object) -> None:
        pass
