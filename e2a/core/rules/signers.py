"""Which of an organisation's signing secrets count, and which of them signs where only one signature fits.

A secret made by itself signs at once. A rotation makes one that waits: until the overlap ends the earlier secret keeps
signing, so that receivers which know only that one go on, and then it retires. Meanwhile whatever can carry several
signatures carries one of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from e2a.core.entities import SigningSecret

#: How many an organisation may have.
MOST_SECRETS = 5
#: Seconds for which the earlier secrets still count after a rotation: unless told otherwise, and at most.
OVERLAP = 86_400
LONGEST_OVERLAP = 30 * 86_400


def live(secrets: Sequence[SigningSecret], moment: datetime) -> list[SigningSecret]:
    """Those that have not retired, in the given order."""
    return [secret for secret in secrets if secret.retires_at is None or moment < secret.retires_at]


def waiting(secret: SigningSecret, moment: datetime) -> bool:
    """Whether a rotation introduced it and its time to sign has not come."""
    return secret.signs_from is not None and moment < secret.signs_from


def signing_order(secrets: Sequence[SigningSecret], moment: datetime, attempt: int = 1) -> list[SigningSecret]:
    """The live ones, first the one that signs where one signature fits.

    In a rotation the second attempt, and every other one after it, is signed by the secret that waits: a receiver that
    holds the new secret alone and reads one signature alone refuses the first attempt and takes the second, which
    comes seconds later.

    :param secrets: newest first.
    :param attempt: 1 for the first time that something is delivered.
    """
    counting = live(secrets, moment)
    ready = [secret for secret in counting if not waiting(secret, moment)]
    turns = [*ready[:1], *(secret for secret in counting if waiting(secret, moment))]
    if not turns:
        return []
    first = turns[(attempt - 1) % len(turns)]
    return [first, *(secret for secret in counting if secret is not first)]
