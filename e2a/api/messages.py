"""Received mail over REST: lists, one message with all it carries, its delivery, and the long poll."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson

from e2a.core import payloads
from e2a.core.entities import AttachmentInfo
from e2a.core.errors import BadRequest
from e2a.flows.mailbox import Detail, Filters, Mailbox, Status

from .models import DeliveryPage, DeliveryRecord, FirstMatch, MessageDetail, MessagePage
from .routing import Call, Query, Reply, Stream, paged, route

#: Octets of a message that are encoded or copied at a time: well under a millisecond, and a multiple of three, so that
#: base64 of the pieces is base64 of the whole.
SLICE = 196_608
#: Characters that a filter may have.
LONGEST_FILTER = 998

_PAGE = [
    Query("page_size", "messages a page has at most", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}),
    Query("token", "`next_token` of the previous page, made with the same filters"),
]
_FILTERS = [
    Query("from", "only mail whose From mailbox is this address, in any case"),
    Query("subject_contains", "only mail whose subject contains this text, in any case"),
]

# What came by mail is nobody's page: it is saved, not shown, and if shown all the same it may do nothing.
_DOWNLOAD = {"Content-Security-Policy": "sandbox; default-src 'none'"}


class Messages:
    """Everything below ``/api/v1/agents/{email}`` that is about received mail."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    @route(
        "GET",
        "/api/v1/agents/{email}/messages",
        action="messages:read",
        summary="List received messages, oldest first unless sorted otherwise",
        answers={200: MessagePage},
        errors=(404,),
        query=[
            Query(
                "status",
                "which messages; listing does not change it",
                {"type": "string", "enum": ["unread", "read", "all"], "default": "unread"},
            ),
            *_PAGE,
            *_FILTERS,
            Query("conversation_id", "only mail of this conversation"),
            Query("since", "only mail received at or after this time", {"type": "string", "format": "date-time"}),
            Query("until", "only mail received before this time", {"type": "string", "format": "date-time"}),
            Query("sort", "by age", {"type": "string", "enum": ["asc", "desc"], "default": "asc"}),
        ],
        limit="poll",
    )
    async def list(self, call: Call) -> Any:
        status: Status = call.choice("status", ("unread", "read", "all"), "unread")
        size = call.whole("page_size", 1, 100, 50)
        page = await self._mailbox.page(
            call.principal, call.agent_id, status, size, call.query.get("token"), _list_filters(call)
        )
        return paged({"messages": [payloads.summary(message) for message in page.messages]}, page.next_token)

    @route(
        "GET",
        "/api/v1/agents/{email}/messages/wait",
        action="messages:read",
        summary="Wait for a message: the first that matches, or 204 with the header X-E2A-Cursor",
        answers={200: FirstMatch, 204: None},
        errors=(404,),
        query=[
            Query("timeout", "seconds to wait", {"type": "integer", "minimum": 0, "maximum": 60, "default": 30}),
            Query(
                "after", "a cursor: only mail that came after it; without it, all that is unread", {"type": "integer"}
            ),
            Query("not_before", "only mail received since this time", {"type": "string", "format": "date-time"}),
            *_FILTERS,
        ],
        load="wait",
    )
    async def wait(self, call: Call) -> Any:
        timeout = call.whole("timeout", 0, 60, 30)
        after = call.whole("after", 0, 2**53 - 1, 0) if "after" in call.query else None
        message, cursor = await self._mailbox.wait(call.principal, call.agent_id, after, _filters(call), timeout)
        if message is None:
            return Reply(status=204, headers={"X-E2A-Cursor": str(cursor)})
        return Reply({"message": payloads.summary(message), "cursor": cursor}, headers={"X-E2A-Cursor": str(cursor)})

    @route(
        "GET",
        "/api/v1/agents/{email}/messages/{id}",
        action="messages:read",
        summary="Read one message, signed now; an unread one becomes read",
        answers={200: MessageDetail},
        errors=(400, 404),
        query=[
            Query(
                "mark_read",
                "false leaves it unread, for a program that hands it on and marks it when that worked",
                {"type": "boolean", "default": True},
            )
        ],
        limit="poll",
    )
    async def detail(self, call: Call) -> Any:
        mark_read = call.choice("mark_read", ("true", "false"), "true") == "true"
        found = await self._mailbox.detail(call.principal, call.agent_id, call.path["id"], mark_read=mark_read)
        return Reply(_written(_detail(found)))

    @route(
        "GET",
        "/api/v1/agents/{email}/messages/{id}/raw",
        action="messages:read",
        summary="The message as stored; does not mark it read",
        answers={200: None},
        errors=(404,),
        media_type="message/rfc822",
        load="work",
    )
    async def raw(self, call: Call) -> Any:
        message, raw = await self._mailbox.raw(call.principal, call.agent_id, call.path["id"])
        headers = {**_DOWNLOAD, "Content-Disposition": disposition(f"{message.id}.eml")}
        return Reply(_written(_sliced(raw)), headers=headers, content_type="message/rfc822")

    @route(
        "GET",
        "/api/v1/agents/{email}/messages/{id}/attachments/{index}",
        action="messages:read",
        summary="The octets of one attachment; does not mark the message read",
        answers={200: None},
        errors=(404,),
        media_type="application/octet-stream",
        load="work",
    )
    async def attachment(self, call: Call) -> Any:
        place = call.place("index")
        return binary(*await self._mailbox.attachment(call.principal, call.agent_id, call.path["id"], place))

    @route(
        "GET",
        "/api/v1/agents/{email}/messages/{id}/delivery",
        action="messages:read",
        summary="The webhook delivery of one message, attempt by attempt",
        answers={200: DeliveryRecord},
        errors=(404,),
    )
    async def delivery(self, call: Call) -> Any:
        return payloads.delivery(await self._mailbox.delivery(call.principal, call.agent_id, call.path["id"]))

    @route(
        "POST",
        "/api/v1/agents/{email}/messages/{id}/redeliver",
        action="agents:write",
        summary="Deliver one message to the agent's webhook again, now",
        answers={202: DeliveryRecord},
        errors=(404, 409),
    )
    async def redeliver(self, call: Call) -> Any:
        record = await self._mailbox.redeliver(call.principal, call.agent_id, call.path["id"])
        return Reply(payloads.delivery(record), 202)

    @route(
        "GET",
        "/api/v1/agents/{email}/deliveries",
        action="messages:read",
        summary="List webhook deliveries, newest first",
        answers={200: DeliveryPage},
        errors=(404,),
        query=[
            Query("status", "which deliveries", {"type": "string", "enum": ["failed"], "default": "failed"}),
            *_PAGE,
        ],
    )
    async def deliveries(self, call: Call) -> Any:
        call.choice("status", ("failed",), "failed")
        size = call.whole("page_size", 1, 100, 50)
        page = await self._mailbox.failed_deliveries(call.principal, call.agent_id, size, call.query.get("token"))
        entries = [payloads.delivery(record) for record in page.deliveries]
        for entry in entries:
            del entry["log"]
        return paged({"deliveries": entries}, page.next_token)


