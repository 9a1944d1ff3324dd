"""The nightly page: what is told (facts), how it is drawn (charts) and how it is set (page)."""
