"""A real OpenID provider on this machine, in a thread of the test's process."""

from __future__ import annotations

import logging
from typing import Any


class OidcProvider:
    """Knows some people; whoever authorizes as one of them at its form is them.

    :param people: subject to claims.
    :ivar issuer: its URL. The host name differs from the daemons', so that browsers see two sites.
    """

    def __init__(self, people: dict[str, dict[str, Any]]) -> None:
        from oidc_provider_mock import User, run_server_in_thread

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        users = [User(sub=subject, claims=claims) for subject, claims in people.items()]
        self._running = run_server_in_thread(user_claims=users, require_nonce=True)
        server = self._running.__enter__()
        self.issuer = f"http://localhost:{server.server_port}"

    def stop(self) -> None:
        self._running.__exit__(None, None, None)

    @property
    def settings(self) -> dict[str, str | None]:
        """The environment of a daemon that signs people in here."""
        return {
            "E2A_OIDC_ISSUER": self.issuer,
            "E2A_OIDC_CLIENT_ID": "e2a-test",
            "E2A_OIDC_CLIENT_SECRET": "e2a-secret",
            "E2A_OIDC_NAME": "Test ID",
        }
