"""Where we run: the LAKE_* environment and the project folder; nothing about any dataset."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

import tomllib
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lake.errors import SettingsWrong


class Settings(BaseSettings):
    """The twelve facts about this place; each is an environment variable LAKE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="LAKE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    root: str = Field("s3a://lake", description="where the tables are: s3a://bucket[/prefix] or a folder")
    endpoint: str | None = Field(None, description="S3 endpoint; unset with s3a://lake means the embedded server of `lake up`")
    access_key: SecretStr | None = Field(None, description="S3 access key; unset means the usual AWS chain")
    secret_key: SecretStr | None = Field(None, description="S3 secret key")
    region: str = Field("us-east-1", description="S3 region")
    samples: Path | None = Field(None, description="folder of raw files for the demo and the tests; default samples/raw")
    models: str | None = Field(None, description="base model: a folder, or a hub id; default the packaged MiniLM")
    master: str = Field("local[*]", description="Spark master of runs that were not started by spark-submit")
    driver_memory: str = Field("3g", description="heap of the Spark driver that `lake` starts itself")
    single_writer: bool = Field(False, description="write although the store does not honour If-None-Match: one driver only")
    on_failure: str | None = Field(None, description="command, or http(s) address of a webhook, called when a night fails")
    pii_key_file: Path | None = Field(None, description="file with the key of the personal-data tokens; default .lake/keys/pii")
    home: Path | None = Field(None, description="folder of local state; default <project>/.lake")

    @field_validator("root")
    @classmethod
    def _one_spelling(cls, root: str) -> str:
        root = root.rstrip("/")
        if root.startswith(("s3://", "s3n://")):
            root = "s3a://" + root.split("://", 1)[1]
        if root.startswith("s3a://") or not root:
            return root
        return str(Path(root.removeprefix("file://")).absolute())

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
            raise SettingsWrong(f"the environment is wrong: {wrong}", next_step="unset or mend the variable; `lake doctor` shows all of them") from None

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
        """The folder of local state: jars, server data, keys, locks, pages."""
        return (self.home or project_root() / ".lake").absolute()


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards with [tool.lake] in its pyproject.toml; LAKE_PROJECT names it outright.

    Raises:
        SettingsWrong: there is none.
    """
    named = os.environ.get("LAKE_PROJECT")
    if named:
        return Path(named).absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and "lake" in tomllib.loads(file.read_text()).get("tool", {}):
            return folder
    raise SettingsWrong(
        f"{here} is not inside a Millrace project: no pyproject.toml with a [tool.lake] table in it or above it",
        next_step="cd into the project, or: export LAKE_PROJECT=/path/to/project",
    )


Zone = Literal["raw", "bronze", "silver", "gold", "models", "predictions", "reports", "ops"]
ZONES: tuple[Zone, ...] = ("raw", "bronze", "silver", "gold", "models", "predictions", "reports", "ops")
