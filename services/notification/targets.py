"""Where messages go: the service's own log, or anything that Apprise can reach (e-mail, Slack and many more).

A target's address holds passwords and secret paths. It is in no log and no error: what Apprise and the HTTP library
log is kept from ours (they write addresses), and of what went wrong only our own sentences come out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Protocol

import structlog
from apprise import Apprise, AppriseAsset, AppriseResult, NotifyFormat, NotifyType
from pydantic import SecretStr

from services.notification.domain import ClaimedSend, Severity

log = structlog.get_logger()

LOG_SCHEME = "log://"
# What Apprise's plugins write about an answer that they did not like.
_STATUS = re.compile(r"error=(\d{3})\b")
_NOTIFY_TYPES = {Severity.INFO: NotifyType.SUCCESS, Severity.PROBLEM: NotifyType.FAILURE}


class TargetUnusable(ValueError):
    """A configured address is none that can be sent to; the sentence names the target, never the address."""


class NotSent(Exception):
    """The target did not take the message; the sentence says why, for people outside."""


class Target(Protocol):
    """Takes messages."""

    def send(self, claimed: ClaimedSend) -> None:
        """Returns when the target has taken the message. Raises NotSent."""


class LogTarget:
    """Writes each message as one line of the service's log."""

    def send(self, claimed: ClaimedSend) -> None:
        """Always works."""
        log.info(
            "message sent to log",
            workspace_id=str(claimed.workspace_id),
            message_id=str(claimed.message_id),
            severity=claimed.draft.severity.value,
            title=claimed.draft.title,
            body=claimed.draft.body,
        )


class AppriseTarget:
    """One Apprise address. For one thread at a time: Apprise spaces its calls as the receiving service wishes."""

    def __init__(self, name: str, address: SecretStr) -> None:
        self._name = name
        self._apprise = Apprise(
            # The address as a whole is one service, and we do the retries and the time limit. Nothing is kept on disk.
            asset=AppriseAsset(
                app_id="Reelroute",
                app_desc="Reelroute",
                app_url="",
                secure_logging=True,
                async_mode=False,
                service_timeout=0,
                storage_mode="memory",
                pgp_autogen=False,
                pem_autogen=False,
            )
        )
        if not self._apprise.add(address.get_secret_value()) or len(self._apprise) != 1:
            raise TargetUnusable(
                f"The address of the notification target {name!r} in REELROUTE_NOTIFY_TARGETS is not one that Apprise "
                "understands. See https://appriseit.com/services/ for how to write it, or use log://."
            )

    def send(self, claimed: ClaimedSend) -> None:
        """Raises NotSent. The message may have arrived even so: e-mail knows no undo."""
        result = self._apprise.notify(
            title=claimed.draft.title,
            body=claimed.draft.body,
            notify_type=_NOTIFY_TYPES[claimed.draft.severity],
            body_format=NotifyFormat.TEXT,
        )
        if not result:
            raise NotSent(_reason(result))


def _reason(result: AppriseResult) -> str:
    """Why it failed, in our words: those of Apprise name hosts, recipients and sometimes more."""
    texts = [entry.message for entry in result.logs()]
    for message in texts:
        if found := _STATUS.search(message):
            return f"The target answered with HTTP status {found.group(1)}."
    if any("connection error" in message.lower() for message in texts):
        return "The target could not be reached, or it refused the login or the message."
    return "The target did not take the message."


def build_targets(addresses: Mapping[str, SecretStr]) -> dict[str, Target]:
    """The configured targets by name. Raises TargetUnusable."""
    _keep_addresses_out_of_logs()
    return {
        name: LogTarget() if address.get_secret_value() == LOG_SCHEME else AppriseTarget(name, address)
        for name, address in addresses.items()
    }


def _keep_addresses_out_of_logs() -> None:
    # Apprise names hosts and recipients in its warnings; urllib3 writes whole addresses into some of its own.
    for name in ("apprise", "urllib3"):
        library = logging.getLogger(name)
        library.propagate = False
        if not library.handlers:
            library.addHandler(logging.NullHandler())
