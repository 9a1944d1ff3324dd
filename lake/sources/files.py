"""Raw files as their store lists them, and their editions: what is new or changed since the ledger last looked.

A file is (source, path below the source's folder, edition): its sha256 is a fact about it, not its name. The same bytes
under two names are two files (unless the contract says `copies: skip`: then the first by path is read, and the others wait
until their bytes are held nowhere else), other bytes under the same name are the next edition, and a touched file with the
same bytes is nothing new. Empty files are no copies of each other.

A file has grown when it begins with all the bytes of its last edition: then only what follows them is new, and where its
format allows, only that is parsed (`begins`). Any other change makes another content: its rows take the place of the
older ones, or stand beside them where the contract says `editions: keep` (`base`).

A file that grows while we look (a server's live log) is taken as it stood when it was listed: its first `size` bytes are
hashed, and no more of it is read. What comes after them makes its next edition.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from lake.contract import Source
from lake.errors import StoreUnreachable
from lake.store import Object, Store, open_place, split_location

COMPRESSED = (".gz", ".bz2", ".zst")
ASKED_AT_ONCE = 16  # a HEAD takes some 10 ms: 100,000 new objects take a minute, not a quarter of an hour


@dataclass(frozen=True, slots=True)
class Mark:
    """A record of a file at which reading can begin: its ordinal, and the byte where it begins."""

    ordinal: int
    offset: int


class FileEdition(NamedTuple):
    """One content of one file: what a run reads, and what the ledger keeps.

    A named tuple, for every night makes one of each file that it knows: 100,000 take 0.05 s, of a frozen dataclass 0.45 s.

    Of a file that has grown, the first `head` bytes have been read under an earlier edition, and reading begins at the
    record `begins`; both are None where all of it is read. `open` is the first record that bytes to come may still change.
    """

    source: str
    path: str
    edition: int
    size: int
    etag: str
    sha256: str
    modified: datetime
    uri: str
    copy: bool = False  # its bytes are held under another name: nothing of it is read
    base: int = 1  # the edition in which this content began; rows of older ones are not its own (`editions: keep`)
    head: int | None = None
    begins: Mark | None = None
    open: Mark | None = None


def discover(
    store: Store,
    source: Source,
    known: Mapping[str, FileEdition],
    say: Callable[[str], None] | None = None,
    again: Collection[str] = (),
) -> list[FileEdition]:
    """Files that are new, or changed since their last edition in `known` (by path); in the order of their paths.

    Those whose path is in `again` come in any case, whole, under the edition that they have.

    Where the source says `copies: skip`, what is only a copy comes as one. A copy in `known` comes to be read when no other
    file holds its bytes any more, or the source says so no more.

    One listing does for files whose size and etag are known. Else the sha256 decides: from the object's metadata, where
    its landing put it, or from the bytes. A file that was replaced, cut or removed since it was listed is left out, a
    line for `say`: the next run finds what lies there then. So is a file whose name is not UTF-8 (a folder may hold such):
    no table can hold its path, and it stops no other.

    Raises:
        StoreUnreachable: the source's place does not answer, or does not let us read a file.
    """
    place = place_of(store, source)
    matches = matcher(split_location(source.location)[1])

    def differs(found: Object) -> bool:
        last = known.get(found.key)
        return last is None or (last.size, last.etag) != (found.size, found.etag) or found.key in again

    copies = [f for f in known.values() if f.copy]
    there, news = set[str](), list[Object]()  # of a million known objects only those are kept that are asked about
    for f in place.list():
        if matches(f.key):
            if copies:
                there.add(f.key)
            if differs(f):
                news.append(f)
    found: list[Object] = []
    for f in sorted(news, key=lambda f: f.key):
        if _is_text(f.key):
            found.append(f)
        elif say is not None:
            name = place.key_uri(f.key).encode(errors="backslashreplace").decode()
            say(f"{name} is left out: its name is not UTF-8; give it another one")
    keep = source.editions == "keep"

    def head(f: Object) -> int:
        """Bytes that the last edition had, if it matters whether this one begins with them."""
        last = known.get(f.key)
        if last is None or not (keep or (last.open is not None and f.key not in again)):
            return 0
        return last.size if last.size < f.size else 0

    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        hashes = list(threads.map(lambda f: _sha256(place, f, head(f)), found))
    editions: list[FileEdition] = []
    for f, (sha256, first) in zip(found, hashes, strict=True):
        last = known.get(f.key)
        if sha256 is None:
            if say is not None:
                say(f"{place.key_uri(f.key)} changed while it was looked at: left for the next run")
        elif last is None or last.sha256 != sha256 or f.key in again:
            number = last.edition + (last.sha256 != sha256) if last else 1
            edition = FileEdition(source.address, f.key, number, f.size, f.etag, sha256, f.modified, place.key_uri(f.key))
            grown = last is not None and first == last.sha256
            if keep and last is not None:
                edition = edition._replace(base=last.base if grown or last.sha256 == sha256 else number)
            if grown and last is not None and f.key not in again and last.open is not None and last.base == edition.base:
                edition = edition._replace(head=last.size, begins=last.open)
            editions.append(edition)
    left = there - {f.path for f in editions}
    waiting = [f._replace(uri=place.key_uri(f.path), copy=False) for f in copies if f.path in left]
    return _copies_told(editions, waiting, known) if source.copies == "skip" else [*waiting, *editions]


def _copies_told(editions: Sequence[FileEdition], waiting: Sequence[FileEdition], known: Mapping[str, FileEdition]) -> list[FileEdition]:
    """The new editions, those of bytes that are held already as copies; and of the `waiting` copies those whose bytes no file holds any more.

    A file that was read before is read again: its rows have to change.
    """
    changed, read = {f.path for f in editions}, {f.path for f in known.values() if not f.copy}
    held = {known[path].sha256 for path in read - changed} | {f.sha256 for f in editions if f.path in read}
    found: list[FileEdition] = []
    for f in sorted([*editions, *waiting], key=lambda f: f.path):
        copy = f.path not in read and f.size > 0 and f.sha256 in held
        held.add(f.sha256)
        if f.path in changed or not copy:
            found.append(f._replace(copy=copy))
    return found


def cut(files: Sequence[FileEdition], most_files: int, most_bytes: int) -> tuple[list[FileEdition], list[FileEdition]]:
    """(the first of these files, the others): no more than so many files and bytes, but one file at least; copies count for nothing."""
    count = size = 0
    for at, file in enumerate(files):
        if not file.copy:
            count, size = count + 1, size + file.size
            if count > 1 and (count > most_files or size > most_bytes):
                return list(files[:at]), list(files[at:])
    return list(files), []


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

    `*` and `?` stay within a name, `**` crosses folders. As in a shell, no wildcard takes the `.` that a name or folder
    begins with: what rsync and editors are still writing is called `.server.log.Xa12Bc`; a pattern that wants such files
    writes the dot (`**/.*`). A compression suffix is not part of a name: `*.csv` takes `a.csv.gz` as well.
    """
    fits = re.compile(_expression(pattern)).fullmatch

    def matches(path: str) -> bool:
        bare = next((path[: -len(end)] for end in COMPRESSED if path.endswith(end)), None)
        return fits(path) is not None or (bare is not None and fits(bare) is not None)

    return matches


