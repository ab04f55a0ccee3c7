"""Secrets that must be read back, sealed with AES-256-GCM under a key derived from the deployment secret.

A sealed value is ``version (1 octet) | key id (8) | nonce (12) | ciphertext and tag``. The id of the row it belongs
to is its associated data, so that a value copied to another row does not open. The key id tells which deployment
secret sealed it: while a secret is being replaced the previous ones are listed as old, and everything stays readable.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from e2a.core.ids import RandomBytes

_VERSION = b"\x01"
_ID = slice(1, 9)
_NONCE = slice(9, 21)
_TEXT = slice(21, None)
_MINIMUM = 21 + 16


class SealingError(Exception):
    """A sealed value cannot be read; the text is for the operator and names no secret."""


class UnknownKey(SealingError):
    """It was sealed under a deployment secret that is neither the current one nor listed as old."""


class Damaged(SealingError):
    """It was changed, cut, or belongs to another row."""


class Sealer:
    """Seals under the current deployment secret, opens under that and the old ones.

    :param secret: the deployment secret.
    :param old: earlier deployment secrets that may still have sealed something.
    """

    def __init__(self, secret: str, random: RandomBytes, old: Sequence[str] = ()) -> None:
        self._secrets = (secret, *old)
        self._random = random
        self._current = _derive(secret, "seal key id", 8)
        self._keys = {_derive(each, "seal key id", 8): AESGCM(_derive(each, "seal key", 32)) for each in (secret, *old)}

    def seal(self, row_id: str, text: str) -> bytes:
        """:param row_id: the id of the row that will hold the value; needed again to open it."""
        nonce = self._random(12)
        sealed = self._keys[self._current].encrypt(nonce, text.encode(), _associated(row_id))
        return _VERSION + self._current + nonce + sealed

    def open(self, row_id: str, sealed: bytes) -> str:
        """The text that was sealed for this row.

        :raises UnknownKey: the deployment secret that sealed it is missing.
        :raises Damaged: it is not what was sealed for this row.
        """
        sealed = bytes(sealed)
        if len(sealed) < _MINIMUM or sealed[:1] != _VERSION:
            raise Damaged(f"the sealed value of {row_id} has an unknown form")
        key = self._keys.get(sealed[_ID])
        if key is None:
            raise UnknownKey(f"{row_id} was sealed under a deployment secret that is not configured")
        try:
            return key.decrypt(sealed[_NONCE], sealed[_TEXT], _associated(row_id)).decode()
        except InvalidTag as error:
            raise Damaged(f"the sealed value of {row_id} was changed or belongs to another row") from error

    @property
    def current_id(self) -> bytes:
        """The 8 octets by which values sealed under the current deployment secret are told from others."""
        return self._current

    @property
    def known_ids(self) -> tuple[bytes, ...]:
        """The ids of every deployment secret that opens, the current one first."""
        return tuple(self._keys)

    def derive(self, purpose: str) -> bytes:
        """A 32-octet key for one purpose; no key says anything about another or about the deployment secret (RFC
        5869).
        """
        return _derive(self._secrets[0], f"purpose {purpose}", 32)

    def derive_all(self, purpose: str) -> tuple[bytes, ...]:
        """The keys for one purpose of the current deployment secret and of the old ones: the first makes, all verify.

        Whatever outlives a change of the deployment secret, as links and return paths in mail do, needs them all.
        """
        return tuple(_derive(secret, f"purpose {purpose}", 32) for secret in self._secrets)


def _associated(row_id: str) -> bytes:
    return b"e2a sealed " + row_id.encode()


def _derive(secret: str, label: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=b"e2a " + label.encode()).derive(secret.encode())
