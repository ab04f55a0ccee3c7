"""From a function that describes a call to the method that carries it out.

Each endpoint is declared once, as a function that returns a :class:`~.transport.Call`. ``blocking`` and ``awaiting``
keep its parameters and its docstring, for readers and for type checkers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

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


def _shown(method: Method, describe: Callable[..., Any], *, bound: bool = False) -> Method:
    """Give the method the signature that readers expect: with ``self``, and with the result instead of its call."""
    signature = inspect.signature(describe)
    parameters = list(signature.parameters.values())
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    result = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")
    shown: Any = functools.update_wrapper(method, describe)
    shown.__signature__ = inspect.Signature([this, *parameters[1 if bound else 0 :]], return_annotation=result)
    del shown.__wrapped__
    return method
