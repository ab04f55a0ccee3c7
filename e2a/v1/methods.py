"""From a function that describes a call to the method that carries it out.

Each endpoint is declared once, as a function that returns a :class:`~.transport.Call`. ``blocking`` and ``awaiting``
keep its parameters and its docstring, for readers and for type checkers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from .transport import Call

P = ParamSpec("P")
T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])


class Runs(Protocol):
    """What can carry a call out."""

    def run(self, call: Call[T]) -> T: ...


class RunsAsync(Protocol):
    """What can carry a call out, awaited."""

    async def run(self, call: Call[T]) -> T: ...


def blocking(describe: Callable[P, Call[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method that waits for the result."""

    def method(self: Runs, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(describe(*args, **kwargs))

    return _shown(method, describe)


def awaiting(describe: Callable[P, Call[T]]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method that is awaited."""

    async def method(self: RunsAsync, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(describe(*args, **kwargs))

    return _shown(method, describe)


def blocking_of(describe: Callable[Concatenate[Any, P], Call[T]]) -> Callable[Concatenate[Any, P], T]:
    """As :func:`blocking`, for a function whose first argument is the object that the method belongs to."""

    def method(self: Runs, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(describe(self, *args, **kwargs))

    return _shown(method, describe, bound=True)


def awaiting_of(
    describe: Callable[Concatenate[Any, P], Call[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """As :func:`awaiting`, for a function whose first argument is the object that the method belongs to."""

    async def method(self: RunsAsync, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(describe(self, *args, **kwargs))

    return _shown(method, describe, bound=True)


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """A list that is fetched page by page.

    :ivar page: from the token of a page, None for the first, to the call for it, whose result is the page's entries
        and the next token, None after the last page.
    """

    page: Callable[[str | None], Call[tuple[Sequence[T], str | None]]]


def iterating(describe: Callable[Concatenate[Any, P], Pages[T]]) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """The method that goes through every entry, asking for the next page when it is needed."""

    def method(self: Runs, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        def entries() -> Iterator[T]:
            token: str | None = None
            while True:
                found, token = self.run(pages.page(token))
                yield from found
                if token is None:
                    return

        pages = describe(self, *args, **kwargs)
        return entries()

    return _shown(method, describe, bound=True, result="Iterator[{}]")


def iterating_async(
    describe: Callable[Concatenate[Any, P], Pages[T]],
) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """As :func:`iterating`, for ``async for``."""

    def method(self: RunsAsync, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        async def entries() -> AsyncIterator[T]:
            token: str | None = None
            while True:
                found, token = await self.run(pages.page(token))
                for entry in found:
                    yield entry
                if token is None:
                    return

        pages = describe(self, *args, **kwargs)
        return entries()

    return _shown(method, describe, bound=True, result="AsyncIterator[{}]")


def _shown(method: Method, describe: Callable[..., Any], *, bound: bool = False, result: str = "{}") -> Method:
    """Give the method the signature that readers expect: with ``self``, and with the result instead of its call."""
    signature = inspect.signature(describe)
    parameters = list(signature.parameters.values())
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    answer = result.format(str(signature.return_annotation).partition("[")[2].removesuffix("]"))
    shown: Any = functools.update_wrapper(method, describe)
    shown.__signature__ = inspect.Signature([this, *parameters[1 if bound else 0 :]], return_annotation=answer)
    del shown.__wrapped__
    return method
