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
LANGUAGES = {"sh": "sh", "bash": "sh", "console": "sh", "python": "python", "py": "python"}
_BLOCK = re.compile(r"^(?P<before>[^\n]*)\n+```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$", re.M | re.S)
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
