"""Mail as a request to the Responses API, and the answer's text."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core import openai

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["output", "content", "type", "text"]), inner),
)


class Responses(TestCase):
    def test_request(self) -> None:
        """The input names the sender and the subject above the text, with plain line ends."""
        message = {"from": "ana@corp.test", "subject": "Hi", "text": "One\r\nTwo\r\n", "html": "<p>"}
        wanted = {"model": "openclaw", "input": "New email from ana@corp.test\n\nSubject: Hi\n\nOne\nTwo"}
        self.assertEqual(openai.request(message), wanted)
        self.assertEqual(openai.request(message, "other")["model"], "other")

    def test_html_only(self) -> None:
        """HTML stands in for a text that is missing."""
        self.assertTrue(openai.request({"text": " ", "html": "<p>Hi</p>"})["input"].endswith("\n\n<p>Hi</p>"))

    def test_answer(self) -> None:
        """The text blocks of the messages are joined; whatever else the model did is left out."""
        text: dict[str, Any] = {"type": "output_text", "text": "One"}
        document = {
            "output": [
                {"type": "reasoning", "content": [{"type": "output_text", "text": "hm"}]},
                {"type": "message", "content": [text, {"type": "refusal", "refusal": "no"}, {**text, "text": "Two"}]},
                {"type": "function_call", "name": "x"},
                {"type": "message", "content": [{**text, "text": "Three"}]},
            ]
        }
        self.assertEqual(openai.answer(document), "One\nTwo\nThree")

    @given(_JSON)
    def test_any_document(self, document: Any) -> None:
        """Whatever comes back, there is an answer or none."""
        self.assertIsInstance(openai.answer(document), str)

    def test_paths(self) -> None:
        """The path of a URL tells."""
        found = [openai.speaks_responses(path) for path in ("/v1/responses", "/a/v1/responses/", "/v1/chat", "/hook")]
        self.assertEqual(found, [True, True, False, False])
