"""What a suite may hold: the expectation types that run on Spark, their arguments, and the JSON schema of a suite for editors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from lake.gate import gx
from lake.gate.suite import SEVERITIES, OnFail

_OURS = frozenset({"id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "batch_id", "windows", "severity"})


@dataclass(frozen=True, slots=True)
class Expectation:
    """One type: what it judges, what its failure does unless a suite says otherwise, its first line, and its arguments with their JSON schemas."""

    type: str
    kind: gx.Kind
    on_fail: OnFail
    about: str
    arguments: dict[str, dict[str, Any]]
    required: tuple[str, ...]


def expectations() -> list[Expectation]:
    """Every type that a suite may name, by name."""
    return [expectation(type_) for type_ in gx.types()]


def expectation(type_: str) -> Expectation:
    """One type.

    Raises:
        LookupError: GX knows no such type, or does not offer it on Spark.
    """
    gx.library()
    from great_expectations.expectations.registry import get_expectation_impl

    if type_ not in gx.types():
        raise LookupError(type_)
    impl: Any = get_expectation_impl(type_)
    kind = gx.kind(type_) or "batch"
    told: dict[str, Any] = impl.schema()["properties"]
    fields = {name: field for name, field in impl.__fields__.items() if name not in _OURS}
    about = next((line.strip() for line in (impl.__doc__ or "").splitlines() if line.strip()), "")
    return Expectation(
        type_, kind, "refuse" if kind == "batch" else "quarantine", about,
        {name: _plain(told.get(name, {})) for name in fields}, tuple(name for name, field in fields.items() if field.required),
    )  # fmt: skip


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Of an argument's schema what an editor shows: its description, and its type where that is one plain type."""
    plain = told.get("type") in ("string", "boolean")
    return {k: v for k, v in told.items() if k == "description" or (plain and k in ("type", "enum"))}


def suite_schema() -> dict[str, Any]:
    """The JSON schema of expectations/<zone>/<name>.yaml."""
    found = expectations()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What a good batch of one address looks like: a suite of Great Expectations",
        "type": "object",
        "required": ["expectations"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "description": "The address."},
            "notes": {"type": "string"},
            "meta": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "max_rejected_share": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": 1,
                        "description": "Of rows set aside that is borne.",
                    }
                },
            },
            "expectations": {"type": "array", "minItems": 1, "items": _item(found)},
        },
    }


def _item(found: list[Expectation]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type"],
        "additionalProperties": False,
        "properties": {
            "type": {"enum": [e.type for e in found]},
            "kwargs": {"type": "object"},
            "severity": {"enum": list(SEVERITIES), "description": "A label: what a failure does is said by meta.on_fail."},
            "id": {"type": "string"},
            "notes": {},
            "description": {"type": "string"},
            "meta": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "on_fail": {"enum": list(get_args(OnFail)), "description": "Set the rows aside, refuse the batch, or tell it."},
                    "why": {"type": "string", "description": "What a failure means, for the one who is woken by it."},
                },
            },
        },
        "allOf": [
            {
                "if": {"properties": {"type": {"const": e.type}}},
                "then": {
                    "description": e.about,
                    "properties": {"kwargs": {"additionalProperties": False, "required": list(e.required), "properties": e.arguments}},
                }
                | ({"required": ["type", "kwargs"]} if e.required else {}),
            }
            for e in found
        ],
    }
