"""Every raw file belongs to one source: none is left lying unread, none is read as two things."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from lake.contract import Contract, addresses
from lake.sources.files import matcher
from lake.store import split_location

OURS = Path(__file__).resolve().parents[2] / "samples" / "raw"
NO_DATA = {"logs/loghub/LICENSE", "text/sentiment_sentences/readme.txt"}  # notices that their publishers ask to keep beside the data
ABOUT = {"MANIFEST.logs-and-sensors.md", "MANIFEST.text.md"}


def sources_of(folder: Path) -> dict[str, list[str]]:
    """The sources that read each file below a folder laid out like raw/, by its path."""
    found: dict[str, list[str]] = defaultdict(list)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    for address in addresses("raw"):
        source = Contract.load(address).source
        assert source is not None
        inside, pattern = split_location(source.location.removeprefix("raw/"))
        fits = matcher(pattern)
        for path in files:
            if path.startswith(f"{inside}/") and fits(path.removeprefix(f"{inside}/")):
                found[path].append(source.name)
    return {path: found.get(path, []) for path in files}


def test_every_file_of_the_pack_belongs_to_one_source(samples: Path) -> None:
    told = sources_of(samples)
    assert len(told) >= 90
    assert {path: sources for path, sources in told.items() if len(sources) != 1} == {path: [] for path in NO_DATA}
    assert {name for sources in told.values() for name in sources} == {address.removeprefix("raw.") for address in addresses("raw")}


def test_every_sample_of_ours_belongs_to_one_source_and_every_source_has_some() -> None:
    told = sources_of(OURS)
    assert {path: sources for path, sources in told.items() if len(sources) != 1} == {path: [] for path in ABOUT}
    assert {name for sources in told.values() for name in sources} == {address.removeprefix("raw.") for address in addresses("raw")}
