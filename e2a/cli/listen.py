"""``e2a listen``: mail as it comes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from queue import Empty
from typing import TYPE_CHECKING

import click

from ..core import openai
from .errors import CommandError, not_authenticated
from .session import AGENT, Session, client_command

if TYPE_CHECKING:
    from .forwarding import Work
    from .live import Feed


def commands(group: click.Group) -> None:
    """Register the command."""

    @client_command(group, "listen")
    @AGENT
    @click.option("--forward", "forward_url", metavar="URL", help="Post every message to a program.")
    @click.option(
        "--forward-token", metavar="TOKEN", envvar="E2A_FORWARD_TOKEN", show_envvar=True, help="Bearer token."
    )
    @click.option("--model", default=openai.DEFAULT_MODEL, show_default=True, help="For a URL ending in /v1/responses.")
    def listen(
        session: Session, agent: str | None, forward_url: str | None, forward_token: str | None, model: str
    ) -> None:
        """Show the agent's mail as it comes.

        Everything unread is first; Ctrl-C ends it. The command connects again through every interruption. Plain, it
        announces messages and leaves them unread. With --json it prints each whole message on one line, and marks it
        read after that.

        With --forward it posts each whole message to a program, and marks it read once the program has answered 2xx;
        until then it tries again. A URL whose path ends in /v1/responses gets the message as a request to the OpenAI
        Responses API, and the answer's text is sent back as a reply.
        """
        # The libraries behind this take longer to load than most commands take to run.
        from .forwarding import Forward, Mailbox, Target, Work, announce, print_json
        from .live import Feed

        address = session.agent(agent)
        server, out = session.server, session.out
        mailbox = Mailbox(server, address)
        with ExitStack() as stack:
            if out.as_json:
                work = Work(print_json(mailbox, out), out.warning)
            elif forward_url:
                target = Target.checked(forward_url, forward_token or "", model)
                forward = Forward(mailbox, target, out, transport=session.surroundings.transport)
                stack.callback(forward.close)
                work = Work(forward, out.warning)
            else:
                work = Work(announce(out), out.warning)
            if not session.key:
                raise not_authenticated()
            feed = Feed(server.url, server.key, address, _reporter(session))
            click.echo(f"Listening for emails to {address}...", err=True)
            _until_interrupted(feed, work)


def _reporter(session: Session) -> Callable[[str], None]:
    def report(text: str) -> None:
        if not session.out.quiet:
            click.echo(text, err=True)

    return report


def _until_interrupted(feed: Feed, work: Work) -> None:
    """Returns on Ctrl-C or SIGTERM.

    :raises CommandError: what no new connection cures.
    """
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    feed.start()
    try:
        while True:
            wait = work.step()
            try:
                found = feed.queue.get(timeout=wait) if wait is None or wait > 0 else feed.queue.get_nowait()
            except Empty:
                continue
            if isinstance(found, CommandError):
                raise found
            work.add(found)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, previous)
        feed.stop()
