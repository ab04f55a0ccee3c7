"""What an agent may be called."""

from __future__ import annotations

import unicodedata

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Forbidden

LONGEST_LABEL = 128


def display_name(text: str) -> str:
    """A display name fit for a From header.

    :raises BadRequest: it could break the header; ``field`` is ``name``.
    """
    name = text.strip()
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") for char in name):
        raise BadRequest("name must not contain line ends or control characters", field="name")
    return name


def label(text: str, field: str = "label") -> str:
    """A label, or what labels begin with; spaces count, so that what one key writes is what another is limited to.

    :raises BadRequest: too long or not printable.
    """
    if len(text) > LONGEST_LABEL or not text.isprintable():
        raise BadRequest(f"{field} must be at most {LONGEST_LABEL} printable characters", field=field)
    return text


def check_label(principal: Principal, text: str) -> None:
    """Keep a label within the reach of whoever sets it, who would lose sight of the agent otherwise.

    :raises Forbidden: it lies outside.
    """
    prefix = principal.label_prefix
    if prefix is not None and not text.startswith(prefix):
        raise Forbidden(f"this key is limited to agents whose label begins with {prefix!r}; give such a label")
