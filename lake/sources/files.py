"""Raw files as their store lists them, and their editions: what is new or changed since the ledger last looked.

A file is (source, path below the source's folder, edition): its sha256 is a fact about it, not its name. The same bytes
under two names are two files, other bytes under the same name are the next edition, and a touched file with the same
bytes is nothing new.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from lake.contract import Source
from lake.errors import FileChanged
from lake.store import Object, Store, open_place, split_location

COMPRESSED = (".gz", ".bz2", ".zst")
ASKED_AT_ONCE = 16  # a HEAD takes some 10 ms: 100,000 new objects take a minute, not a quarter of an hour


@dataclass(frozen=True, slots=True)
class FileEdition:
    """One content of one file: what a run reads, and what the ledger keeps."""

    source: str
    path: str
    edition: int
    size: int
    etag: str
    sha256: str
    modified: datetime
    uri: str


def discover(store: Store, source: Source, known: Mapping[str, FileEdition]) -> list[FileEdition]:
    """Files that are new, or changed since their last edition in `known` (by path); in the order of their paths.

    One listing does for files whose size and etag are known. Else the sha256 decides: from the object's metadata, where
    its landing put it, or from the bytes.

    Raises:
        StoreUnreachable: the source's place does not answer.
        FileChanged: a file went away between its listing and its reading.
    """
    place = place_of(store, source)
    matches = matcher(split_location(source.location)[1])

    def differs(found: Object) -> bool:
        last = known.get(found.key)
        return last is None or (last.size, last.etag) != (found.size, found.etag)

    found = sorted((f for f in place.list() if matches(f.key) and differs(f)), key=lambda f: f.key)
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        hashes = threads.map(lambda f: _sha256(place, f.key), found)
        return [
            FileEdition(
                source.address,
                f.key,
                last.edition + 1 if last else 1,
                f.size,
                f.etag,
                sha256,
                f.modified,
                place.key_uri(f.key),
            )
            for f, sha256 in zip(found, hashes, strict=True)
            if (last := known.get(f.key)) is None or last.sha256 != sha256
        ]


def place_of(store: Store, source: Source) -> Store:
    """Where a source's files lie: below the lake's root, or at a place of their own with its own keys; read-only."""
    folder, _ = split_location(source.location)
    if "://" in folder or folder.startswith("/"):
        return open_place(source.location, source.name)
    return Store(
        store.key_uri(folder),
        store.endpoint,
        store.region,
        store.access_key,
        store.secret_key,
        source.name,
        writable=False,
    )


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a path below the source's folder matches the pattern of its location.

    `*` and `?` stay within a name, `**` crosses folders; names may begin with `.` or `_`. A compression suffix is not
    part of a name: `*.csv` takes `a.csv.gz` as well.
    """
    fits = re.compile(_expression(pattern)).fullmatch

    def matches(path: str) -> bool:
        bare = next((path[: -len(end)] for end in COMPRESSED if path.endswith(end)), None)
        return fits(path) is not None or (bare is not None and fits(bare) is not None)

    return matches


def _expression(pattern: str) -> str:
    parts, at = list[str](), 0
    for found in re.finditer(r"\*\*/|\*\*|\*|\?|\[(!?)([^\]/]+)\]", pattern):
        parts.append(re.escape(pattern[at : found.start()]))
        plain = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        letters = (found[2] or "").replace("\\", r"\\").replace("^", r"\^").replace("[", r"\[")
        parts.append(plain.get(found[0]) or f"[{'^/' if found[1] else ''}{letters}]")
        at = found.end()
    return "(?s:" + "".join(parts) + re.escape(pattern[at:]) + ")"


def _sha256(place: Store, key: str) -> str:
    if place.on_s3 and (known := place.stat(key)) is not None and known.sha256:
        return known.sha256
    hashed, uri = hashlib.sha256(), place.key_uri(key)
    try:
        with place.arrow().open_input_stream(place.arrow_path(uri), compression=None) as stream:
            while block := stream.read(1024 * 1024):
                hashed.update(block)
    except FileNotFoundError:
        raise FileChanged(f"{uri} was listed, and is gone now", next_step="run again when its writer is done") from None
    return hashed.hexdigest()
