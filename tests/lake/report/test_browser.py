"""The page in a real browser: wide and narrow, light and dark; no complaint, nothing wider than the window, readable contrast."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake import ops
from lake.plan import plan
from lake.report.facts import read_facts
from lake.report.page import render
from lake.report.table_page import write_pages
from tests.lake.report import lakes
from tests.lake.report.browser import Browser, chromium

# Elements that reach over the right edge, apart from the link that only keyboards see.
TOO_WIDE = """JSON.stringify([...document.querySelectorAll('body *')].filter(e => !e.closest('.skip') && !e.closest('svg')
  && e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 120)))"""

# Words whose colour is too near to the ground they stand on (WCAG: 4.5, or 3 for large ones).
TOO_PALE = """(() => {
  const rgb = c => { const x = document.createElement('canvas').getContext('2d', {willReadFrequently: true}); x.fillStyle = c; x.fillRect(0, 0, 1, 1);
    return [...x.getImageData(0, 0, 1, 1).data]; };
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => linear(v / 255)); return .2126 * r + .7152 * g + .0722 * b; };
  const seen = new Map();
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg') || e.closest('.skip') || !e.getClientRects().length) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    let ground = e, colour = [0, 0, 0, 0];
    while (ground && (colour = rgb(getComputedStyle(ground).backgroundColor))[3] < 255) ground = ground.parentElement;
    const style = getComputedStyle(e), [a, b] = [light(rgb(style.color)), light(colour)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) seen.set(e.tagName + '.' + e.className, ratio.toFixed(2) + ' ' + e.textContent.trim().slice(0, 30));
  }
  return JSON.stringify([...seen]);
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine, and CI must look at the page: apt-get install chromium")
        pytest.skip("no Chromium on this machine: the page was not looked at (apt-get install chromium)")
    with Browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, make in (("full", lakes.full), ("half_failed", lakes.half_failed), ("empty", lakes.lake_in)):
        folder = tmp_path_factory.mktemp(name)
        found[name] = folder / "page.html"
        found[name].write_text(render(read_facts(make(folder))), encoding="utf-8")
    for name, rules, status in (("five rules", 5, "published"), ("sixty rules", 60, "refused")):
        lake = lakes.judged(tmp_path_factory.mktemp("table"), rules, status=status)
        write_pages(lake, plan(), ops.events(lake.store), lakes.NIGHT, "n.html")
        found[name] = lake.settings.state / "reports" / "tables" / "silver.texts" / "24.html"
    return found


@pytest.mark.parametrize("width", [1280, 760, 420])
@pytest.mark.parametrize("name", ["full", "half_failed", "empty", "five rules", "sixty rules"])
def test_nothing_is_wider_than_the_window_and_nothing_complains(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    browser.complaints.clear()
    browser.open(pages[name], width)
    browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    assert json.loads(browser.value(TOO_WIDE)) == []
    assert browser.complaints == []
    assert browser.value("document.documentElement.scrollHeight") > 1000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["full", "half_failed", "five rules", "sixty rules"])
def test_words_stand_out_from_their_ground(browser: Browser, pages: dict[str, Path], name: str, scheme: str) -> None:
    browser.open(pages[name], 1280, scheme)
    assert json.loads(browser.value(TOO_PALE)) == []


OVERLAPPING = """JSON.stringify([...document.querySelectorAll('.rule')].flatMap(r => {
  const boxes = [...r.children].filter(e => !e.matches('.tell') && e.textContent).map(e => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width);
  return boxes.flatMap(([e, a], i) => boxes.slice(i + 1).filter(([, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1).map(([f]) => e.className + ' over ' + f.className));
}).slice(0, 5))"""


@pytest.mark.parametrize("width", [1280, 901, 760, 420])
@pytest.mark.parametrize("name", ["five rules", "sixty rules"])
def test_the_cells_of_a_rule_stand_apart(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    browser.open(pages[name], width)
    assert json.loads(browser.value(OVERLAPPING)) == []
    assert browser.value("document.querySelectorAll('.rule:not(.th)').length") == (5 if name == "five rules" else 60)


def test_every_mark_of_the_overview_leads_to_its_rule(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["sixty rules"], 1280)
    marks = "[...document.querySelectorAll('.overview a')]"
    assert browser.value(f"{marks}.length") == 60
    assert browser.value(
        f"{marks}.every(a => document.querySelector(a.hash).querySelector('.what').textContent.includes(a.title.split(':')[0].split(' ').pop()))"
    )


def test_dark_is_dark(browser: Browser, pages: dict[str, Path]) -> None:
    grounds: dict[str, str] = {}
    for scheme in ("light", "dark"):
        browser.open(pages["full"], 1280, scheme)
        grounds[scheme] = browser.value("getComputedStyle(document.body).backgroundColor")
    assert grounds["light"] != grounds["dark"]


def test_pictures_have_a_size_and_a_name(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"], 1280)
    boxes = "[...document.querySelectorAll('.plot, svg.flow')].map(e => e.getBoundingClientRect())"
    assert browser.value(f"{boxes}.filter(b => b.height < 20 || b.width < 100).length") == 0
    assert browser.value("[...document.querySelectorAll('[role=img]')].filter(e => !(e.getAttribute('aria-label') || '').trim()).length") == 0
    assert browser.value("document.querySelectorAll('.plot').length") > 20
