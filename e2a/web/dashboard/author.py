"""Who a received message says that it is from, told so that it cannot be taken for somebody else.

The address is what the verdict is about. The name beside it is whatever the sender chose, so it is shown apart from the
address, and what looks like a deception in it is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from e2a.core.mail.addresses import AddressError, normal_domain
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
    :param sender: the address that the verdict is about: the field's, or where that is not plain the one under which
        the message was handed over.
    """
    text = " ".join(text.split())
    before, bracket, rest = text.rpartition("<")
    plainly = bool(bracket) and rest.rstrip("> ").lower() == sender.lower()
    name = before.strip().strip('"').strip() if plainly else ""
    warnings = list(_of_name(name, sender) if plainly or text.lower() == sender.lower() else _of_field(text, sender))
    if plain(text) != text:
        warnings.append("Its From field has characters that turn text around. They are left out here.")
    spelled = _spelled(domain_of(sender))
    if spelled:
        warnings.append(
            f"Programs that know other scripts show its domain as {spelled}. "
            "Letters of other scripts can look like those of a name that you know."
        )
    return Author(name[:_LONGEST], text[:_LONGEST], tuple(warnings))


def _of_name(name: str, sender: str) -> Iterator[str]:
    other = _other(name, sender)
    if other:
        yield f"Its display name shows another address, {other}. It does not come from there."


def _of_field(text: str, sender: str) -> Iterator[str]:
    other = _other(text, sender)
    under = sender or "no address"
    if other:
        yield f"Its From field shows {other}, but it was handed over under {under}."
    elif text:
        yield f"Its From field names nobody. It was handed over under {under}."


def _other(text: str, sender: str) -> str:
    """The first address in a text that is not the sender's, and its ASCII spelling; "" when there is none."""
    for found in _ADDRESS.findall(unicodedata.normalize("NFKC", plain(text))):
        address = found.strip(".")[:_LONGEST]
        local, _, domain = address.rpartition("@")
        if address.lower() == sender.lower():
            continue
        try:
            spelled = f"{local}@{normal_domain(domain)}"
        except AddressError:
            return str(address)
        return str(address) if spelled.lower() == address.lower() else f"{address} (really {spelled})"
    return ""


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
