"""A run whose every text tries to break the page: each comes out as text, and the page does nothing."""

from __future__ import annotations

import base64
import re
import shlex
import xml.etree.ElementTree as ET
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gapslsim.results import store
from gapslsim.results.drawing.markup import Markup, joined, tag
from gapslsim.results.frames import TABLES
from gapslsim.results.report.data import gather
from gapslsim.results.report.page import page
from gapslsim.results.results import Results
from gapslsim.results.store import write_results
from gapslsim.results.study import RunRecord, StudyRecord, write_study
from gapslsim.tables.table import columns_of

EVIL = "</title></style></pre><script>alert(1)</script>\"' onload=a() ]]> --> \x1b[2J\x00\x85\u202e"
SHOWN = "</title></style></pre><script>alert(1)</script>\"' onload=a() ]]> --> \\x1b[2J\\x00\\x85\\u202e"
ELEMENTS = {
    "html", "head", "meta", "link", "title", "style", "body", "main", "nav", "ul", "li", "a", "h1", "h2", "h3", "p",
    "pre", "section", "figure", "figcaption", "div", "table", "thead", "tbody", "tr", "th", "td", "small", "details",
    "summary", "svg", "defs", "pattern", "path", "rect", "circle", "line", "text", "image",
}  # fmt: skip
FILLS: dict[type, Any] = {int: 1, float: 0.5, bool: True}


def tainted(results: Results) -> Results:
    """With a second copy of each row (an invented one, where there is none) whose texts all say where they stand."""
    changed = {}
    for name, row_type in TABLES.items():
        columns, table = columns_of(row_type), getattr(results, name)
        copy = (
            table.copy() if len(table) else pd.DataFrame([{c: FILLS.get(k, "") for c, k in columns.items()}])
        )
        for column, kind in columns.items():
            if kind is str:
                copy[column] = copy[column].astype(str) + f"{name}.{column} {EVIL}"
        changed[name] = pd.concat([table, copy], ignore_index=True) if len(table) else copy
    summary = taint(results.summary, ("status", "target_view", "dry", "timeline_sha256", "learning_sha256"))
    return replace(results, summary=summary, **changed)


def taint(value: Any, kept: tuple[str, ...] = (), where: str = "summary") -> Any:
    """Every text in a value, but those under some names."""
    if isinstance(value, dict):
        return {k: v if k in kept else taint(v, kept, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [taint(item, kept, where) for item in value]
    return f"{value}{where} {EVIL}" if isinstance(value, str) else value


@pytest.fixture(scope="module", autouse=True)
def _any_text_is_read() -> Iterator[None]:
    """Readers of run directories refuse some of it; the page does not rely on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "yaml_data", yaml.safe_load)
        patch.setattr(store, "unsound", lambda *given: "")
        patch.setattr(store.StoredRun, "_check_rows", lambda *given: None)
        yield


@pytest.fixture(scope="module")
def study(make_results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tainted runs under tainted names of study, axis and values, and one that failed."""
    out = tmp_path_factory.mktemp("tainted")
    scenario = yaml.safe_dump({"name": "tiny", "model": {"kind": f"model {EVIL}"}})
    axes = {f"axis {EVIL}": ["a", f"value {EVIL}"], f"panel {EVIL}": [f"x {EVIL}"]}
    first, second = axes
    record = StudyRecord(
        name=f"study {EVIL}", question=f"question {EVIL}", base="b", series=[first], axes=axes, seeds=[1],
        targets=[0.5], budgets_s=[4.0], target_view="global", command=["sweep", f"command {EVIL}"],
        study_yaml=f"file {EVIL}",
    )  # fmt: skip
    for number, value in enumerate(axes[first]):
        results = tainted(make_results(seed=1, scenario_yaml=scenario))
        write_results(results, out / "runs" / f"run-{number}")
        record.runs.append(
            RunRecord(f"run-{number}", {first: value, second: axes[second][0]}, 1, "x", "completed")
        )
    failed = {first: "a", second: axes[second][0]}
    record.runs.append(RunRecord("broken", failed, 2, "x", f"failed: reason {EVIL}"))
    write_study(record, out)
    return out


@pytest.fixture(scope="module")
def html(study: Path) -> str:
    return page(gather([study]))


class Reader(HTMLParser):
    """Elements, attributes and texts, as a browser finds them; what is opened must be closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, name: str, attributes: Any) -> None:
        self.handle_startendtag(name, attributes)
        self.open.append(name)

    def handle_startendtag(self, name: str, attributes: Any) -> None:
        self.elements.add(name)
        self.attributes += [(name, key, value or "") for key, value in attributes]

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, text: str) -> None:
        self.texts.append(text)

    def handle_comment(self, text: str) -> None:
        raise AssertionError(f"a comment: {text}")

    unknown_decl = handle_pi = handle_comment


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_has_its_own_elements_alone_and_no_handler(read: Reader) -> None:
    assert read.elements <= ELEMENTS
    assert not [
        key for _, key, _ in read.attributes if key.startswith("on") or key in ("src", "style", "srcdoc")
    ]
    links = [value for _, key, value in read.attributes if key in ("href", "action")]
    own = ("#", "data:text/csv", "data:image/svg+xml", "data:image/png;base64,", "data:,")
    assert all(value.startswith(own) for value in links)


@pytest.mark.parametrize(
    "marker",
    ["spans.phase", "spans.actor", "clients.device", "study", "question", "axis", "value", "panel", "x", "reason",
     "command", "file", "model"],
)  # fmt: skip
def test_what_is_shown_is_shown_as_it_is_with_its_controls_spelled_out(marker: str, read: Reader) -> None:
    told = [*read.texts, *(value for _, _, value in read.attributes)]
    shown = shlex.quote(f"{marker} {SHOWN}") if marker == "command" else f"{marker} {SHOWN}"
    assert any(shown in text for text in told)


def test_no_character_that_steers_reaches_the_page(html: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", html)


def test_the_policy_lets_the_pages_own_style_and_nothing_else(read: Reader, html: str) -> None:
    (policy,) = [value for _, key, value in read.attributes if key == "content" and "default-src" in value]
    (style,) = re.findall("<style>(.*?)</style>", html, flags=re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src 'sha256-{digest}'"
    )


def downloads(read: Reader, kind: str) -> Iterator[str]:
    for _, key, value in read.attributes:
        if key == "href" and value.startswith(f"data:{kind}"):
            yield base64.b64decode(value.partition("base64,")[2]).decode()


def test_downloaded_pictures_are_sound_and_have_no_script(read: Reader) -> None:
    found = list(downloads(read, "image/svg+xml"))
    assert len(found) > 3
    for svg in found:
        names = {element.tag.partition("}")[2] for element in ET.fromstring(svg).iter()}
        assert names <= ELEMENTS


def test_text_is_escaped_wherever_it_is_put_in_and_markup_only_if_it_is_called_so() -> None:
    assert tag("p", "<b>", tag("i", "&"), Markup("<br>")) == "<p>&lt;b&gt;<i>&amp;</i><br></p>"
    assert tag("a", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;"></a>'
    assert joined(["<", tag("br")]) == "&lt;<br/>"
    # Ordinary strings of markup lose their standing, so that a mistake shows as text and not as a hole.
    assert tag("p", "".join([tag("i", "x")])) == "<p>&lt;i&gt;x&lt;/i&gt;</p>"
