"""Which run left a table as a version has it, and which run read a file into it: the books asked as of then, not as of now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lake import ops
from lake.ops import Event
from lake.store import Store


def maker(events: Iterable[Event], address: str, version: int | None = None) -> Event | None:
    """The run that left an address as a version has it (upkeep makes versions without a run); without a version, as it stands."""
    return max((e for e in _made(events, address) if version is None or (e.version is not None and e.version <= version)), key=_run, default=None)


def writer(events: Iterable[Event], address: str, run: int) -> Event | None:
    """The event that says how a run ended which wrote rows."""
    return next((e for e in _made(events, address) if e.run == run), None)


def reader(store: Store, events: Iterable[Event], address: str, file: str, edition: int | None, version: int | None = None) -> dict[str, Any] | None:
    """The ledger's line of the run that read an edition of a file into an address; without an edition, of the newest by that version.

    A rebuild reads every file once more: of the runs whose rows that version holds, the last one to read it wrote them.
    """
    mine = [e for e in events if e.address == address]
    last = maker(mine, address, version)
    if last is None:
        return None
    counted = ops.standing([e for e in mine if e.run <= last.run], last.run).published
    lines = ops.read(store, "files", [("address", "=", address), ("path", "=", file), ("status", "=", "read")])
    return max((r for r in lines if r["run"] in counted and edition in (None, r["edition"])), key=lambda r: r["run"], default=None)


def _made(events: Iterable[Event], address: str) -> list[Event]:
    return [e for e in events if e.address == address and e.status in ("published", "restored")]


def _run(event: Event) -> int:
    return event.run