_PLAIN = r"(?!(?<![^/])\.)"  # here does not stand the dot that a name begins with


def _expression(pattern: str) -> str:
    parts, at = list[str](), 0
    for found in re.finditer(r"\*\*/|\*\*|\*|\?|\[(!?)([^\]/]+)\]", pattern):
        parts.append(re.escape(pattern[at : found.start()]))
        plain = {"**/": f"(?:{_PLAIN}[^/]+/)*", "**": f"(?:{_PLAIN}.)*{_PLAIN}", "*": f"{_PLAIN}[^/]*", "?": f"{_PLAIN}[^/]"}
        letters = (found[2] or "").replace("\\", r"\\").replace("^", r"\^").replace("[", r"\[")
        parts.append(plain.get(found[0]) or f"{_PLAIN}[{'^/' if found[1] else ''}{letters}]")
        at = found.end()
    return "(?s:" + "".join(parts) + re.escape(pattern[at:]) + ")"


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:  # Python keeps the bytes of such a name as lone surrogates
        return False
    return True


def _sha256(place: Store, listed: Object, head: int = 0) -> tuple[str | None, str | None]:
    """Hash of the bytes that were listed, None when others lie there by now; and that of the first `head` of them, if asked."""
    told, most = "", listed.size
    if place.on_s3:
        now = place.stat(listed.key)
        if now is None or not _holds(place, now, listed):
            return None, None
        if now.sha256 and not head:
            return now.sha256, None
        told, most = now.sha256, head if now.sha256 else most
    hashed, size, first, uri = hashlib.sha256(), 0, None, place.key_uri(listed.key)
    try:
        if most:
            with place.arrow().open_input_stream(place.arrow_path(uri), compression=None) as stream:
                while size < most and (block := stream.read(min((head if size < head else most) - size, 1024 * 1024))):
                    hashed.update(block)
                    size += len(block)
                    if size == head:
                        first = hashed.hexdigest()
        now = place.stat(listed.key)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise StoreUnreachable(f"{uri} can't be read: {error}", next_step="give this user (or these keys) the right to read it") from error
    whole = size == most and now is not None and _holds(place, now, listed)
    return ((told or hashed.hexdigest()) if whole else None), first


def _holds(place: Store, now: Object, listed: Object) -> bool:
    """Whether a file still begins with the bytes that were listed: it is the same, or it has only grown."""
    if (now.size, now.etag) == (listed.size, listed.etag):
        return True
    # An object is replaced as a whole; the ETag of a file is <ctime>-<inode>-<size>. Another inode is another file (a log that was rotated).
    return not place.on_s3 and now.size > listed.size and now.etag.split("-")[1] == listed.etag.split("-")[1]
