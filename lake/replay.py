"""Replay: which raw files are read once more, after their contract or their job was mended."""

from __future__ import annotations

from lake import ops
from lake.errors import SourceMissing
from lake.report.rejects import counted
from lake.sources.files import matcher
from lake.store import Store


def files_to_replay(store: Store, address: str, source: str, pattern: str | None = None, reason: str | None = None) -> frozenset[str]:
    """Paths of a source's files that `address` has read: all, those that match a pattern, those with a reject of a reason that stands.

    A reason is given whole (`not_a_number:value`) or by its kind (`not_a_number`).

    Raises:
        SourceMissing: there are none.
    """
    read = [("address", "=", address), ("source", "=", source), ("status", "=", "read")]
    paths = {row["path"] for row in ops.read(store, "files", read, columns=["path"])}
    if pattern is not None:
        matches = matcher(pattern)
        paths = {path for path in paths if matches(path)}
    if reason is not None:
        paths &= {r["file"] for r in counted(store, address) if any(f"{told}:".startswith(f"{reason}:") for told in r["reasons"])}
    if not paths:
        asked = " ".join(f for f in (f"whose path matches {pattern}" if pattern else "", f"with rejects for {reason}" if reason else "") if f)
        raise SourceMissing(f"{address} has read no file of {source} {asked}".rstrip(), next_step=f"lake rejects {address}")
    return frozenset(paths)
