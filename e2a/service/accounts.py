"""People and their accounts, put together from the settings."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..api.keys import KeysResource
from ..api.me import MeResource
from ..api.members import MembersResource
from ..api.secrets import SecretsResource
from ..api.sessiongate import SessionGate
from ..flows.accounts import Accounts
from ..flows.audit import AuditLog
from ..flows.erasure import Erasure
from ..flows.feedback import FeedbackBox
from ..flows.invitations import Invitations
from ..flows.me import Me
from ..flows.people import People
from ..flows.sessions import Sessions
from ..flows.usage import Usage
from ..web.farewell import FAREWELLS, FarewellPage
from ..web.invitation import InvitationPage
from ..web.pages import Handler
from ..workers.periodic import Periodic
from .counting import counting
from .ground import Ground
from .rights import data_rights
from .signin import origin_of, signing_in
from .writing import Desk


@dataclass(frozen=True, slots=True)
class Accounting:
    """The flows that the dashboard offers as well, and

    :ivar resources: the REST side.
    :ivar pages: what people open in a browser, by path.
    :ivar gate: from a request's cookies to the signed-in person.
    :ivar workers: not started.
    """

    accounts: Accounts
    people: People
    invitations: Invitations
    sessions: Sessions
    me: Me
    usage: Usage
    feedback: FeedbackBox
    audit: AuditLog
    erasure: Erasure
    resources: Sequence[object]
    pages: Mapping[str, Handler]
    gate: SessionGate
    workers: Sequence[Periodic]


def accounting(ground: Ground, writers: Desk) -> Accounting:
    """Everything about people, keys and what belongs to an organisation as a whole.

    :param writers: for mail of the deployment's own, as invitations are.
    """
    accounts = Accounts(ground.database, time.time, os.urandom, ground.changed)
    people = People(ground.database, ground.sealer, os.urandom)
    invitations = Invitations(
        ground.database, writers.outbound, public_url=ground.public_url, now=time.time, random=os.urandom
    )
    me = Me(ground.database, ground.limiting.rates)
    resources = [
        KeysResource(accounts),
        MeResource(me),
        SecretsResource(ground.secrets),
        MembersResource(people, invitations),
    ]
    signin = signing_in(ground, accounts)
    resources.append(signin.resource)
    rights = data_rights(ground)
    counted = counting(ground, writers.outbound, signin.gate.find)
    pages = {
        **signin.pages,
        InvitationPage.path: InvitationPage(invitations, signin.sessions, base=origin_of(ground.settings)),
        **{path: FarewellPage(title, text) for path, (title, text) in FAREWELLS.items()},
    }
    return Accounting(
        accounts=accounts,
        people=people,
        invitations=invitations,
        sessions=signin.sessions,
        me=me,
        usage=counted.usage,
        feedback=counted.feedback,
        audit=rights.audit,
        erasure=rights.erasure,
        resources=[*resources, *rights.resources, *counted.resources],
        pages=pages,
        gate=signin.gate,
        workers=counted.workers,
    )
