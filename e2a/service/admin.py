"""The operators' listener: metrics and probes, apart from the public API."""

from __future__ import annotations

from collections.abc import Callable

from twisted.web import resource, server

from .metrics import CONTENT_TYPE, PrometheusMetrics


class AdminResource(resource.Resource):
    """``/metrics``; ``/livez``: the process answers; ``/readyz``: it takes mail and requests.

    :param ready: the names of the parts that are not ready; empty when all are.
    """

    isLeaf = True

    def __init__(self, metrics: PrometheusMetrics, ready: Callable[[], tuple[str, ...]]) -> None:
        super().__init__()
        self._metrics, self._ready = metrics, ready

    def render_GET(self, request: server.Request) -> bytes:
        request.setHeader("X-Content-Type-Options", "nosniff")
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        match request.path:
            case b"/metrics":
                request.setHeader("Content-Type", CONTENT_TYPE)
                return self._metrics.exposition()
            case b"/livez":
                return b"ok\n"
            case b"/readyz":
                waiting = self._ready()
                if waiting:
                    request.setResponseCode(503)
                    return f"not ready: {', '.join(waiting)}\n".encode()
                return b"ok\n"
        request.setResponseCode(404)
        return b"not found\n"


def admin_site(metrics: PrometheusMetrics, ready: Callable[[], tuple[str, ...]]) -> server.Site:
    """The HTTP factory of the operators' listener."""
    site = server.Site(AdminResource(metrics, ready), timeout=30)
    site.displayTracebacks = False
    site.noisy = False
    return site
