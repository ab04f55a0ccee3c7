"""``/api/v1/organisations``, ``/api/v1/organisation``, ``/api/v1/members`` and ``/api/v1/invitations``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from e2a.core.entities import Invitation, Membership, Organisation
from e2a.core.rules.permissions import SELF
from e2a.flows.invitations import Invitations
from e2a.flows.people import People

from .models import Shape
from .models_accounts import Name, exact
from .routing import Call, Reply, route

RoleName = Literal["owner", "admin", "member"]


class NewOrganisation(BaseModel):
    name: Name = Field(description="One line of text.")


class OrganisationShape(Shape):
    id: str
    name: str
    personal: bool
    created_at: str


class OwnOrganisation(OrganisationShape):
    role: RoleName = Field(description="The caller's role in it.")
    current: bool = Field(description="Whether the credential is for this one.")


class OrganisationList(Shape):
    organisations: list[OwnOrganisation] = Field(description="In the order in which the person joined.")


class Member(Shape):
    user_id: str
    email: str
    name: str
    role: RoleName
    joined_at: str


class MemberList(Shape):
    members: list[Member] = Field(description="In the order in which they joined.")


class NewRole(BaseModel):
    role: RoleName


class NewInvitation(BaseModel):
    email: str = Field(max_length=1000)
    role: RoleName = "member"


class InvitationShape(Shape):
    id: str
    email: str
    role: RoleName
    invited_by: str | None = Field(description="The id of the user who asked.")
    created_at: str
    expires_at: str


class CreatedInvitation(InvitationShape):
    link: str = Field("", description="Only when the deployment cannot send mail: hand it to the person yourself.")


class InvitationList(Shape):
    invitations: list[InvitationShape] = Field(description="Those that can still be accepted, newest first.")


class Acceptance(BaseModel):
    token: str = Field(max_length=200, description="From the link in the mail.")


class MembersResource:
    def __init__(self, people: People, invitations: Invitations) -> None:
        self._people = people
        self._invitations = invitations

    # --- organisations ------------------------------------------------------------------------------------------------

    @route(
        "GET",
        "/api/v1/organisations",
        action=SELF,
        summary="The organisations that the person belongs to; for a key, the key's own",
        answers={200: OrganisationList},
    )
    async def list_organisations(self, call: Call) -> Any:
        found = await self._people.places(call.principal)
        return {
            "organisations": [
                {
                    "id": place.id,
                    "name": place.name,
                    "personal": place.personal,
                    "created_at": exact(place.created_at),
                    "role": place.role,
                    "current": place.current,
                }
                for place in found
            ]
        }

    @route(
        "POST",
        "/api/v1/organisations",
        action=SELF,
        session_only=True,
        summary="Make an organisation that the signed-in person owns",
        body=NewOrganisation,
        answers={201: OrganisationShape},
        errors=(400, 409),
    )
    async def create_organisation(self, call: Call) -> Any:
        return Reply(_organisation(await self._people.create(call.principal, call.body.name)), 201)

    @route(
        "GET",
        "/api/v1/organisation",
        action="account:read",
        summary="The organisation that the credential is for",
        answers={200: OrganisationShape},
    )
    async def get_organisation(self, call: Call) -> Any:
        return _organisation(await self._people.organisation(call.principal))

    @route(
        "PUT",
        "/api/v1/organisation",
        action="account:write",
        summary="Rename the organisation",
        body=NewOrganisation,
        answers={200: OrganisationShape},
        errors=(400,),
    )
    async def rename_organisation(self, call: Call) -> Any:
        return _organisation(await self._people.rename(call.principal, call.body.name))

    @route(
        "POST",
        "/api/v1/organisation/leave",
        action=SELF,
        session_only=True,
        summary="Leave the organisation, as the signed-in person; the last owner cannot",
        answers={204: None},
        errors=(404, 409),
    )
    async def leave(self, call: Call) -> Any:
        await self._people.leave(call.principal)
        return Reply(status=204)

    # --- members ------------------------------------------------------------------------------------------------------

    @route("GET", "/api/v1/members", action="account:read", summary="List the members", answers={200: MemberList})
    async def list_members(self, call: Call) -> Any:
        return {"members": [_member(member) for member in await self._people.list_members(call.principal)]}

    @route(
        "PUT",
        "/api/v1/members/{user_id}",
        action="members:write",
        summary="Change a member's role; only an owner makes or changes an owner",
        body=NewRole,
        answers={200: Member},
        errors=(404, 409),
    )
    async def change_role(self, call: Call) -> Any:
        return _member(await self._people.change_role(call.principal, call.path["user_id"], call.body.role))

    @route(
        "DELETE",
        "/api/v1/members/{user_id}",
        action="members:write",
        summary="Remove a member, and revoke their keys",
        answers={204: None},
        errors=(404, 409),
    )
    async def remove(self, call: Call) -> Any:
        await self._people.remove(call.principal, call.path["user_id"])
        return Reply(status=204)

    # --- invitations --------------------------------------------------------------------------------------------------

    @route(
        "GET",
        "/api/v1/invitations",
        action="members:write",
        summary="List the open invitations",
        answers={200: InvitationList},
    )
    async def list_invitations(self, call: Call) -> Any:
        found = await self._invitations.list_open(call.principal)
        return {"invitations": [_invitation(invitation) for invitation in found]}

    @route(
        "POST",
        "/api/v1/invitations",
        action="members:write",
        summary="Invite a person by mail, for seven days; replaces an open invitation to the same address",
        body=NewInvitation,
        answers={201: CreatedInvitation},
        errors=(400, 409, 422, 429),
    )
    async def invite(self, call: Call) -> Any:
        wanted: NewInvitation = call.body
        made, link = await self._invitations.invite(call.principal, wanted.email, wanted.role)
        return Reply(_invitation(made) | ({"link": link} if link else {}), 201)

    @route(
        "DELETE",
        "/api/v1/invitations/{id}",
        action="members:write",
        summary="Revoke an invitation",
        answers={204: None},
        errors=(404,),
    )
    async def revoke(self, call: Call) -> Any:
        await self._invitations.revoke(call.principal, call.path["id"])
        return Reply(status=204)

    @route(
        "POST",
        "/api/v1/invitations/accept",
        action=SELF,
        session_only=True,
        summary="Join an organisation, as the signed-in person who was invited",
        body=Acceptance,
        answers={200: InvitationShape},
        errors=(404, 409, 410),
    )
    async def accept(self, call: Call) -> Any:
        return _invitation(await self._invitations.accept(call.principal, call.body.token))


def _organisation(organisation: Organisation) -> dict[str, Any]:
    return {
        "id": organisation.id,
        "name": organisation.name,
        "personal": organisation.personal,
        "created_at": exact(organisation.created_at),
    }


def _member(member: Membership) -> dict[str, Any]:
    return {
        "user_id": member.user_id,
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "joined_at": exact(member.created_at),
    }


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "invited_by": invitation.invited_by,
        "created_at": exact(invitation.created_at),
        "expires_at": exact(invitation.expires_at),
    }
