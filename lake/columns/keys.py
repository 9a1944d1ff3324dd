"""The secret key of the personal-data tokens: where it is, how it is made, how a worker reads it."""

from __future__ import annotations

import contextlib
import os
import secrets
from functools import cache
from pathlib import Path

from lake.errors import SettingsWrong
from lake.settings import Settings, project_root

MIN_BYTES = 16


def key_file() -> Path:
    """The file that holds the key here: LAKE_PII_KEY_FILE, else keys/pii in the folder of local state, else set-up's in the project's .lake.

    A LAKE_HOME without a key of its own has the project's, and none is made at need: tokens under a new key match none of those in the tables.
    """
    settings = Settings.load()
    if settings.pii_key_file:
        return settings.pii_key_file.absolute()
    own = settings.state / "keys" / "pii"
    if not own.is_file():
        with contextlib.suppress(SettingsWrong):  # with a LAKE_HOME no project is needed
            made = project_root() / ".lake" / "keys" / "pii"
            return made if made.is_file() else own
    return own


def make_key(path: Path | None = None) -> Path:
    """Make a key of 32 random bytes (hex, mode 600) where there is none yet; an existing one is never replaced."""
    path = path or key_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Written whole beside its place, then linked: two set-ups at once agree on one key, and nobody reads half of it.
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    try:
        os.link(whole, path)
    except FileExistsError:
        pass
    finally:
        whole.unlink()
    return path


def require_key() -> Path:
    """The key's file, as the driver knows it, for workers to read; only the path ever enters a plan.

    Raises:
        SettingsWrong: nobody named a key and the project has none. (A named file may lie on the workers only.)
    """
    path = key_file()
    if not (os.environ.get("LAKE_PII_KEY") or os.environ.get("LAKE_PII_KEY_FILE")) and not path.is_file():
        raise _no_key(path)
    return path


def read_key(path: str) -> bytes:
    """The key itself, in the worker: LAKE_PII_KEY, else the file that LAKE_PII_KEY_FILE names, else that at `path`.

    Raises:
        SettingsWrong: there is none, it can't be read, or it is shorter than 16 bytes.
    """
    return _read(os.environ.get("LAKE_PII_KEY"), os.environ.get("LAKE_PII_KEY_FILE") or path)


@cache
def _read(given: str | None, path: str) -> bytes:
    if given is not None:
        key, where = given.strip().encode(), "LAKE_PII_KEY"
    else:
        try:
            key, where = Path(path).read_bytes().strip(), path
        except FileNotFoundError:
            raise _no_key(Path(path)) from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SettingsWrong(f"the personal-data key {path} can't be read: {reason}", next_step=f"chmod 600 {path}") from None
    if len(key) < MIN_BYTES:
        raise SettingsWrong(
            f"the personal-data key in {where} has {len(key)} bytes; tokens under a short key can be guessed back",
            next_step="openssl rand -hex 32 makes a good one (a new key makes new tokens)",
        )
    return key


def _no_key(path: Path) -> SettingsWrong:
    return SettingsWrong(
        f"no key for the personal-data tokens: {path} is not there, nor is LAKE_PII_KEY or LAKE_PII_KEY_FILE set",
        next_step=f"(umask 077; mkdir -p {path.parent}; openssl rand -hex 32 > {path})",
    )
