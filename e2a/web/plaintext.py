"""What text can do besides being read: turn what is around it, and hold what nobody sees."""

from __future__ import annotations

import re

#: Embeddings, overrides and isolates (UAX #9).
_TURNING = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
#: Runs that are seen by nobody and read by programs: tag characters, except in the flags of regions; variation
#: selectors that select nothing; long rows of characters without width.
_UNSEEN = re.compile(
    r"(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+"
    r"|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
    r"|[\u200b-\u200d\u2060-\u2064\ufeff]{8,}"
)


def plain(text: str) -> str:
    """Text that cannot look like another by turning around a part of it, or what stands beside it."""
    return _TURNING.sub("", text)


def unseen(*texts: str) -> int:
    """How many characters of the texts nobody sees though they can say something, perhaps to a language model."""
    return sum(len(match[0]) for text in texts for match in _UNSEEN.finditer(text))
