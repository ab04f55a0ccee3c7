"""The Responses API, as far as a mail needs it: the request that carries one, and the text of the answer.

Source: the OpenAI API reference, "Create a model response". Servers that speak it are found behind paths that end in
``/v1/responses``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PATH = "/v1/responses"
DEFAULT_MODEL = "openclaw"


def speaks_responses(path: str) -> bool:
    """Whether a URL's path is that of the Responses API."""
    return path.rstrip("/").endswith(PATH)


def request(message: Mapping[str, Any], model: str = DEFAULT_MODEL) -> dict[str, Any]:
    """The request for one received message.

    :param message: a message's detail (``core.payloads.detail``). Its HTML stands in where it has no text.
    """
    text = str(message.get("text") or "").strip() or str(message.get("html") or "").strip()
    text = text.replace("\r\n", "\n")
    return {
        "model": model,
        "input": f"New email from {message.get('from', '')}\n\nSubject: {message.get('subject', '')}\n\n{text}",
    }


def answer(document: Any) -> str:
    """Everything that the assistant says in an answer: the text blocks of its messages, one after another.

    Reasoning, tool calls and refusals are not for the correspondent. Empty when nothing is said, also for a document of
    another shape.
    """
    said = []
    for item in _list(document, "output"):
        if isinstance(item, dict) and item.get("type") == "message":
            for block in _list(item, "content"):
                if (
                    isinstance(block, dict)
                    and block.get("type") == "output_text"
                    and isinstance(block.get("text"), str)
                ):
                    said.append(block["text"])
    return "\n".join(said).strip()


def _list(document: Any, name: str) -> list[Any]:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, list) else []
