"""Secrets at rest: envelope encryption with AES-256-GCM.

A master key wraps one data key per workspace; the data key seals values. The associated data says where a value
belongs, so that a sealed value moved to another row or workspace does not open.

Layout of sealed bytes: one version byte (1), a 12-byte random nonce, then ciphertext and tag.
"""

from __future__ import annotations

import base64
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_NONCE_BYTES = 12
KEY_BYTES = 32


class SealBroken(RuntimeError):
    """A sealed value does not open: wrong key, wrong place, or changed bytes."""


class KeyUnusable(ValueError):
    """The text of a key is no key. The message says how to make one, and does not repeat it."""


def seal(key: bytes, value: bytes, place: str) -> bytes:
    """Encrypts a value for one place ("workspace|account|access_token")."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, value, place.encode())


def unseal(key: bytes, sealed: bytes, place: str) -> bytes:
    """The value again. Raises SealBroken when it was not sealed with this key for this place."""
    if sealed[:1] != _VERSION:
        raise SealBroken("The value was sealed in a way that this version does not know.")
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if len(nonce) < _NONCE_BYTES:
        raise SealBroken("The value is cut short.")
    try:
        return AESGCM(key).decrypt(nonce, body, place.encode())
    except InvalidTag:
        raise SealBroken(
            "The value does not open with this key at this place. Is the master key the right one?"
        ) from None


def fingerprint(key: bytes, value: bytes, place: str) -> bytes:
    """A keyed hash of a value at a place: always the same, and without the key it says nothing of the value."""
    own_key = hmac.digest(key, b"fingerprint", "sha256")
    return hmac.digest(own_key, place.encode() + b"\0" + value, "sha256")


def new_key() -> bytes:
    """A random key for `seal`."""
    return AESGCM.generate_key(bit_length=KEY_BYTES * 8)


def parse_key(text: str) -> bytes:
    """A key from its base64 text. Raises KeyUnusable that says how to make one."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyUnusable(
            "A master key must be 32 random bytes in base64. Make one: "
            "python3 -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'"
        )
    return key
