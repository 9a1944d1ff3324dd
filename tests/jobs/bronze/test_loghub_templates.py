"""Bronze templates of log messages."""

from __future__ import annotations

from typing import Any


def test_the_folder_is_the_log(bronze: Any) -> None:
    data = b'EventId,EventTemplate\r\nE1,"<*> error(s), rank <*>"\r\n'
    rows = bronze("loghub_templates", {"BGL/BGL_2k.log_templates.csv": data, "Linux/Linux_2k.log_templates.csv": data})
    assert [(r.system, r.event, r.template) for r in rows] == [("bgl", "E1", "<*> error(s), rank <*>"), ("linux", "E1", "<*> error(s), rank <*>")]
