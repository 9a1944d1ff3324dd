"""The key of the personal-data tokens: made once, read from where it is named, missed aloud."""

from __future__ import annotations

import stat

import pytest

from lake.columns.keys import key_file, make_key, read_key, require_key
from lake.errors import SettingsWrong


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in ("LAKE_PII_KEY", "LAKE_PII_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path / "project"))
    return tmp_path


def test_a_key_is_made_once_for_its_owner_only(home):
    made = make_key()
    first = made.read_bytes()
    assert made == key_file() == home / "keys" / "pii"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert make_key().read_bytes() == first
    assert [f.name for f in made.parent.iterdir()] == ["pii"]
    assert read_key(str(require_key())) == first.strip()


def test_a_home_without_a_key_has_the_one_of_its_project(home):
    """Tokens under a new key match none of those that stand in the tables: none is made where one is."""
    shared = make_key(home / "project" / ".lake" / "keys" / "pii")
    assert require_key() == shared == make_key()
    own = make_key(home / "keys" / "pii")
    assert require_key() == own


def test_the_environment_goes_before_the_file(home, monkeypatch):
    other = home / "other"
    other.write_text("the key of another place\n")
    monkeypatch.setenv("LAKE_PII_KEY_FILE", str(other))
    assert read_key(str(make_key(home / "keys" / "pii"))) == b"the key of another place"
    monkeypatch.setenv("LAKE_PII_KEY", "a key from the environment")
    assert read_key("/nowhere") == b"a key from the environment"


def test_no_key_or_a_short_one_says_the_line_to_type(home):
    with pytest.raises(SettingsWrong, match="openssl rand"):
        require_key()
    with pytest.raises(SettingsWrong, match="openssl rand"):
        read_key(str(home / "missing"))
    (home / "short").write_text("short\n")
    with pytest.raises(SettingsWrong, match="5 bytes"):
        read_key(str(home / "short"))
