"""Feedback: what may be said, and how it looks as a mail and as an issue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from e2a.core.errors import BadRequest

Category = Literal["bug", "feature", "general"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
#: What an issue of each category is labelled.
LABELS: dict[Category, str] = {"bug": "bug", "feature": "enhancement", "general": "feedback"}

LONGEST_MESSAGE = 5000
#: Octets of an address (RFC 5321 4.5.3.1.3, without the angle brackets).
LONGEST_EMAIL = 254
#: Characters of the first line that a title shows.
_TITLE = 80
#: Behind every @: it mentions nobody.
_BREAK = "\u200b"


@dataclass(frozen=True, slots=True)
class Feedback:
    """:ivar email: where an answer may go; "" when nobody said."""

    category: Category
    message: str
    email: str

    @property
    def title(self) -> str:
        """The category, and the beginning of the first line."""
        first = self.message.splitlines()[0].strip()
        shown = first if len(first) <= _TITLE else first[: _TITLE - 3] + "..."
        return f"[{self.category}] {shown}"


def checked(message: str, email: str, category: str) -> Feedback:
    """Feedback that can be kept, in the order in which its faults are reported.

    :raises BadRequest: ``field`` says what is wrong.
    """
    message, email = message.strip(), email.strip()
    if not message:
        raise BadRequest("message must not be empty", field="message")
    if len(message) > LONGEST_MESSAGE:
        raise BadRequest(f"message may have at most {LONGEST_MESSAGE} characters", field="message")
    if len(email.encode("utf-8", "replace")) > LONGEST_EMAIL:
        raise BadRequest(f"email may have at most {LONGEST_EMAIL} octets", field="email")
    if email and ("@" not in email or not email.isprintable() or " " in email):
        raise BadRequest("email must be an e-mail address, or absent", field="email")
    for known in CATEGORIES:
        if category == known:
            return Feedback(known, message, email)
    raise BadRequest(f"category must be one of {', '.join(CATEGORIES)}", field="category")


def issue(feedback: Feedback) -> tuple[str, str, str]:
    """Title, body and label of an issue. Trackers are public: the address stays out of it, and nobody is mentioned."""
    return _defused(feedback.title), _defused(feedback.message), LABELS[feedback.category]


def mail(feedback: Feedback, feedback_id: str) -> tuple[str, str]:
    """Subject and text of a mail to the operator."""
    sender = feedback.email or "somebody who left no address"
    return (
        f"[e2a feedback] {feedback.title}",
        f"{feedback.message}\n\n-- \nFrom: {sender}\nCategory: {feedback.category}\nKept as: {feedback_id}\n",
    )


def _defused(text: str) -> str:
    return text.replace("@", f"@{_BREAK}")
