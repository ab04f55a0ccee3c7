"""What ``twistd e2a``, ``twist e2a`` and ``e2a.tac`` run."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService
from twisted.logger import ILogObserver
from twisted.python import usage

from .logs import destination, observer
from .memory import settle
from .options import Options

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """The daemon, not yet started.

    :param options: parsed; its settings are good.
    """
    from twisted.internet import reactor

    from .gateway import Gateway
    from .lifecycle import Daemon

    gateway = Gateway(reactor, options.settings, options["config"])
    return Daemon(reactor, gateway, _observer(options), ready=settle)


def _observer(options: Options) -> ILogObserver | None:
    """Ours, at the place that twistd's own flags name; None for syslog, and under a runner that is not twistd."""
    flags = getattr(options, "parent", None) or _twistd_flags()
    if flags is None or "nodaemon" not in flags or flags.get("syslog"):
        return None
    return observer(options.settings.log, destination(flags.get("logfile") or None))


def _twistd_flags() -> Any:
    """twistd's flags as seen from a ``.tac`` file, which is told nothing about them."""
    from twisted.scripts._twistd_unix import ServerOptions

    class Flags(ServerOptions):
        subCommands = None

        def opt_reactor(self, name: str) -> None:
            """It is installed already."""

        opt_r = opt_reactor

    flags = Flags()
    try:
        flags.parseOptions()
    except (usage.UsageError, SystemExit):
        return None
    return flags
