"""Opens master keys that HashiCorp Vault, or OpenBao, has wrapped (its transit secrets engine).

Made there, so that the key is nowhere in the clear but in our processes:

    vault write -field=ciphertext -f transit/datakey/wrapped/KEY

gives a line of the key ring ("vault:v1:…"). Each process opens a line once, when it reads it; afterwards it needs the
KMS no more. Of the API this is used: POST /v1/MOUNT/decrypt/KEY {"ciphertext": …} with X-Vault-Token answers
{"data": {"plaintext": BASE64}}, and refusals {"errors": [TEXT]}.
https://developer.hashicorp.com/vault/api-docs/secret/transit#decrypt-data
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from urllib.parse import quote, urlsplit

from kit.crypto import KeyUnusable
from kit.vendor_errors import clean_text

_LARGEST_ANSWER_BYTES = 65_536


class TransitKms:
    """A kit.key_ring.Kms. `token_file` is read for each call: whoever keeps the token alive writes it anew."""

    def __init__(self, url: str, mount: str, key: str, token_file: Path, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise KeyUnusable("REELROUTE_KMS_URL must be an address like https://vault.example:8200.")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._path = f"{parts.path.rstrip('/')}/v1/{quote(mount.strip('/'))}/decrypt/{quote(key, safe='')}"
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._token_file, self._timeout_seconds = token_file, timeout_seconds

    def knows(self, wrapped: str) -> bool:
        """See kit.key_ring.Kms. No base64 has a colon."""
        return wrapped.startswith("vault:")

    def unwrap(self, wrapped: str) -> str:
        """See kit.key_ring.Kms."""
        try:
            token = self._token_file.read_text().strip()
        except OSError as error:
            raise KeyUnusable(f"REELROUTE_KMS_TOKEN_FILE cannot be read: {error.strerror}.") from None
        status, body = self._post(json.dumps({"ciphertext": wrapped}), token)
        try:
            answer = json.loads(body)
            if status == 200:
                return str(answer["data"]["plaintext"])
            text = "; ".join(str(each) for each in answer["errors"]) or "without a reason"
        except (ValueError, KeyError, TypeError):
            text = "its answer is none of a KMS"
        raise KeyUnusable(
            f"The KMS at {self._name} does not open it (HTTP {status}): {clean_text(text)}. Its token needs the right"
            " to update the path of REELROUTE_KMS_MOUNT, decrypt, and REELROUTE_KMS_KEY."
        )

    def _post(self, body: str, token: str) -> tuple[int, bytes]:
        # Not urllib: it would follow a redirect, and take the token along.
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_seconds)
        try:
            headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_LARGEST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # A ValueError is a token that cannot be a header; its text would hold it.
            reason = "its token file holds no token" if isinstance(error, ValueError) else type(error).__name__
            raise KeyUnusable(f"The KMS at {self._name} cannot be asked: {reason}.") from None
        finally:
            connection.close()
