"""How quick the dashboard's pages are for an owner with a great deal of mail."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time

import httpx

from benchmarks import measure
from benchmarks.options import Options
from benchmarks.reading import fill
from benchmarks.report import Outcome, at_most
from benchmarks.world import World
from tests.support.daemon import e2a

#: Messages are stored in so many pieces, so that no statement grows without bound.
_PIECE = 100_000
#: Requests for each page.
_REPEATS = 50
OWNER = "bench@example.test"


def pages(options: Options) -> Outcome:
    """Pages of a signed-in owner whose agent has a million messages, one request at a time."""
    outcome = Outcome("pages", options.params())
    rows = options.rows or 1_000_000
    with World() as world:
        api = world.daemon.api(world.owner_key)
        agent, _ = api.agent("big"), api.agent("small")
        for piece in range(0, rows, _PIECE):
            fill(world, agent, min(_PIECE, rows - piece), tag=f"p{piece}-", read=50)
        api.close()
        with contextlib.closing(_signed_in(world)) as client:
            mail = f"/dashboard/agents/{agent}"
            first = client.get(mail).text
            older = re.search(r'href="([^"]*token=[^"]*)"', first)
            message = re.search(r'href="(/dashboard/agents/[^"]*/messages/msg_[0-9a-f]+)"', first)
            if older is None or message is None:
                outcome.faults.append("the agent's page lists no mail")
                return outcome
            for label, path in (
                ("overview", "/dashboard"),
                ("mail, first page", mail),
                ("mail, older page", older[1].replace("&amp;", "&")),
                ("message", message[1]),
                ("conversations", f"{mail}/conversations"),
                ("reviews", "/dashboard/pending"),
                ("failed deliveries", "/dashboard/deliveries"),
                ("audit log", "/dashboard/audit"),
            ):
                _measure(outcome, client, label, path)
    return outcome


def _measure(outcome: Outcome, client: httpx.Client, label: str, path: str) -> None:
    times, size = [], 0
    for _ in range(_REPEATS):
        start = time.perf_counter()
        answer = client.get(path)
        times.append(time.perf_counter() - start)
        size = len(answer.content)
        if answer.status_code != 200:
            outcome.faults.append(f"{label}: {answer.status_code}")
            return
    outcome.add(label, "p50 ms", [measure.percentile(times, 0.5) * 1000])
    outcome.add(label, "p99 ms", [measure.percentile(times, 0.99) * 1000], target=at_most(100.0))
    outcome.add(label, "kB", [size / 1000], target=at_most(100.0))


def _signed_in(world: World) -> httpx.Client:
    """A client with the owner's session, by the link that the operator can print."""
    done = subprocess.run(
        e2a("bootstrap", "--sign-in-link", OWNER),
        env=world.daemon.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    link = re.search(r"http\S+/api/auth/link\?token=(\S+)", done.stdout + done.stderr)
    assert link is not None, done.stdout
    client = httpx.Client(base_url=world.daemon.url, timeout=30, trust_env=False)
    answer = client.post("/api/auth/link", data={"token": link[1]}, headers={"Origin": world.daemon.url})
    assert answer.status_code < 400, answer.text
    return client
