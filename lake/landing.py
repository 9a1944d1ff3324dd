"""Landing: raw files come into the lake as they are, whole or not at all, never over what lies there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lake.contract import Contract, Source, addresses
from lake.errors import ContractBroken, SourceMissing
from lake.sources.files import matcher
from lake.store import Store, split_location


@dataclass(frozen=True, slots=True)
class Landed:
    """What a landing did: files brought in, files whose very bytes lay there already, and bytes brought in."""

    source: str
    new: int
    known: int
    size: int


def land(store: Store, source: str, files: Iterable[Path], base: Path | None = None) -> Landed:
    """Bring files of one source in, under their path below `base` (their bare name without one).

    Raises:
        ContractBroken: the source has a place of its own, or a file lies outside `base` or does not match its pattern.
        LakeError: other bytes lie under that name.
    """
    place = _source(source)
    folder, pattern = split_location(place.location)
    if "://" in folder or folder.startswith("/"):
        raise ContractBroken(
            f"raw.{source} lies at {place.location}, outside the lake: it is read there and never written", next_step="put the file there yourself"
        )
    fits = matcher(pattern)
    new = known = size = 0
    for file in files:
        if base and not file.is_relative_to(base):
            raise ContractBroken(f"{file} does not lie below {base}", next_step="give --base a folder that all the files lie in")
        path = file.relative_to(base).as_posix() if base else file.name
        if not fits(path):
            raise ContractBroken(f"{path} does not match {pattern} of raw.{source}: no job would read it", next_step="name it so, or give --base")
        if store.land(file, f"{folder}/{path}"):
            new, size = new + 1, size + file.stat().st_size
        else:
            known += 1
    return Landed(source, new, known, size)


def land_folder(store: Store, folder: Path, only: Sequence[str] = ()) -> list[Landed]:
    """Bring in every file of a folder laid out like raw/ (logs/kafka/..., text/banking77/...) that some source names.

    Raises:
        SourceMissing: there is no such folder.
    """
    if not folder.is_dir():
        raise SourceMissing(f"{folder} is no folder", next_step="export LAKE_SAMPLES=/folder/of/raw/files")
    landed: list[Landed] = []
    for address in addresses("raw"):
        source = _source(address.split(".")[1])
        inside, pattern = split_location(source.location)
        if (only and source.name not in only) or "://" in inside or inside.startswith("/"):
            continue
        base, fits = folder.joinpath(*inside.split("/")[inside.split("/")[0] == "raw" :]), matcher(pattern)
        files = sorted(f for f in base.rglob("*") if f.is_file() and fits(f.relative_to(base).as_posix())) if base.is_dir() else []
        landed.append(land(store, source.name, files, base))
    return landed


def _source(name: str) -> Source:
    source = Contract.load(f"raw.{name}").source
    if source is None:
        raise ContractBroken(f"schemas/raw/{name}.yaml names no place", next_step="add `servers`")
    return source
