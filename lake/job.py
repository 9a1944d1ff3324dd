"""Job: the declaration that a job file makes: what it reads, what it writes, how new becomes new."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from lake.errors import ContractBroken
from lake.settings import ZONES

Grain = Literal["rows", "slice", "whole"]
Engine = Literal["spark", "torch", "lake"]
_ADDRESS = re.compile(rf"({'|'.join(ZONES)})\.[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Job:
    """One address written, the addresses read, and the grain by which a run builds what is new.

    `rows`: row-local, only new or changed rows are built and merged by key.
    `slice`: the slices (days, months) that new, late, replaced or removed rows touch are built whole, with `look_back`
    ("31 days", "6 hours") of rows before them at hand.
    `whole`: small or global tables, built whole when an input has changed.
    """

    writes: str
    reads: tuple[str, ...]
    grain: Grain = "rows"
    look_back: str | None = None
    runs_on: Engine = "spark"

    def __post_init__(self) -> None:
        for address in (self.writes, *self.reads):
            check_address(address)
        if self.writes.startswith(("raw.", "ops.")):
            raise ContractBroken(
                f"{self.writes}: raw files are landed and ops is written by lake itself, never by a job", next_step="write to another zone"
            )
        for name, value, known in (("grain", self.grain, get_args(Grain)), ("runs_on", self.runs_on, get_args(Engine))):
            if value not in known:
                raise ContractBroken(f"{self.writes}: {name} {value!r} is unknown", next_step=f"write one of {', '.join(known)}")
        if self.look_back is not None:
            if self.grain != "slice":
                raise ContractBroken(
                    f"{self.writes}: look_back belongs to grain 'slice', not '{self.grain}'", next_step="drop look_back, or set grain='slice'"
                )
            _duration(self.look_back)

    @property
    def look_back_time(self) -> timedelta:
        """`look_back` as a duration; zero when there is none."""
        return _duration(self.look_back) if self.look_back else timedelta(0)


def check_address(address: str) -> str:
    """The address itself when it is `<zone>.<name>` in lower case.

    Raises:
        ContractBroken: it is not.
    """
    if not _ADDRESS.fullmatch(address):
        raise ContractBroken(
            f"{address!r} is no address: expected <zone>.<name> with a zone of {', '.join(ZONES)} and a name of [a-z0-9_]",
            next_step="e.g. silver.tickets",
        )
    return address


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+) (minute|hour|day)s?", text)
    if not found:
        raise ContractBroken(f"look_back {text!r} is no duration", next_step="write it as '6 hours' or '31 days'")
    return timedelta(**{f"{found[2]}s": int(found[1])})
