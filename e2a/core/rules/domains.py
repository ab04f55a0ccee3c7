"""Which domain names an organisation may claim, and what proves one."""

from __future__ import annotations

from dataclasses import dataclass

from e2a.core.errors import BadRequest
from e2a.core.ids import RandomBytes, bare
from e2a.core.mail.addresses import normal_domain

#: What an ownership TXT record begins with. It stands at the domain itself, not at a label below.
PROOF = "e2a-verify="


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The deployment's own names, each normalised or ``""``.

    :ivar shared: where agents are registered by slug.
    :ivar smtp: the mail server's name, which is also every domain's MX.
    :ivar sender: the domain that outgoing mail comes from.
    """

    shared: str = ""
    smtp: str = ""
    sender: str = ""


def system_name(text: str) -> str:
    """A configured domain name in the spelling that is stored. Unlike a claimed one it may be a single label, as
    ``localhost`` is.
    """
    name = text.strip().rstrip(".").lower()
    return normal_domain(name) if "." in name else name


def claimable(text: str, own: OwnNames) -> str:
    """The normalised name, if anyone may claim it.

    Names below the shared domain are refused beside the deployment's own, because ``x.agents.example`` would pass for
    an agent's address there; names above it are its owner's to prove.

    :raises BadRequest: no domain name, or one that cannot be claimed; ``field`` is ``domain``.
    """
    name = normal_domain(text)
    if name in (own.shared, own.smtp, own.sender) or (own.shared and name.endswith("." + own.shared)):
        raise BadRequest("this domain belongs to the service itself", field="domain")
    return name


def new_proof(random: RandomBytes) -> str:
    """A claim's token: what its ownership TXT record must say."""
    return PROOF + bare(random)