def binary(info: AttachmentInfo, octets: bytes) -> Reply:
    """An attachment, to be saved."""
    headers = {**_DOWNLOAD, "Content-Disposition": disposition(info.filename)}
    return Reply(_written(_sliced(octets)), headers=headers, content_type=info.content_type)


def disposition(filename: str) -> str:
    """``Content-Disposition`` that saves under ``filename`` (RFC 6266): plain for old clients, exact for the rest."""
    plain = "".join(
        character if character.isascii() and character.isprintable() and character not in '"\\%/' else "_"
        for character in filename
    )
    exact = quote(filename, safe="", errors="replace")
    return f"attachment; filename=\"{plain[:200] or 'attachment'}\"; filename*=UTF-8''{exact[:600] or 'attachment'}"


def _list_filters(call: Call) -> Filters:
    return replace(
        _filters(call),
        not_before=call.moment("since"),
        until=call.moment("until"),
        conversation_id=call.query.get("conversation_id") or None,
        newest_first=call.choice("sort", ("asc", "desc"), "asc") == "desc",
    )


def _filters(call: Call) -> Filters:
    for name in ("from", "subject_contains", "conversation_id"):
        if len(call.query.get(name, "")) > LONGEST_FILTER:
            raise BadRequest(f"{name} may have at most {LONGEST_FILTER} characters", field=name)
    return Filters(
        sender=call.query.get("from") or None,
        subject_contains=call.query.get("subject_contains") or None,
        not_before=call.moment("not_before"),
    )


def _detail(found: Detail) -> Stream:
    """The answer as text, with the raw message encoded slice by slice while it is written."""
    shape = payloads.detail(found.message, found.content, "", found.auth_headers)
    # Last of all keys, so that the text ends with its empty value.
    shape["raw_message"] = shape.pop("raw_message")
    text = orjson.dumps(shape)
    head, tail = text[:-2], text[-2:] + b"\n"

    def chunks() -> Iterator[bytes]:
        yield head
        for start in range(0, len(found.raw), SLICE):
            yield binascii.b2a_base64(found.raw[start : start + SLICE], newline=False)
        yield tail

    return Stream(len(head) + (len(found.raw) + 2) // 3 * 4 + len(tail), chunks())


def _sliced(octets: bytes) -> Stream:
    return Stream(len(octets), (octets[start : start + SLICE] for start in range(0, len(octets), SLICE)))


def _written(stream: Stream) -> Stream | bytes:
    """A short stream in one piece."""
    return b"".join(stream.chunks) if stream.length <= SLICE else stream
