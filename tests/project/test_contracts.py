"""Contracts and suites: every one is valid by its standard, whole by our rules, and says nothing that another says already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import open_data_contract_standard
import pyarrow as pa
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from lake.contract import Contract, addresses
from lake.plan import plan

ROOT = Path(__file__).resolve().parents[2]
STANDARD = json.loads((Path(open_data_contract_standard.__file__).parent / "schema.json").read_text(encoding="utf-8"))
FILES = sorted([*(ROOT / "schemas").rglob("*.yaml"), *(ROOT / "lake" / "schemas").rglob("*.yaml")])
SUITES = sorted((ROOT / "expectations").rglob("*.yaml"))
SLICED = [step.job.writes for step in plan(ROOT).steps if step.job.grain == "slice"]
WITHOUT_KEY = ("raw", "ops", "reports")  # records have no id before bronze gives them one; what the driver writes is only ever appended

# What each ODCS logical type may be on disk.
LOGICAL = {
    "string": ("string", "binary"), "integer": ("int", "bigint", "smallint"), "number": ("double", "float"), "boolean": ("boolean",),
    "date": ("date",), "timestamp": ("timestamp",), "array": ("array",), "object": ("map", "struct"),
}  # fmt: skip


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def address_of(path: Path) -> str:
    return f"{path.parent.name}.{path.stem}"


def document(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def column(name: str, **facts: Any) -> dict[str, Any]:
    return {"name": name, "logicalType": "string", "physicalType": "string", "description": "Text.", **facts}


def lacking(contract: Mapping[str, Any]) -> list[str]:
    """What our rules ask of a contract beyond the standard's."""
    zone, table = contract["id"].split(".")[0], contract["schema"][0]
    found = [f"{part} is not told" for part in ("purpose", "usage") if not (contract.get("description") or {}).get(part)]
    found += [] if table.get("description") else ["the table has no description"]
    found += [f"{c['name']} has no description" for c in table["properties"] if not c.get("description", "").strip()]
    found += [
        f"{c['name']} is {c['physicalType']} and no {c['logicalType']}"
        for c in table["properties"]
        if not c["physicalType"].startswith(LOGICAL[c["logicalType"]])
        and (zone, c["physicalType"]) != ("raw", "string")  # the text of a nested value
    ]
    found += [] if (contract.get("team") or {}).get("name") else ["nobody owns it"]
    if zone not in WITHOUT_KEY and not any(c.get("primaryKey") for c in table["properties"]):
        found.append("no column is its key")
    partitions = [c["name"] for c in table["properties"] if c.get("partitioned")]
    slices = [c["value"] for c in contract.get("customProperties") or () if c["property"] == "slice"]
    found += [] if not slices or slices == partitions else [f"its slice is {slices}, its partition {partitions}"]
    names = [c["name"] for c in table["properties"]]
    return found + [f"{name} stands twice" for name in sorted({n for n in names if names.count(n) > 1})]


def said_already(contract: Contract, rule: Mapping[str, Any]) -> str | None:
    """The word of the contract that makes an expectation of its suite needless: what holds for each row need not be asked of the batch."""
    kind, asked = rule["type"], rule.get("kwargs") or {}
    columns = {c.name: c for c in contract.columns}
    about = columns.get(asked.get("column", ""))
    if kind in (
        "expect_column_to_exist",
        "expect_column_values_to_be_of_type",
        "expect_table_columns_to_match_set",
        "expect_table_columns_to_match_ordered_list",
    ):
        return "columns and types"
    if kind == "expect_compound_columns_to_be_unique" and set(contract.key) <= set(asked["column_list"]):
        return "key"
    if about is None:
        return None
    if kind == "expect_column_values_to_be_unique" and contract.key == (about.name,):
        return "key"
    if kind == "expect_column_values_to_not_be_null" and about.required:
        return "required"
    if kind == "expect_column_values_to_be_in_set" and about.allowed and set(about.allowed) <= set(map(str, asked["value_set"])):
        return "validValues"
    if kind == "expect_column_values_to_match_regex" and about.pattern and asked["regex"].strip("^$") == about.pattern.strip("^$"):
        return "pattern"
    if kind == "expect_column_values_to_be_between" and (about.minimum is not None or about.maximum is not None):
        low, high = asked.get("min_value"), asked.get("max_value")
        if (low is None or (about.minimum is not None and about.minimum >= low)) and (
            high is None or (about.maximum is not None and about.maximum <= high)
        ):
            return "minimum and maximum"
    return None


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_contract_is_valid_by_the_standard(path: Path) -> None:
    OpenDataContractStandard.from_file(str(path))  # it forbids keys that it does not know
    assert document(path)["apiVersion"] == "v3.1.0"
    assert list(jsonschema.Draft201909Validator(STANDARD).iter_errors(document(path))) == []


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, ""),
        ({"unique": True, "logicalTypeOptions": {"minLength": 1, "maxLength": 9, "pattern": "[a-z]+"}}, ""),
        ({"logicalType": "number", "logicalTypeOptions": {"exclusiveMinimum": 0, "exclusiveMaximum": 1}}, ""),
        ({"logicalType": "date", "logicalTypeOptions": {"minimum": "2020-01-01"}}, ""),
        ({"logicalType": "object", "properties": [{"name": "lat", "logicalType": "number", "required": True}]}, ""),
        ({"logicalType": "array", "items": {"name": "tag", "logicalType": "string"}, "logicalTypeOptions": {"maxItems": 3}}, ""),
        ({"customProperties": [{"property": "finite", "value": True}]}, ""),
        ({"logicalType": "number", "logicalTypeOptions": {"minLength": 1}}, "'minLength' was unexpected"),
        ({"logicalType": "text"}, "'text' is not one of"),
        ({"range": [0, 1]}, "'range' was unexpected"),
    ],
)
def test_what_we_read_of_a_column_is_valid_by_the_standard(facts: dict[str, Any], told: str) -> None:
    one: dict[str, Any] = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "silver.x", "version": "1.0.0", "status": "active"}
    one["slaProperties"] = [{"property": "freshness", "value": 36, "unit": "h"}]
    one["schema"] = [{"name": "x", "properties": [column("a", **facts)]}]
    wrong = [e.message for e in jsonschema.Draft201909Validator(STANDARD).iter_errors(one)]
    assert told in "; ".join(wrong) and bool(told) == bool(wrong)


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_contract_is_whole_by_our_rules(path: Path) -> None:
    assert lacking(document(path)) == []


