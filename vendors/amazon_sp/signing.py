"""AWS Signature Version 4, made by botocore. Amazon has ignored it since October 2023; some proxies want it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_SERVICE = "execute-api"


@dataclass(frozen=True)
class Keys:
    """An AWS access key; ``session_token`` goes with temporary ones."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def signed_headers(
    method: str, url: str, headers: Mapping[str, str], content: bytes, *, keys: Keys, region: str
) -> dict[str, str]:
    """The given headers, each of which is signed, and those of the signature: X-Amz-Date and Authorization.

    For the moment of the call. ``url`` and ``content`` are what leaves, byte by byte. Raises ImportError without
    botocore.
    """
    # Needed by nobody who has not asked for it.
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(method=method, url=url, headers=dict(headers), data=content)
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    SigV4Auth(credentials, _SERVICE, region).add_auth(request)
    return dict(request.headers.items())
