"""Contract: an ODCS file becomes columns, key, rules and an Arrow schema; a wrong one is named with what mends it."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.contract import Contract, addresses, arrow_type, of_terms, simple_type
from lake.errors import ContractBroken
from tests.lake.project import contract, write, write_contract, write_project

PETS: list[dict[str, Any]] = [
    {"name": "kind", "type": "string", "key": 2, "allowed": ["cat", "dog"]},
    {"name": "id", "type": "bigint", "key": 1},
    {"name": "born", "type": "date", "required": True, "partitioned": True},
    {"name": "weight", "type": "double", "minimum": 0, "maximum": 90},
    {"name": "height", "type": "double", "minimum": 0},
    {"name": "chip", "type": "string", "pattern": "[0-9]{15}", "classification": "personal"},
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "project")
    monkeypatch.setenv("LAKE_PROJECT", str(folder))
    return folder


def pets(project: Path, *columns: dict[str, Any], **frame: Any) -> Contract:
    """The contract of silver.pets with these columns (all of PETS without any) and these keys of its frame."""
    write_contract(project, contract("silver.pets", columns or PETS) | frame)
    return Contract.load("silver.pets")


def test_a_contract_says_what_its_file_says(project: Path) -> None:
    found = pets(project)
    assert [c.name for c in found.columns] == ["kind", "id", "born", "weight", "height", "chip"]
    assert found.key == ("id", "kind")  # by position, not by place
    assert (found.slice, found.partition, found.retention) == ("born", "born", None)
    assert (found.column("chip").classification, found.column("kind").allowed, found.column("weight").maximum) == ("personal", ("cat", "dog"), 90)
    assert found.description == "Test rows."
    assert found.source is None
    with pytest.raises(KeyError, match=r"silver\.pets has no column tail"):
        found.column("tail")


def test_only_what_upkeep_lets_go_may_promise_a_retention(project: Path) -> None:
    at = {"name": "at", "type": "timestamp", "required": True}
    write_contract(project, contract("reports.weekly", [at], retention=30))
    assert Contract.load("reports.weekly").retention == timedelta(days=30)
    assert Contract.load("ops.runs").retention == timedelta(days=390)
    for address, column in (
        ("silver.pets", at),
        ("reports.weekly", PETS[0]),
    ):
        write_contract(project, contract(address, [column], retention=30))
        with pytest.raises(ContractBroken, match="promises a retention that nothing carries out"):
            Contract.load(address)


def test_row_rules_stand_in_the_order_of_the_columns(project: Path) -> None:
    assert [rule.name for rule in pets(project).rules()] == [
        "missing:kind", "not_allowed:kind", "missing:id", "missing:born", "out_of_range:weight", "out_of_range:height", "wrong_shape:chip",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "check", "span"),
    [
        ({"minimum": 0, "maximum": 90}, "v IS NULL OR v BETWEEN 0 AND 90", "[0, 90]"),
        ({"minimum": 0}, "v IS NULL OR (v >= 0 AND v < CAST('Infinity' AS DOUBLE))", "[0, -)"),
        ({"maximum": 0.5}, "v IS NULL OR (v <= 0.5 AND v > CAST('-Infinity' AS DOUBLE))", "(-, 0.5]"),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, "v IS NULL OR (v > 0 AND v < 1)", "(0, 1)"),
        ({"finite": True}, "v IS NULL OR (v > CAST('-Infinity' AS DOUBLE) AND v < CAST('Infinity' AS DOUBLE))", "(-, -)"),
        ({"type": "bigint", "minimum": 0}, "v IS NULL OR (v >= 0)", "[0, -)"),
        ({"type": "date", "minimum": date(2026, 1, 1)}, "v IS NULL OR (v >= DATE '2026-01-01')", "[2026-01-01, -)"),
        ({"type": "timestamp", "exclusiveMaximum": "2026-01-01T01:00:00+01:00"},
         "v IS NULL OR (v < TIMESTAMP '2026-01-01T00:00:00+00:00')", "(-, 2026-01-01T00:00:00+00:00)"),
        ({}, None, "any"),
    ],
)  # fmt: skip
def test_a_range_becomes_a_check_of_the_table(project: Path, column: dict[str, Any], check: str | None, span: str) -> None:
    found = pets(project, {"name": "v", "type": "double", **column})
    assert found.checks() == ({} if check is None else {"v_in_range": check})
    assert found.column("v").span() == span


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ({"minimum": "low"}, "a range that ends at 'low'"),
        ({"minimum": float("nan")}, "a range that ends at nan"),
        ({"minimum": 0, "exclusiveMinimum": 1}, "two ends on one side"),
        ({"type": "date", "minimum": "soon"}, "soon"),
        ({"type": "int", "finite": True}, "is int, and finite by that"),
    ],
)
def test_a_rule_that_can_not_be_held_is_refused(project: Path, column: dict[str, Any], told: str) -> None:
    with pytest.raises(ContractBroken, match=told):
        pets(project, {"name": "v", "type": "double", **column})


def test_an_option_that_nothing_would_hold_is_refused(project: Path) -> None:
    document = contract("silver.pets", PETS)
    document["schema"][0]["properties"][3]["logicalTypeOptions"]["multipleOf"] = 5
    write_contract(project, document)
    with pytest.raises(ContractBroken, match="weight has multipleOf in its logicalTypeOptions"):
        Contract.load("silver.pets")


def test_a_contract_tells_its_owner_its_freshness_and_what_is_unique(project: Path) -> None:
    document = contract("silver.pets", [*PETS, {"name": "tag", "type": "string", "unique": True}])
    document |= {"team": {"name": "vets"}, "slaProperties": [{"property": "latency", "value": 36, "unit": "h"}]}
    write_contract(project, document)
    found = Contract.load("silver.pets")
    assert (found.owner, found.freshness, found.uniques()) == ("vets", timedelta(hours=36), (("id", "kind"), ("tag",)))


def test_the_arrow_schema_keeps_order_type_and_what_may_be_null(project: Path) -> None:
    assert pets(project).schema == pa.schema(
        [
            pa.field("kind", pa.string(), nullable=False),
            pa.field("id", pa.int64(), nullable=False),
            pa.field("born", pa.date32(), nullable=False),
            pa.field("weight", pa.float64()),
            pa.field("height", pa.float64()),
            pa.field("chip", pa.string()),
        ]
    )


def test_a_raw_contract_says_where_its_files_lie(project: Path) -> None:
    source = Contract.load("raw.readings").source
    assert source is not None
    assert (source.name, source.location, source.format, source.options["formats"]) == (
        "readings",
        "raw/readings/*.csv",
        "delimited",
        {"day": "yyyy-MM-dd"},
    )
    assert [f.name for f in source.fields] == ["station", "day", "value"]


def test_contracts_of_ops_come_with_the_library_and_not_from_the_project(project: Path) -> None:
    write(project / "schemas" / "ops" / "own.yaml", "not: a contract\n")
    assert addresses("ops") == ["ops.checks", "ops.files", "ops.metrics", "ops.models", "ops.rejects", "ops.repairs", "ops.runs"]
    assert addresses("gold") == ["gold.daily", "gold.totals"]
    assert {"raw.readings", "silver.readings", "ops.runs"} < set(addresses())


def test_an_edited_file_is_read_again(project: Path) -> None:
    before = pets(project)
    assert len(pets(project, *PETS[:3]).columns) == 3
    assert len(before.columns) == 6


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda text: "# a comment\n" + text, True),
        (lambda text: yaml.safe_dump(yaml.safe_load(text), sort_keys=True), True),
        (lambda text: text.replace("1.0.0", "1.0.1"), False),
        (lambda text: text.replace("minimum: 0", "minimum: 1"), False),
    ],
)
def test_the_hash_is_over_what_a_contract_says_not_how_it_is_written(project: Path, edit: Any, same: bool) -> None:
    before = pets(project)
    file = project / "schemas" / "silver" / "pets.yaml"
    write(file, edit(file.read_text()))
    assert (Contract.load("silver.pets").hash == before.hash) is same


@pytest.mark.parametrize(
    ("address", "text", "told"),
    [
        ("silver.none", None, r"silver\.none has no contract: .*schemas/silver/none\.yaml is not there"),
        ("Silver.Texts", None, "is no address"),
        ("silver.x", "id: [", "is not YAML"),
        ("silver.x", "- a list\n", "holds no contract"),
        ("silver.x", "id: silver.y\n", r"says id: silver\.y, but its place says silver\.x"),
        ("silver.x", "id: silver.x\n", "lacks 'schema'"),
        ("silver.x", "id: silver.x\nschema: []\n", "is no ODCS"),
        ("silver.x", "id: silver.x\nschema: [{properties: [{name: a}]}]\n", "lacks 'physicalType'"),
        ("silver.x", "id: silver.x\nversion: 1.0.0\nschema: [{properties: [a]}]\n", "is no ODCS"),
        (
            "silver.x",
            "id: silver.x\nversion: 1.0.0\nschema: [{properties: []}]\nslaProperties: [{property: retention, value: 2, unit: w}]\n",
            "retention in 'w'",
        ),
        ("silver.x", "id: silver.x\nversion: 1.0.0\nschema: [{properties: []}]\nslaProperties: [{property: retention, value: two}]\n", "two"),
        ("raw.x", "id: raw.x\nversion: 1.0.0\nschema: [{properties: []}]\n", "lacks 'servers'"),
    ],
)
def test_a_wrong_contract_is_refused_with_its_file_and_a_next_step(project: Path, address: str, text: str | None, told: str) -> None:
    if text is not None:
        write(project / "schemas" / f"{address.replace('.', '/')}.yaml", text)
    with pytest.raises(ContractBroken, match=told) as caught:
        Contract.load(address)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("simple", "arrow"),
    [
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("array<int>", pa.list_(pa.int32())),
        ("map<string,array<double>>", pa.map_(pa.string(), pa.list_(pa.float64()))),
        ("array<struct<kind:string,at:struct<x:int,y:int>>>",
         pa.list_(pa.struct([("kind", pa.string()), ("at", pa.struct([("x", pa.int32()), ("y", pa.int32())]))]))),
    ],
)  # fmt: skip
def test_a_spark_type_has_its_arrow_type(simple: str, arrow: pa.DataType) -> None:
    assert arrow_type(simple) == arrow


@pytest.mark.parametrize("simple", ["decimal(10,2)", "text", "array<>", "array<int,int>", "map<string>", "struct<a>", "array<int>>", ""])
def test_a_type_that_not_every_reader_knows_is_refused(simple: str) -> None:
    with pytest.raises(ContractBroken, match="is not one we write"):
        arrow_type(simple)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"weight": {"maximum": 100}}, ["wider: range changed: weight [0, 90] -> [0, 100]"]),
        ({"weight": {"maximum": 10}}, ["narrower: range changed: weight [0, 90] -> [0, 10]"]),
        ({"weight": {"minimum": -9, "maximum": 10}}, ["narrower: range changed: weight [0, 90] -> [-9, 10]"]),
        ({"height": {"finite": True}}, []),  # which it was, having a range
        ({"kind": {"allowed": ["cat", "dog", "owl"]}}, ["wider: allowed values changed: kind +owl"]),
        ({"kind": {"allowed": ["cat", "owl"]}}, ["narrower: allowed values changed: kind +owl, -dog"]),
        ({"chip": {"pattern": "[0-9]{14}"}}, ["narrower: pattern changed: chip [0-9]{15} -> [0-9]{14}"]),
        ({"chip": {"maxLength": 15}}, ["narrower: length changed: chip 0 to any -> 0 to 15"]),
        ({"chip": {"classification": "confidential"}}, ["wider: classification changed: chip personal -> confidential"]),
        ({"chip": {"unique": True}}, ["narrower: must be unique now: chip"]),
        ({"chip": {"required": True}}, ["narrower: may not be null any more: chip"]),
        ({"chip": None}, ["breaking: column removed: chip"]),
        ({"id": {"type": "int"}}, ["breaking: type changed: id bigint -> int"]),
        ({"born": {"required": False}}, ["wider: may be null now: born"]),
        ({"kind": {"key": None, "required": True}}, ["breaking: key changed: id, kind -> id"]),
        ({"born": {"partitioned": False}}, ["breaking: partition changed: born -> none"]),
        ({"tail": {"name": "tail", "type": "string"}}, ["wider: column added: tail string"]),
        ({"tail": {"name": "tail", "type": "string", "required": True}}, ["breaking: required column added: tail string"]),
    ],
)
def test_what_a_new_version_says_otherwise_is_told_line_by_line(project: Path, change: dict[str, Any], told: list[str]) -> None:
    older = pets(project)
    columns = {c["name"]: c for c in PETS}
    for name, edit in change.items():
        columns[name] = {} if edit is None else columns.get(name, {}) | edit
    newer = pets(project, *filter(None, columns.values()))
    for known in (older, of_terms("silver.pets", older.terms())):  # what a table keeps of its contract tells the same
        assert [f"{c.kind}: {c.what}" for c in newer.changes(known)] == told


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda d: d["schema"][0]["properties"][0].update(description="Other words.", classification="personal"), True),
        (lambda d: d["schema"][0]["properties"][0].update(required=True), False),
        (lambda d: d["servers"][0].update(path="raw/elsewhere/*.csv"), True),
        (lambda d: d["servers"][0]["customProperties"][0]["value"].update(zone="+01:00"), False),
        (lambda d: d["schema"][0]["properties"].reverse(), False),
        (lambda d: d["schema"][0]["properties"][0].update(physicalType="int"), False),
    ],
)
def test_what_raw_files_are_read_by_is_told_from_words_about_them(project: Path, edit: Any, same: bool) -> None:
    before = Contract.load("raw.readings")
    document = yaml.safe_load((project / "schemas" / "raw" / "readings.yaml").read_text())
    edit(document)
    write_contract(project, document)
    after = Contract.load("raw.readings")
    assert after.hash != before.hash
    assert (after.reading == before.reading) is same


def types() -> st.SearchStrategy[tuple[str, pa.DataType]]:
    """A Spark type with the Arrow type that it must become, built side by side."""
    plain = st.sampled_from([("string", pa.string()), ("int", pa.int32()), ("bigint", pa.int64()), ("date", pa.date32()), ("binary", pa.binary())])

    def nested(inner: st.SearchStrategy[tuple[str, pa.DataType]]) -> st.SearchStrategy[tuple[str, pa.DataType]]:
        arrays = inner.map(lambda t: (f"array<{t[0]}>", pa.list_(t[1])))
        maps = st.tuples(plain, inner).map(lambda kv: (f"map<{kv[0][0]},{kv[1][0]}>", pa.map_(kv[0][1], kv[1][1])))
        fields = st.lists(inner, min_size=1, max_size=3)
        structs = fields.map(
            lambda ts: (
                "struct<" + ", ".join(f"f{i}:{s}" for i, (s, _) in enumerate(ts)) + ">",
                pa.struct([(f"f{i}", a) for i, (_, a) in enumerate(ts)]),
            )
        )
        return arrays | maps | structs

    return st.recursive(plain, nested, max_leaves=6)


@settings(deadline=None)
@given(types())
def test_types_nest_as_deep_as_one_likes(both: tuple[str, pa.DataType]) -> None:
    simple, arrow = both
    assert arrow_type(simple) == arrow
    assert simple_type(arrow) == simple.replace(" ", "")


@pytest.mark.parametrize("kind", ["double", "timestamp", "boolean"])
def test_a_table_is_not_partitioned_by_what_the_log_may_write_in_two_ways(kind: str, project: Path) -> None:
    with pytest.raises(ContractBroken, match=f"partitions by day {kind}") as caught:
        pets(project, {"name": "day", "type": kind, "partitioned": True})
    assert caught.value.next_step == "partition by a column of bigint, date, int, smallint, string"
