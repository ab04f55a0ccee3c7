"""What a run cost and how long things took."""

from __future__ import annotations

import os
import platform
import signal
import statistics
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Ends PostgreSQL without a chance to write anything more.
CRASH = signal.SIGQUIT
_TICK = os.sysconf("SC_CLK_TCK")
_ENTRY = struct.Struct("=IIQ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One message answered 250: its number, seconds from MAIL to 250, Unix time of the answer."""

    number: int
    latency: float
    answered_at: float


def read_ledger(path: Path) -> list[Entry]:
    """What a load generator wrote."""
    return [Entry(number, us / 1e6, ns / 1e9) for number, us, ns in _ENTRY.iter_unpack(path.read_bytes())]


def read_arrivals(path: Path) -> dict[str, float]:
    """What a receiver wrote: message id to Unix time of the first arrival."""
    return {key: float(at) for key, at in (line.split() for line in path.read_text().splitlines())}


def percentile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` of all do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and range of what the runs gave."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree_cpu(pid: int) -> float:
    """Seconds of CPU that a process and all its descendants used, ended ones included."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = _stat(int(entry.name))
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
            used[int(entry.name)] = sum(int(each) for each in fields[11:15]) / _TICK
    total, todo = 0.0, [pid]
    while todo:
        each = todo.pop()
        total += used.get(each, 0.0)
        todo += parents.get(each, [])
    return total


def machine_cpu() -> float:
    """Seconds of CPU that everything on the machine used since it started."""
    user, nice, system, _, _, irq, soft, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(each) for each in (user, nice, system, irq, soft)) / _TICK


def rss_mib(pid: int, *, peak: bool = False) -> float:
    """Resident memory now, or its highest value since :func:`reset_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def host(postgres: str) -> dict[str, Any]:
    """What the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpus": os.cpu_count(),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "ram_gib": round(memory / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgres": postgres,
    }
