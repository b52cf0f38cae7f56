"""The page on a phone and on a desk, in light and dark: one launch of Chromium shows it in four frames."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gapslsim.results.report.page import write_report
from gapslsim.results.store import write_results

FRAMES = [(width, scheme) for width in (390, 1440) for scheme in ("light", "dark")]
LOOK = """
const look = frame => {
  const page = frame.contentDocument, root = page.documentElement;
  page.querySelectorAll('details').forEach(d => d.open = true);
  const seen = e => e.getClientRects().length > 0;
  const plots = [...page.querySelectorAll('svg.plot')].filter(seen);
  // Text that reaches out of its plot is cut; so is what reaches out of the page and cannot be scrolled to.
  const cut = plots.flatMap(s => [...s.querySelectorAll('text')].filter(t => {
    const a = t.getBoundingClientRect(), b = s.getBoundingClientRect();
    return a.left < b.left - 1 || a.right > b.right + 1; }).map(t => t.textContent));
  const beyond = [...page.querySelectorAll('body *')].filter(e => seen(e) && !e.closest('.scroll, pre, .defs')
    && e.getBoundingClientRect().right > frame.clientWidth + 1).map(e => e.tagName + '.' + e.className);
  const single = page.querySelector('#accuracy-time .single');
  const hints = [...page.querySelectorAll('.scroll')].filter(e => seen(e) && e.scrollWidth > e.clientWidth);
  return {width: root.scrollWidth, ground: getComputedStyle(page.body).backgroundColor, plots: plots.length, cut,
    beyond,
    box: [...single.querySelectorAll('svg.plot')].filter(seen).map(s => s.getAttribute('viewBox')),
    letters: Math.min(...plots.map(s => 11.5 * s.getBoundingClientRect().width / s.viewBox.baseVal.width)),
    hints: hints.map(e => getComputedStyle(e).backgroundImage.split('linear-gradient').length - 1)};
};
onload = () => { document.title = 'done'; document.getElementById('found').textContent =
  JSON.stringify([...document.querySelectorAll('iframe')].map(look)); };
"""


@pytest.fixture
def found(make_results: Any, tmp_path: Path) -> list[dict[str, Any]]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium (Debian: apt-get install chromium)")
    for name in ("gapsl", "a-framework-with-a-name-as-long-as-they-get"):
        write_results(make_results(framework=name), tmp_path / name)
    write_report(
        [tmp_path / "gapsl", tmp_path / "a-framework-with-a-name-as-long-as-they-get"],
        tmp_path / "report.html",
    )
    frames = "".join(
        f'<iframe src="report.html" style="border:0;height:900px;width:{width}px;color-scheme:{scheme}"></iframe>'
        for width, scheme in FRAMES
    )
    page = tmp_path / "frames.html"
    page.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><script>{LOOK}</script>{frames}<pre id="found"></pre>'
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    flags += [
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
        f"--user-data-dir={tmp_path / 'chromium'}",
    ]
    dom = subprocess.run(
        [chromium, *flags, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    ).stdout
    made: list[dict[str, Any]] = json.loads(dom.split('<pre id="found">')[1].split("</pre>")[0])
    return made


def test_nothing_is_cut_on_a_phone_or_a_desk_in_light_or_dark(found: list[dict[str, Any]]) -> None:
    assert len(found) == 4
    for (width, scheme), page in zip(FRAMES, found, strict=True):
        assert page["width"] <= width
        assert page["plots"] > 5
        assert page["cut"] == []
        assert page["beyond"] == []
        assert page["ground"] == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 22, 26)")
        # One panel is drawn for a phone on a phone, and over the whole width on a desk; letters stay readable.
        assert [box.split()[2] for box in page["box"]] == ["380" if width == 390 else "760"]
        assert page["letters"] > 9
        # What can be scrolled has a shadow at each end, and a cover that moves with it.
        assert set(page["hints"]) <= {4}
    assert found[0]["hints"]
