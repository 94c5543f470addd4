"""Bulletin's errors as those of kit.vendor_errors. Its codes follow the HTTP status, so the status decides.

A 4xx says that nothing was done. A 5xx says nothing: it may be a proxy that gave up waiting.
"""

from collections.abc import Mapping

from kit.vendor_call import Inspection, VendorAnswer, error_by_status
from kit.vendor_errors import VendorRejected


class PostGone(VendorRejected):
    """Bulletin's own word that there is no post with this id: it was removed, or never there."""


def inspect(answer: VendorAnswer) -> Inspection:
    """Judge an answer: 2xx is success, everything else is told by its status."""
    if answer.status < 300:
        return Inspection()
    code, message = _words(answer)
    if answer.status == 404 and code == "not_found":
        return Inspection(PostGone("Bulletin does not show this.", code=code, status=404, vendor_message=message))
    return Inspection(error_by_status(answer, code=code, vendor_message=message))


def _words(answer: VendorAnswer) -> tuple[str, str]:
    """Code and message; empty when the answer is not of Bulletin's form, such as a proxy's page."""
    try:
        body = answer.json()
    except ValueError:
        return "", ""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return "", ""
    code, message = error.get("code"), error.get("message")
    return code if isinstance(code, str) else "", message if isinstance(message, str) else ""