@pytest.mark.parametrize("address", addresses())
def test_a_contract_loads_and_every_reader_knows_its_types(address: str) -> None:
    contract = Contract.load(address)
    assert contract.address == address
    assert contract.schema.names == [c.name for c in contract.columns]
    assert all(c.required for c in contract.columns if c.key_position is not None)


def test_every_file_below_schemas_is_a_contract_that_lake_finds() -> None:
    assert sorted(address_of(p) for p in FILES) == addresses()


@pytest.mark.parametrize("address", SLICED)
def test_the_slice_of_a_sliced_job_is_the_partition_of_its_table(address: str) -> None:
    contract = Contract.load(address)
    assert contract.slice is not None
    assert contract.slice == contract.partition
    assert contract.column(contract.slice).required
    assert contract.schema.field(contract.slice).type == pa.date32()


@pytest.mark.parametrize("address", addresses("raw"))
def test_a_source_names_a_format_that_lake_reads(address: str) -> None:
    source = Contract.load(address).source
    assert source is not None
    assert (ROOT / "lake" / "sources" / f"{source.format}.py").is_file()
    assert source.location.startswith("raw/")  # below the root: the example project lands its own files


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"team": {}}, ["nobody owns it"]),
        ({"description": {}}, ["purpose is not told", "usage is not told"]),
        ({"properties": [column("a", primaryKey=True), column("b", description=" ")]}, ["b has no description"]),
        ({"properties": [column("a")]}, ["no column is its key"]),
        ({"properties": [column("a", primaryKey=True, physicalType="int")]}, ["a is int and no string"]),
        ({"properties": [column("a", primaryKey=True), column("a")]}, ["a stands twice"]),
        ({"customProperties": [{"property": "slice", "value": "b"}]}, ["its slice is ['b'], its partition []"]),
    ],
)
def test_what_a_contract_lacks_is_seen(change: dict[str, Any], told: list[str]) -> None:
    properties = change.pop("properties", [column("a", primaryKey=True)])
    whole = {
        "id": "silver.x",
        "team": {"name": "t"},
        "description": {"purpose": "p", "usage": "u"},
        "schema": [{"description": "d", "properties": properties}],
    }
    assert lacking(whole | change) == told


@pytest.mark.parametrize("path", SUITES, ids=short)
def test_a_suite_is_about_the_columns_of_its_contract(path: Path) -> None:
    suite, contract = document(path), Contract.load(address_of(path))
    names = {c.name for c in contract.columns}
    assert suite.get("name", contract.address) == contract.address
    assert suite["expectations"]
    for rule in suite["expectations"]:
        asked = rule.get("kwargs") or {}
        about = [asked[k] for k in ("column", "column_A", "column_B") if k in asked] + list(asked.get("column_list") or [])
        assert set(about) <= names, rule
        assert rule.get("severity", "critical") in ("critical", "warning", "info"), rule
        assert (rule.get("meta") or {}).get("why"), f"{rule['type']} does not say why"


@pytest.mark.parametrize("path", SUITES, ids=short)
def test_a_suite_repeats_nothing_that_the_contract_says(path: Path) -> None:
    contract = Contract.load(address_of(path))
    assert [(rule["type"], word) for rule in document(path)["expectations"] if (word := said_already(contract, rule))] == []


@pytest.mark.parametrize(
    ("kind", "asked", "word"),
    [
        ("expect_column_values_to_be_unique", {"column": "text_id"}, "key"),
        ("expect_column_values_to_be_unique", {"column": "folded_id"}, None),
        ("expect_column_values_to_not_be_null", {"column": "text", "mostly": 0.9}, "required"),
        ("expect_column_values_to_not_be_null", {"column": "intent", "mostly": 0.9}, None),
        ("expect_column_values_to_be_in_set", {"column": "spam", "value_set": ["ham", "spam", "eggs"]}, "validValues"),
        ("expect_column_values_to_be_in_set", {"column": "spam", "value_set": ["ham"], "mostly": 0.5}, None),
        ("expect_column_values_to_be_between", {"column": "stars", "min_value": 0}, "minimum and maximum"),
        ("expect_column_values_to_be_between", {"column": "stars", "min_value": 2, "mostly": 0.5}, None),
        ("expect_column_values_to_match_regex", {"column": "language", "regex": "^[a-z]{2}$"}, "pattern"),
        ("expect_table_row_count_to_be_between", {"min_value": 1}, None),
        ("expect_column_to_exist", {"column": "text"}, "columns and types"),
    ],
)
def test_a_rule_that_the_contract_has_made_needless_is_seen(kind: str, asked: dict[str, Any], word: str | None) -> None:
    assert said_already(Contract.load("silver.texts"), {"type": kind, "kwargs": asked}) == word
