"""Registry: model versions in the store, each whole or not there, and the pointer to the champion that moves by evidence.

models/<name>/<version>/card.json                  written last: without it there is no such version
models/<name>/<version>/<content hash>/<file>      weights, tokenizer; writers that race or died never mix their files
models/<name>/champion/<n>.json                    the n-th decision; a conditional PUT, so each n is won once
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lake.errors import Busy, LakeError, SettingsWrong, SourceMissing, StoreUnreachable
from lake.models.candidate import CARD, Candidate, Figures, better
from lake.settings import Settings
from lake.store import Store


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model version."""

    name: str
    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model: enough to find it, from any process that knows the store."""

    name: str
    version: int
    uri: str
    files: tuple[File, ...]
    card: str  # JSON text

    @property
    def facts(self) -> dict[str, Any]:
        """The card: data, spec, metrics, curves, confusion, labels, libraries."""
        return json.loads(self.card)

    @property
    def content(self) -> str:
        """Hash of its files."""
        return hashlib.sha256("".join(f"{f.name} {f.sha256}\n" for f in self.files).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a challenger should be champion: both asked on the same pinned test rows."""

    table: str
    table_version: int
    challenger: Figures | None
    champion: Figures | None
    champion_version: int | None
    how: str  # 'the same rows', 'by its card, on ...' when it was not asked, or 'no champion'

    @classmethod
    def of(cls, candidate: Candidate, champion: ModelVersion | None) -> Evidence:
        """What a training found out; a champion that it could not ask, or a newer one, counts by its own card."""
        data = candidate.manifest.address, candidate.manifest.version
        if champion is None:
            return cls(*data, candidate.test, None, None, "no champion")
        if candidate.champion is not None and candidate.champion_version == champion.version:
            return cls(*data, candidate.test, candidate.champion, champion.version, "the same rows")
        card = champion.facts
        by_card, pinned = card["metrics"].get("test"), card.get("data", {})
        how = f"by its card, on the test rows of {pinned.get('address')} version {pinned.get('version')}"
        return cls(*data, candidate.test, Figures.of(by_card) if by_card else None, champion.version, how)

    @classmethod
    def from_said(cls, said: Mapping[str, Any]) -> Evidence:
        """Evidence as the champion's pointer holds it."""
        challenger, champion = (Figures.of(said[who]) if said[who] else None for who in ("challenger", "champion"))
        return cls(said["table"], said["table_version"], challenger, champion, said["champion_version"], said["how"])


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a challenger, and why."""

    name: str
    version: int
    promoted: bool
    champion: int | None  # after the decision
    reason: str
    evidence: Evidence
    at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Registry:
    """The models of a lake."""

    store: Store

    def publish(self, name: str, version: int, folder: Path | str) -> ModelVersion:
        """Bring a trained folder (weights, tokenizer, card) into the store as a version; the card goes last.

        Raises:
            SourceMissing: the folder has no card: its training did not end.
            Busy: the version is there already, with other content.
        """
        folder = Path(folder)
        if not (folder / CARD).is_file():
            raise SourceMissing(f"{folder} has no {CARD}: its training did not end", next_step=f"lake run models.{name}")
        digests = {p.relative_to(folder).as_posix(): _sha256(p) for p in sorted(folder.rglob("*")) if p.is_file() and p != folder / CARD}
        content = hashlib.sha256("".join(f"{n} {d}\n" for n, d in digests.items()).encode()).hexdigest()[:16]
        place = f"models/{name}/{version}"
        files = [File(n, f"{place}/{content}/{n}", (folder / n).stat().st_size, d) for n, d in digests.items()]
        for file in files:
            self.store.land(folder / file.name, file.key, file.sha256)
        facts = json.loads((folder / CARD).read_text())
        card = {"name": name, "version": version, "published_at": _now(), "files": [asdict(f) for f in files], **facts}
        if not self.store.put_if_absent(f"{place}/{CARD}", json.dumps(card, indent=1).encode()):
            standing = self.version(name, version)
            if standing.files != tuple(files):
                raise Busy(
                    f"models.{name} version {version} is there already, with other weights",
                    next_step=f"lake run models.{name}  (it takes the next number)",
                )
            return standing
        return self.version(name, version)

    def version(self, name: str, version: int) -> ModelVersion:
        """A version by its number.

        Raises:
            SourceMissing: it is not there, or was never whole.
        """
        card = self.store.get(f"models/{name}/{version}/{CARD}")
        if card is None:
            raise SourceMissing(
                f"models.{name} has no version {version}",
                next_step=f"lake run models.{name}; versions there: {self.versions(name)}",
            )
        files = tuple(File(**f) for f in json.loads(card)["files"])
        return ModelVersion(name, version, self.store.key_uri(f"models/{name}/{version}"), files, card.decode())

    def versions(self, name: str) -> list[int]:
        """The numbers of the versions that are whole, oldest first."""
        parts = (key.split("/") for key in self.store.keys(f"models/{name}/"))
        return sorted(int(p[2]) for p in parts if len(p) == 4 and p[3] == CARD and p[2].isdigit())

    def champion(self, name: str) -> ModelVersion | None:
        """The version that predicts; None before the first one."""
        pointer = self._pointer(name)
        return self.version(name, pointer[1]["version"]) if pointer else None

    def history(self, name: str) -> Iterator[Mapping[str, Any]]:
        """The decisions that moved the pointer, oldest first, each with its evidence."""
        for n in self._numbers(name):
            body = self.store.get(f"models/{name}/champion/{n}.json")
            if body is not None:
                yield json.loads(body)

    def promote(self, name: str, version: int, evidence: Evidence) -> Decision:
        """Make a version champion if it is better than the one there: by test accuracy, by macro-F1 when that is equal.

        The pointer moves only from the champion that the evidence names: of two promotions at once, one wins and the other
        is told to compare again.
        """
        challenger = self.version(name, version)  # it must be whole before anything points to it
        number, standing = self._pointer(name) or (0, None)
        current = standing["version"] if standing else None

        def decided(promoted: bool, reason: str) -> Decision:
            return Decision(name, version, promoted, version if promoted else current, reason, evidence, _now())

        if standing is not None and current == version:  # a repeat is told the decision that stands
            return Decision(name, version, True, current, standing["reason"], Evidence.from_said(standing["evidence"]), standing["at"])
        if evidence.challenger is None:
            return decided(False, "no test rows to judge it by")
        if evidence.champion_version != current:
            return decided(
                False,
                f"the champion is version {current} now, and it was compared with {evidence.champion_version}: compare again",
            )
        if current is not None and evidence.champion is None:
            return decided(
                False,
                f"version {current}, the champion, could not be asked, and its card has no test figures; "
                f"with a column `text` in {evidence.table} it is asked with its own tokenizer",
            )
        said = f"test accuracy {evidence.challenger.accuracy:.4f} on {evidence.challenger.rows} rows"
        if evidence.champion is not None:
            said += f", version {current} has {evidence.champion.accuracy:.4f} ({evidence.how})"
        if not better(evidence.challenger, evidence.champion):
            return decided(False, f"not better: {said}")
        decision = decided(True, said)
        pointer = {"n": number + 1, "previous": current, **asdict(decision), "card": f"{challenger.uri}/{CARD}"}
        if not self.store.put_if_absent(f"models/{name}/champion/{number + 1}.json", json.dumps(pointer, indent=1).encode()):
            standing = self._pointer(name)
            current = standing[1]["version"] if standing else None
            return decided(False, f"another promotion was faster: the champion is version {current} now: compare again")
        return decision

    def fetched(self, model: ModelVersion, cache: Path | None = None) -> Path:
        """A folder of this machine with the files of a version, copied once and checked against their hashes.

        Raises:
            StoreUnreachable: a file has other bytes than its card says.
        """
        cache = cache or model_cache()
        final = cache / f"{model.name}-{model.version}-{model.content}"
        if (final / CARD).is_file():
            return final
        aside = cache / f".{final.name}-{secrets.token_hex(4)}"
        aside.mkdir(parents=True)
        try:
            files = self.store.arrow()
            for file in model.files:
                digest = hashlib.sha256()
                path = self.store.arrow_path(self.store.key_uri(file.key))
                (aside / file.name).parent.mkdir(exist_ok=True)
                with files.open_input_stream(path) as source, (aside / file.name).open("wb") as target:
                    while block := source.read(2**20):
                        digest.update(block)
                        target.write(block)
                if digest.hexdigest() != file.sha256:
                    raise StoreUnreachable(
                        f"{file.key} has other bytes than its card says",
                        next_step=f"lake run models.{model.name}  (it makes a new version)",
                    )
            (aside / CARD).write_text(model.card)
            try:
                aside.rename(final)
            except OSError:  # another process was faster
                if not (final / CARD).is_file():
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return final

    def _numbers(self, name: str) -> list[int]:
        ends = (key.rpartition("/")[2] for key in self.store.keys(f"models/{name}/champion/"))
        return sorted(int(end.removesuffix(".json")) for end in ends if end.removesuffix(".json").isdigit())

    def _pointer(self, name: str) -> tuple[int, dict[str, Any]] | None:
        numbers = self._numbers(name)
        if not numbers:
            return None
        body = self.store.get(f"models/{name}/champion/{numbers[-1]}.json")
        if body is None:
            raise LakeError(f"models/{name}/champion/{numbers[-1]}.json was listed and is not there", next_step="try again")
        return numbers[-1], json.loads(body)


def model_cache() -> Path:
    """Where copies of models lie on this machine: the project's local state, or a folder of this user where there is no project."""
    try:
        return Settings.load().state / "models"
    except SettingsWrong:  # a worker on another machine
        return Path(tempfile.gettempdir()) / f"millrace-models-{os.getuid()}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
