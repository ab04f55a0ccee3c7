"""Who a received message says that it is from, told so that it cannot be taken for somebody else.

The address is what the verdict is about. The name beside it is whatever the sender chose, so it is shown apart from the
address, and what looks like a deception in it is said.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from e2a.core.trust.verdict import domain_of
from e2a.web.plaintext import plain

#: Something in a name that reads like an address.
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:@]+@[^\s<>()\[\]\"',;:@]+\.[^\s<>()\[\]\"',;:@]+")
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Author:
    """:ivar name: what stands before the sender's address; "" when the field is not of that form.
    :ivar text: the whole field.
    :ivar warnings: sentences about what may deceive.
    """

    name: str
    text: str
    warnings: tuple[str, ...]


def author(text: str, sender: str) -> Author:
    """:param text: the From field, decoded.
    :param sender: the address that the verdict is about.
    """
    text = " ".join(text.split())
    name, bracket, rest = text.rpartition("<")
    same = bool(bracket) and rest.rstrip("> ").lower() == sender.lower()
    name = name.strip().strip('"').strip() if same else ""
    return Author(name[:_LONGEST], text[:_LONGEST], tuple(_warnings(name if same else text, text, sender)))


def _warnings(name: str, text: str, sender: str) -> list[str]:
    found = []
    read = unicodedata.normalize("NFKC", plain(name))
    others = [one.strip(".") for one in _ADDRESS.findall(read) if one.strip(".").lower() != sender.lower()]
    if others:
        found.append(f"Its display name shows another address, {others[0][:_LONGEST]}. It does not come from there.")
    if plain(text) != text:
        found.append("Its display name has characters that turn text around. They are left out here.")
    spelled = _spelled(domain_of(sender))
    if spelled:
        found.append(
            f"Programs that know other scripts show its domain as {spelled}. "
            "Letters of other scripts can look like those of a name that you know."
        )
    return found


def _spelled(domain: str) -> str:
    """A domain with its A-labels read (RFC 5890 2.3.2.1); "" when it has none, or none that can be read."""
    if "xn--" not in domain:
        return ""
    labels = []
    for label in domain.split("."):
        try:
            labels.append(label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label)
        except (UnicodeError, ValueError):
            return ""
    return ".".join(labels)
