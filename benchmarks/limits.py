"""What this machine and this PostgreSQL can do at most: the floor that every figure is compared with."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from benchmarks.world import World

_TABLES = """
CREATE TABLE IF NOT EXISTS floor_raw (LIKE raw_messages INCLUDING ALL);
CREATE TABLE IF NOT EXISTS floor_messages (LIKE messages INCLUDING ALL);
TRUNCATE floor_raw, floor_messages;
"""
_PREPARE = """
PREPARE floor (text, bytea, int, int) AS
WITH raw AS (
    INSERT INTO floor_raw (id, size, data) SELECT 'raw_' || $1 || n, length($2), $2 FROM generate_series(1, $3) n
)
INSERT INTO floor_messages (id, agent_id, direction, uid, raw_id, sender, recipient, to_recipients, subject,
        email_message_id, verified, auth_sender, domain_check, body_hash, authentication, size, inbox_status)
    SELECT 'msg_' || $1 || n, 'local' || $4 || '@agents.test', 'inbound', $4 * 1000 + n, 'raw_' || $1 || n,
        'ana@sender0.test', 'local@agents.test', '{agent@agents.test}', 'The figures', $1 || n || '@bench.test', true,
        'ana@sender0.test', 'spf=pass; dkim=pass', encode(sha256($2), 'hex'),
        '{"spf": {"result": "pass"}, "dkim": [{"result": "pass"}], "dmarc": {"result": "pass"}}', length($2), 'unread'
    FROM generate_series(1, $3) n
"""


def measure(world: World, seconds: float = 1.0) -> dict[str, float]:
    """The floor by name: rows a second, or microseconds for one operation."""
    return {
        "insert_1c": inserts(world, 1, seconds),
        "insert_batch50": inserts(world, 50, seconds) * 50,
    }


def measure_all(world: World, seconds: float = 1.0) -> dict[str, float]:
    """The floor, and what the parts of receiving a message cost at least."""
    return {
        **measure(world, seconds),
        "select_1": selects(world, seconds),
        "fdatasync_us": 1e6 / fdatasyncs(world.directory, seconds),
        "rsa_verify_us": rsa_verify_us(seconds),
        "sha256_2k_us": 1e6 / _rate(lambda: hashlib.sha256(b"x" * 2048).digest(), seconds / 4),
    }


def inserts(world: World, rows: int, seconds: float) -> float:
    """Commits a second of one client that inserts the rows of that many messages in each transaction."""
    letter = next(world.corpus.letters(1)).data
    connection = psycopg2.connect(world.dsn)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(_TABLES)
            cursor.execute(_PREPARE)
            data = psycopg2.Binary(letter).getquoted().decode("ascii")
            count = 0

            def insert() -> None:
                nonlocal count
                count += 1
                cursor.execute(f"EXECUTE floor ('{count:020d}', {data}, {rows}, {count})")

            return _rate(insert, seconds)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE floor_raw, floor_messages")
        connection.close()


def selects(world: World, seconds: float) -> float:
    """Round trips a second of one client."""
    connection = psycopg2.connect(world.dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        rate = _rate(lambda: cursor.execute("SELECT 1"), seconds)
    connection.close()
    return rate


def fdatasyncs(directory: Path, seconds: float) -> float:
    """8 kB overwritten and flushed, times a second."""
    handle = os.open(directory / "sync", os.O_RDWR | os.O_CREAT)
    page = os.urandom(8192)

    def write() -> None:
        os.pwrite(handle, page, 0)
        os.fdatasync(handle)

    try:
        return _rate(write, seconds)
    finally:
        os.close(handle)


def rsa_verify_us(seconds: float) -> float:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key()
    signature = key.sign(b"text", padding.PKCS1v15(), hashes.SHA256())
    return 1e6 / _rate(lambda: public.verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256()), seconds / 4)


def _rate(work: Callable[[], object], seconds: float) -> float:
    start, count = time.perf_counter(), 0
    while (now := time.perf_counter()) - start < seconds:
        work()
        count += 1
    return count / (now - start)
