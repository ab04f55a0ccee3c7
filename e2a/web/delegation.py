"""The page on which a person says whether an agent may act for them."""

from __future__ import annotations

from html import escape

from e2a.core.errors import BadRequest
from e2a.flows.delegations import PATH, Binding, Delegations

from .pages import Page, Visit, button, form, paragraph


class DelegationPage:
    """:cvar path: where the mail's link leads."""

    path = PATH

    def __init__(self, delegations: Delegations) -> None:
        self._delegations = delegations

    async def show(self, visit: Visit) -> Page:
        return self._question(await self._delegations.look(visit.token, visit.client_ip), visit)

    async def act(self, visit: Visit) -> Page:
        choice = visit.values.get("choice")
        if choice == "confirm":
            found = await self._delegations.decide(visit.token, "confirm", visit.client_ip)
        elif choice == "end":
            found = await self._delegations.decide(visit.token, "end", visit.client_ip)
        else:
            raise BadRequest("say whether you agree", field="choice")
        return self._answer(found, choice, visit)

    def _question(self, found: Binding, visit: Visit) -> Page:
        match self._delegations.state(found):
            case "proposed":
                agree = button("choice", "confirm", "I agree") + button("choice", "end", "I decline")
                body = _explained(found) + form(PATH, visit.token, agree)
                return Page(200, f"May {found.agent_id} act for you?", body)
            case "active":
                ended = form(PATH, visit.token, button("choice", "end", "End it"))
                body = _facts(found) + paragraph("You have agreed to this, and can end it at any time.") + ended
                return Page(200, f"{found.agent_id} acts for you", body)
            case "expired":
                decline = form(PATH, visit.token, button("choice", "end", "I decline"))
                return Page(410, "Too late to agree", _facts(found) + paragraph(_LATE) + decline)
            case _:
                return _over(found, 409)

    def _answer(self, found: Binding, choice: str, visit: Visit) -> Page:
        state = self._delegations.state(found)
        if choice == "end" and state == "ended":
            return _over(found, 200)
        # Also when it was said twice; what could not be confirmed any more is shown as it is.
        return self._question(found, visit)


_LATE = "The question could be answered for seven days. The agent's owner can ask you again."


def _facts(found: Binding) -> str:
    return f"<dl><dt>Agent</dt><dd>{escape(found.agent_id)}</dd><dt>For</dt><dd>{escape(found.person)}</dd></dl>"


def _explained(found: Binding) -> str:
    return _facts(found) + paragraph(
        "If you agree, the messages that this agent sends to other agents here say that it acts for you. It gets no "
        "access to your mailbox. You can end it at any time by the same link."
    )


def _over(found: Binding, status: int) -> Page:
    text = "This agent does not act for you."
    return Page(status, "It is ended", _facts(found) + paragraph(text))
