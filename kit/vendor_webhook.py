"""What every vendor's webhook has in common: who is refused, and a comparison that tells nothing by its time."""

import hashlib
import hmac

from kit.errors import InvalidArgument, Unauthenticated


class WebhookForged(Unauthenticated):
    """A webhook whose signature is missing, broken or wrong: it does not come from the vendor."""


class WebhookStale(Unauthenticated):
    """A webhook that was signed too long ago, or ahead of our clock: one that was recorded and sent again is such."""


class WebhookReplayed(Unauthenticated):
    """A webhook that was taken before, time and signature included: whoever sends it again has recorded it."""


class WebhookTooLarge(InvalidArgument):
    """A webhook with a larger body than the vendor ever sends; nothing of it was looked at."""


class WebhookUnreadable(InvalidArgument):
    """A webhook that the vendor signed and that is not of the form it documents."""


def check_size(body: bytes, max_bytes: int) -> None:
    """Raises WebhookTooLarge for a body of more than so many bytes. To be asked before anything else."""
    if len(body) > max_bytes:
        raise WebhookTooLarge(f"The webhook has {len(body)} bytes; at most {max_bytes} are read.")


def check_signature(signature: str, *, secret: str, message: bytes) -> None:
    """Compare a signature with the lower-case hexadecimal HMAC-SHA256 of the message, in constant time.

    Raises WebhookForged; also without a secret, since anybody can sign with none.
    """
    if not secret:
        raise WebhookForged("No secret is configured to check webhooks with; set the app's secret.")
    expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise WebhookForged("The webhook's signature does not fit its body; check that the app's secret is current.")
