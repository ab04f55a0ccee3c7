"""A private Postfix on free ports of the loopback address: its own configuration, queue and mailboxes.

It runs as root only, because its programs change to other users.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.pgprograms import die_with_parent
from tests.support.ports import free_port
from tests.support.sinks import wait_until

#: The user that mailboxes belong to; Postfix delivers nothing as root.
_NOBODY = 65534

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 2     1 qmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
verify    unix  - - n -     1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -     - proxymap
smtp      unix  - - n -     - smtp
relay     unix  - - n -     - smtp
showq     unix  n - n -     - showq
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
virtual   unix  - n n -     - virtual
anvil     unix  - - n -     1 anvil
scache    unix  - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

_MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/log/postfix.log
maillog_file_prefixes = {directory}/log
myhostname = mail.people.test
myorigin = people.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
alias_maps =
local_recipient_maps =
relay_domains = {relayed}
transport_maps = inline:{{ {transports} }}
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {directory}/mail
virtual_mailbox_maps = inline:{{ {mailboxes} }}
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{user}
smtpd_reject_unlisted_recipient = no
smtpd_client_connection_rate_limit = 0
smtpd_tls_security_level = none
smtp_tls_security_level = none
minimal_backoff_time = 2s
maximal_backoff_time = 4s
message_size_limit = 50000000
virtual_mailbox_limit = 0
mailbox_size_limit = 0
"""


def missing() -> str | None:
    """Why it cannot run here; None when it can."""
    if os.geteuid() != 0:
        return "Postfix can only be started by root"
    if shutil.which("postconf", path=_PATH) is None:
        return "no Postfix on this machine"
    return None


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def _run(*command: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, "PATH": _PATH}, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Postfix:
    """:param directory: its own, empty; other users must be able to enter what is above it.
    :param mailboxes: addresses that exist. Their domains' other addresses are refused only after they were accepted, as
        they are by a server that does not know its users at the border: with a report to the sender.
    :param relays: ports of this machine by the domain whose mail goes there.
    :ivar port: where it takes mail.
    """

    def __init__(self, directory: Path, mailboxes: tuple[str, ...], relays: Mapping[str, int]) -> None:
        self.port = free_port()
        self._directory, self._config = directory, directory / "config"
        for name in ("config", "queue", "data", "log", "mail"):
            (directory / name).mkdir(parents=True)
        directory.chmod(0o755)
        domains = sorted({address.partition("@")[2] for address in mailboxes})
        main = _MAIN.format(
            directory=directory,
            user=_NOBODY,
            domains=" ".join(domains),
            relayed=" ".join(relays),
            transports=", ".join(f"{{{domain} = smtp:[127.0.0.1]:{port}}}" for domain, port in relays.items()),
            mailboxes=", ".join(f"{{{address} = {address}/}}" for address in mailboxes),
        )
        (self._config / "main.cf").write_text(main)
        (self._config / "master.cf").write_text(_MASTER.format(port=self.port))
        shutil.chown(directory / "data", "postfix")
        os.chown(directory / "mail", _NOBODY, _NOBODY)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 60.0) -> Postfix:
        """:raises AssertionError: it does not start; the message holds its log."""
        _run("postfix", "-c", str(self._config), "check")
        master = Path(_run("postconf", "-h", "-c", str(self._config), "daemon_directory").strip()) / "master"
        # In a session of its own: when it ends it ends its whole process group.
        self._process = subprocess.Popen(
            [str(master), "-c", str(self._config), "-d"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        end = time.monotonic() + timeout
        while "daemon started" not in self.log():
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"Postfix did not start:\n{self.log()}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)

    def log(self) -> str:
        path = self._directory / "log" / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def mails(self, address: str) -> list[bytes]:
        """What the mailbox holds, oldest first, line ends as in the network."""
        found = [path for name in ("new", "cur") for path in (self._directory / "mail" / address / name).glob("*")]
        found.sort(key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in found]

    def wait_for(self, address: str, count: int, timeout: float = 60.0) -> list[bytes]:
        """That many mails of one mailbox.

        :raises TimeoutError: fewer came; the message holds the end of the log.
        """
        wait_until(lambda: len(self.mails(address)) >= count, timeout, lambda: self.log()[-3000:])
        return self.mails(address)
