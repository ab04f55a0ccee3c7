"""The documents: nothing in them is left untried without a reason, and every link leads somewhere."""

from __future__ import annotations

import ast
import re
from urllib.parse import unquote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.samples import DOCUMENTS, ELSEWHERE, LANGUAGES, ROOT, TEXTS, TYPESCRIPT, anchors, links, samples

#: What blocks may hold besides programs.
_DATA = {"http", "json", "nginx", "text", "yaml"}
_FENCE = re.compile(r"^```(.*)$", re.M)


class Documents(SynchronousTestCase):
    def test_languages(self) -> None:
        """Every block says what it holds, so that no program passes for something else."""
        for document in TEXTS:
            fences = _FENCE.findall(document.read_text(encoding="utf-8"))
            self.assertEqual(fences[1::2], [""] * (len(fences) // 2), document.name)
            self.assertLessEqual(set(fences[::2]), LANGUAGES.keys() | _DATA, document.name)

    def test_samples(self) -> None:
        """Every sample runs in a test, or says why not."""
        for document in TEXTS:
            for sample in samples(document):
                tried = TYPESCRIPT if sample.language == "ts" else DOCUMENTS
                alone = document.name in ELSEWHERE and sample.language != "python"
                self.assertTrue(sample.why_not or (document in tried and not alone), (document.name, sample.line))

    def test_reasons(self) -> None:
        """Every reason stands before the sample that it is about."""
        for document in TEXTS:
            stated = document.read_text(encoding="utf-8").count("<!-- not run: ")
            self.assertEqual(stated, len([each for each in samples(document) if each.why_not]), document.name)

    def test_python(self) -> None:
        """Every sample in Python is Python, whether it runs or not."""
        for document in TEXTS:
            for sample in samples(document):
                if sample.language == "python":
                    ast.parse(sample.code, f"{document.name}:{sample.line}")

    def test_links(self) -> None:
        """Every link to a file or a heading leads to one; none leads out of the repository."""
        for document in TEXTS:
            for link in links(document):
                if re.match(r"https?://|mailto:", link):
                    continue
                name, _, anchor = unquote(link).partition("#")
                target = (document.parent / name).resolve() if name else document
                self.assertTrue(target.is_relative_to(ROOT) and target.exists(), (document.name, link))
                if anchor:
                    self.assertIn(anchor, anchors(target), (document.name, link))

    def test_index(self) -> None:
        """The index leads to every page."""
        index = ROOT / "docs" / "README.md"
        found = {(index.parent / link).resolve() for link in links(index)}
        self.assertEqual(
            [page.name for page in sorted((ROOT / "docs").glob("*.md")) if page not in {index, *found}], []
        )
