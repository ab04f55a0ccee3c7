"""The two links of a review mail, for as long as the person they were sent to may decide. Looking changes nothing; each
use counts for its address.
"""

from __future__ import annotations

from e2a.core.entities import OutboundMessage
from e2a.core.rules.limits import Limit, network_of
from e2a.core.trust.approvaltoken import Action, ApprovalTokens, Link, TokenRefused
from e2a.store import limits

from .approvals import Approvals, Reviewed
from .outcomes import Submitted
from .ports import Now, Transactions

#: Requests from one client address.
LINKS = Limit("links", 60, 60)
#: What is noted when nothing else is given.
REASON = "magic-link rejection"
#: Seconds that a page waits for the outcome.
WAIT = 10.0


class ReviewLinks:
    def __init__(self, database: Transactions, approvals: Approvals, tokens: ApprovalTokens, now: Now) -> None:
        self._database = database
        self._approvals = approvals
        self._tokens = tokens
        self._now = now

    async def admit(self, client_ip: str) -> None:
        """Count a request.

        :raises TooManyRequests: there were too many from this address, or from its IPv6 network.
        """
        await self._database.run("count link", limits.charge, LINKS, network_of(client_ip))

    async def look(self, token: str, action: Action) -> Reviewed:
        """What the link is about.

        :raises TokenRefused: it is none of ours, or not for this action.
        :raises TokenExpired: its time has passed.
        :raises Gone: whose link it is may no longer decide.
        :raises NotFound: the message is gone.
        :raises Conflict: it is decided, or can no longer be approved.
        """
        found = await self._approvals.by_link(self._read(token, action))
        if action == "approve" or found.message.status != "pending_approval":
            self._approvals.check_open(found.message)
        return found

    async def approve(self, token: str, client_ip: str = "") -> Submitted:
        """:raises Forbidden: the agent's domain is not verified any more. Other errors as for ``look``."""
        return await self._approvals.approve_by_link(self._read(token, "approve"), client_ip=client_ip, wait=WAIT)

    async def reject(self, token: str, reason: str, client_ip: str = "") -> OutboundMessage:
        """:raises BadRequest: the reason cannot be kept. Other errors as for ``look``."""
        link = self._read(token, "reject")
        return await self._approvals.reject_by_link(link, reason.strip() or REASON, client_ip=client_ip)

    def _read(self, token: str, action: Action) -> Link:
        """:raises TokenRefused: also when it names no reviewer: nobody could say whether it still counts."""
        link = self._tokens.read(token, action, self._now())
        if not link.reviewer:
            raise TokenRefused
        return link
