"""The code samples of the documents: which there are, and which of them run.

A fenced block in a language that a reader could run is run by ``tests.system.test_samples``, unless the line before it
says why not, where no reader sees it::

    <!-- not run: needs a mail server of its own -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
#: Documents whose programs in TypeScript are compiled by ``tests.system.test_typescript``.
TYPESCRIPT = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "sdks" / "typescript" / "README.md")
#: Everything that people read here, also what holds no samples.
TEXTS = (*sorted(ROOT.glob("*.md")), *TYPESCRIPT)
#: Documents whose samples run in a test of their own.
ELSEWHERE = ("sdk-python.md",)
LANGUAGES = {"sh": "sh", "bash": "sh", "console": "sh", "python": "python", "py": "python", "ts": "ts", "js": "ts"}
_BLOCK = re.compile(r"^(?P<before>[^\n]*)\n+```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$", re.M | re.S)
_FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.M)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_NOT_RUN = re.compile(r"<!-- not run: (?P<why>.{10,}) -->")


@dataclass(frozen=True, slots=True)
class Sample:
    """:ivar line: of its first line of code, counted from 1.
    :ivar why_not: "" for a sample that is run.
    """

    document: Path
    line: int
    language: str
    code: str
    why_not: str


def samples(document: Path) -> Iterator[Sample]:
    """Every sample of a document, in order."""
    text = "\n" + document.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        language = LANGUAGES.get(block["language"])
        if language is not None:
            why_not = _NOT_RUN.search(block["before"])
            line = text.count("\n", 0, block.start("code"))
            yield Sample(document, line, language, block["code"], why_not["why"] if why_not else "")


def runnable(document: Path) -> list[Sample]:
    """What ``tests.system.test_samples`` runs of a document."""
    return [sample for sample in samples(document) if not sample.why_not and sample.language in ("sh", "python")]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    """Every anchor of a document."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCED.sub("", document.read_text(encoding="utf-8"))):
        name, number = slug(heading), 0
        while (anchor := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(anchor)
    return found


def links(document: Path) -> list[str]:
    """Where the links of a document lead."""
    return _LINK.findall(_FENCED.sub("", document.read_text(encoding="utf-8")))
