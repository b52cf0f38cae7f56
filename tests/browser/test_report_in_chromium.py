"""The report in a real browser: no error, no request, all figures, no overflow, light and dark, phone and desk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gapslsim.results.report.page import write_report
from gapslsim.studies.backends.local import Local
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep
from tests.study_files import STUDY, write_study

EVIL = "<img src=x onerror=alert(1)>"
FIGURES = [
    "study-figure", "accuracy-time", "accuracy-rounds", "time-to-target", "where-time-goes", "pareto", "gantt",
    "geometry", "client-spread",
]  # fmt: skip
# Without these Chromium looks for updates and translations by itself.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield found
    found.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The page of a real study whose names try to break it."""
    folder = tmp_path_factory.mktemp("report")
    text = STUDY.replace("question: Does it work?", f"question: Does {EVIL} work & <b>how</b>?")
    text = text.replace(
        "[gapsl, {kind: epsl, phi: 0.5}]", f'{{gapsl: gapsl, "{EVIL}": psl, sl: sl, fedavg: fedavg}}'
    )
    text += "  variants: {net: {a rather long name of a network, <i>: {}, lte: {clients.*.link.latency: 50 ms}}}\n"
    text = text.replace("a rather long name of a network, <i>", '"a rather long name of a network & <i>"')
    axes_last = text.replace("targets:", "#").splitlines()
    lines = [line for line in axes_last if not line.startswith("#")]
    lines.append("targets: {accuracy: [0.2, 0.9999], time: [1 ms, 1 h], view: clients}")
    lines.append("figure: {kind: points, x: framework, y: [accuracy, {kind: to_target, target: 0.9999}]}")
    record = sweep(load_study(write_study(folder, "\n".join(lines) + "\n")), folder / "out", Local(n_jobs=1))
    assert all(run.status == "completed" for run in record.runs)
    write_report([folder / "out"], folder / "report.html")
    return folder / "report.html"


def show(browser, page: Path, width: int, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(page.as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_shows_all_figures_without_errors_requests_or_overflow(browser, report, width, scheme):
    show(browser, report, width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    for name in FIGURES:
        drawn = browser.execute_script(
            "return [...document.querySelectorAll(`#${arguments[0]} svg.plot`)].map(s => {"
            " const r = s.getBoundingClientRect(); return [r.width, r.height, s.childElementCount]})",
            name,
        )
        assert drawn, name
        assert all(wide > 200 and high > 60 and n > 5 for wide, high, n in drawn), name
        assert (
            len(
                browser.execute_script(
                    "return document.querySelector(`#${arguments[0]} figcaption`).innerText", name
                )
            )
            > 40
        )
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [
        url for url in asked if url != report.as_uri() and url.startswith(("http", "ftp", "ws", "file"))
    ] == []
    assert report.as_uri() in asked


def test_names_are_shown_as_text_and_never_run(browser, report):
    show(browser, report, 1440, "light")
    assert browser.execute_script("return document.images.length") == 0
    assert browser.execute_script("return document.scripts.length") == 0
    assert EVIL in browser.execute_script("return document.body.innerText")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out_from_the_ground(browser, report, scheme):
    show(browser, report, 1440, scheme)
    colours = browser.execute_script(
        "const of = e => getComputedStyle(e);"
        "const all = q => [...document.querySelectorAll(q)];"
        "return {ground: of(document.body).backgroundColor,"
        " text: [...all('svg.plot text'), ...all('p, li, td, th, figcaption')].map(e => of(e).tagName === 'text' ?"
        "  of(e).fill : (e instanceof SVGElement ? of(e).fill : of(e).color)),"
        " lines: all('svg.plot path.line').map(e => of(e).stroke)}"
    )
    ground = luminance(colours["ground"])
    assert (ground > 0.8) == (scheme == "light")
    assert min(contrast(luminance(colour), ground) for colour in set(colours["text"])) >= 4.5
    assert min(contrast(luminance(colour), ground) for colour in set(colours["lines"])) >= 3.0


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, WCAG 2."""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
