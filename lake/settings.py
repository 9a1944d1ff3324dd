"""Where we run: the LAKE_* environment and the project folder; nothing about any dataset."""

from __future__ import annotations

import contextlib
import os
import time
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lake.errors import SettingsWrong

CHECKOUT = Path(__file__).resolve().parent.parent  # where set-up puts its .lake: it installs this package from there, editable


class Settings(BaseSettings):
    """The facts about this place; each is an environment variable LAKE_<NAME>, and an empty one is an unset one."""

    model_config = SettingsConfigDict(env_prefix="LAKE_", env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    root: str = Field("s3a://lake", description="where the tables are: s3a://bucket[/prefix] or a folder")
    endpoint: str | None = Field(None, description="S3 endpoint; unset with s3a://lake means the embedded server of `lake up`")
    access_key: SecretStr | None = Field(None, description="S3 access key; unset means the usual AWS chain")
    secret_key: SecretStr | None = Field(None, description="S3 secret key")
    region: str = Field("us-east-1", description="S3 region")
    samples: Path | None = Field(None, description="folder of raw files for the demo and the tests; default samples/raw")
    models: str | None = Field(None, description="base model: a folder, or a hub id; default the packaged MiniLM")
    master: str = Field("local[*]", description="Spark master of runs that were not started by spark-submit")
    driver_memory: str = Field("3g", description="heap of the Spark driver that `lake` starts itself")
    train_seconds: float | None = Field(None, gt=0, description="wall time of a training, in place of its job's budget; --full lifts both")
    run_files: int = Field(10_000, gt=0, description="raw files that one run takes in; the rest is its next run's, in the same night")
    run_bytes: int = Field(32 * 1024**3, gt=0, description="their bytes, but one file at least")
    single_writer: bool = Field(False, description="write although the store does not honour If-None-Match: one driver only")
    on_failure: str | None = Field(None, description="command, or http(s) address of a webhook, called when a night fails")
    alerts: SecretStr | None = Field(None, description="addresses of Apprise, by white space or commas: who is told of what was refused or failed")
    alert_on: Literal["refused", "warning"] = Field("warning", description="tell of warnings too, or only of what was refused or failed")
    pii_key_file: Path | None = Field(None, description="file with the key of the personal-data tokens; default keys/pii in local state or .lake")
    home: Path | None = Field(None, description="folder of local state; default <project>/.lake")

    @field_validator("root")
    @classmethod
    def _one_spelling(cls, root: str) -> str:
        scheme, mark, path = root.partition("://") if "://" in root else ("", "", root)
        if mark and scheme not in ("s3", "s3a", "s3n", "file"):
            raise ValueError(f"{scheme}:// is none of ours: write s3a://bucket/prefix, or a folder")
        if not path.strip("/"):
            raise ValueError("names no bucket and no folder of its own")
        return f"s3a://{path.strip('/')}" if scheme.startswith("s3") else str(Path(path).absolute())

    @classmethod
    def load(cls) -> Settings:
        """Settings of this process.

        Raises:
            SettingsWrong: a LAKE_* variable does not parse; names the variable, never its value.
        """
        try:
            return cls()  # pyright: ignore[reportCallIssue]
        except ValidationError as error:
            wrong = "; ".join(f"LAKE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            raise SettingsWrong(
                f"the environment is wrong: {wrong}", next_step="unset or mend what is named; the README lists every setting"
            ) from None

    @property
    def on_s3(self) -> bool:
        """Whether the root is a bucket (else it is a folder)."""
        return self.root.startswith("s3a://")

    @property
    def embedded(self) -> bool:
        """Whether the root is on the embedded server: a bucket, with neither an endpoint nor keys of the user's."""
        return self.on_s3 and self.endpoint is None and self.access_key is None and self.root.split("/")[2] == "lake"

    @cached_property
    def state(self) -> Path:
        """The folder of local state: server data, keys, locks, pages."""
        return (self.home or project_root() / ".lake").absolute()

    def installed(self, name: str) -> Path:
        """What set-up brought (jars, conf): in the folder of state, else in the project's .lake, else in that of the checkout of this package.

        Set-up knows neither LAKE_HOME nor LAKE_PROJECT: what it brings is the same for every lake of a checkout.
        """
        own = self.state / name
        places = [own, CHECKOUT / ".lake" / name]
        with contextlib.suppress(SettingsWrong):  # with a LAKE_HOME no project is needed
            places.insert(1, project_root() / ".lake" / name)
        return next((place for place in places if place.exists()), own)


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards with [tool.lake] in its pyproject.toml; LAKE_PROJECT names it outright.

    Raises:
        SettingsWrong: there is none, or a pyproject.toml on the way can't be read.
    """
    named = os.environ.get("LAKE_PROJECT")
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        try:
            if file.is_file() and "lake" in tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}):
                return folder
        except tomllib.TOMLDecodeError as error:
            raise SettingsWrong(f"{file} is not TOML: {error}", next_step="mend the line it names") from None
    raise SettingsWrong(
        f"{here} is not inside a Millrace project: no pyproject.toml with a [tool.lake] table in it or above it",
        next_step="cd into the project, or: export LAKE_PROJECT=/path/to/project",
    )


def reached(point: str) -> None:
    """A named point on the way of a run, `<point>:<address>`: how tests/chaos aims its kill -9. One look at the environment, some 0.5 us.

    LAKE_HOLD_AT=<point>:<address>[,...] stops the process there for an hour, or until the file of LAKE_HOLD_UNTIL is there; it is taken away
    as the process goes on. The points: listed (the ledger names the files, the intent is not written), planned, written (data files), rejected
    (rejects), checked (verdict), staged (all of these), committed, closed (the ledger's files), published; of upkeep compacted, removed (a file).
    """
    if point in os.environ.get("LAKE_HOLD_AT", "").split(","):
        print(f"holding at {point}", flush=True)
        go_on, end = os.environ.get("LAKE_HOLD_UNTIL"), time.monotonic() + 3600
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError):
                if go_on:
                    Path(go_on).unlink()
                    return
            time.sleep(0.02)


Zone = Literal["raw", "bronze", "silver", "gold", "models", "predictions", "reports", "ops"]
ZONES: tuple[Zone, ...] = ("raw", "bronze", "silver", "gold", "models", "predictions", "reports", "ops")
