"""JSON in: syntax, NUL characters, shape.

The size was checked while the bytes arrived (``site``) and is checked again here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from e2a.core.errors import BadRequest, TooLarge

Model = TypeVar("Model", bound=BaseModel)

#: Strings and separators of a body, at all depths together: reading them holds the reactor.
MAX_VALUES = 50_000

# An open string runs to the end: there is nothing to go back for, which keeps the scan linear.
_TOKEN = re.compile(rb'[\[{,]|"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\\?\Z)', re.DOTALL)

#: What to do about the commonest complaints; the rest is said in the validator's own words.
_ADVICE = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "datetime_type": "must be a time such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be a time such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-01-31T12:00:00Z",
    "timezone_aware": "must name its offset from UTC, for example by ending in Z",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
}


def read_json(raw: bytes, model: type[Model], max_size: int) -> Model:
    """A request body as an instance of its model.

    An empty body is ``{}``. Unknown fields are ignored, ``null`` equals absent, a repeated name counts with its last
    value.

    :param max_size: bytes.
    :raises TooLarge: over ``max_size``.
    :raises BadRequest: not JSON, of too many values, or not of the model's shape; ``field`` names the first fault.
    """
    if len(raw) > max_size:
        raise TooLarge(f"the request body may have at most {max_size} bytes")
    if _crowded(raw):
        raise BadRequest(f"the request body may hold at most {MAX_VALUES} values")
    try:
        tree = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"the request body is not valid JSON (line {exc.lineno}, column {exc.colno})") from exc
    if not isinstance(tree, dict):
        raise BadRequest("the request body must be a JSON object")
    _check_leaves(tree)
    try:
        # From text, because only there does strict mean "JSON types as written" rather than "Python objects".
        return model.model_validate_json(orjson.dumps(tree), strict=True)
    except orjson.JSONEncodeError as exc:
        raise BadRequest("the request body is nested too deeply") from exc
    except ValidationError as exc:
        raise _complaint(exc) from exc


def _crowded(raw: bytes) -> bool:
    """Whether a JSON text holds more than :data:`MAX_VALUES` strings and separators.

    It is told before anything is made of them, because making millions takes seconds.
    """
    if sum(map(raw.count, (b"[", b"{", b",", b'"'))) <= MAX_VALUES:
        return False
    return any(number > MAX_VALUES for number, _ in enumerate(_TOKEN.finditer(raw), 1))


class _Place(NamedTuple):
    """A container, and how it was reached. Paths are only written out for complaints: there may be millions."""

    container: dict[str, Any] | list[Any]
    name: object
    parent: _Place | None


def _check_leaves(tree: dict[str, Any]) -> None:
    """Take ``null`` out of every object, without recursion: the sender chooses the depth.

    :raises BadRequest: a string holds NUL.
    """
    waiting = [_Place(tree, "", None)]
    while waiting:
        place = waiting.pop()
        container = place.container
        nulls: list[str] = []
        entries: Iterable[tuple[Any, Any]] = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in entries:
            if isinstance(value, dict | list):
                waiting.append(_Place(value, key, place))
            elif value is None:
                nulls.append(key)
            elif isinstance(value, str) and "\0" in value:
                path = _path(place, key)
                raise BadRequest(f"{path} must not contain NUL characters", field=path)
        if isinstance(container, dict):
            for key in nulls:
                del container[key]


def _path(place: _Place, key: object) -> str:
    steps = [_printable(key)]
    above: _Place | None = place
    while above is not None and above.parent is not None:
        steps.append(_printable(above.name))
        above = above.parent
    return ".".join(reversed(steps))


def _printable(key: object) -> str:
    """A field name fit for an error line: names can come from the sender."""
    return "".join(character if character.isprintable() else "?" for character in str(key)[:64])


def _complaint(error: ValidationError) -> BadRequest:
    """The first fault, as one sentence that begins with the field's name."""
    fault = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(_printable(step) for step in fault["loc"])
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _ADVICE:
        advice = _ADVICE[kind].format(**context)
    elif kind == "value_error":
        advice = str(context.get("error", "is not valid"))
    else:
        advice = f"is not valid: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
    return BadRequest(f"{path or 'the request body'} {advice}", field=path or None)
