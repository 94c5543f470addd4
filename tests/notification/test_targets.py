import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from services.notification.config import NotificationConfig
from services.notification.domain import ClaimedSend, Draft, Severity
from services.notification.targets import NotSent, Target, TargetUnusable, build_targets
from tests.notification.receivers import WORKSPACE, MailServer, WebServer

SECRET = "T0PSECRET"


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """What reaches our own log handler from anywhere, down to the finest level."""
    root, lines = logging.getLogger(), StringIO()
    handler, level = logging.StreamHandler(lines), root.level
    # The mail server of the tests logs as well; what it says is not ours.
    handler.addFilter(lambda record: not record.name.startswith("mail.log"))
    root.addHandler(handler)
    root.setLevel(1)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def target(address: str) -> Target:
    return build_targets({"team": SecretStr(address)})["team"]


def message(title: str = "Published", body: str = "Two < three.\nLink: https://www.tiktok.com/1") -> ClaimedSend:
    return ClaimedSend(uuid4(), WORKSPACE, "team", 1, Draft(Severity.PROBLEM, title, body))


def config() -> NotificationConfig:
    return NotificationConfig(database_url=SecretStr("postgresql://u:p@h/d"), service_token=SecretStr("x" * 32))


def free_address(web_server: WebServer) -> str:
    """An address where nobody listens any more."""
    web_server.__exit__()
    return f"json://user:{SECRET}@127.0.0.1:{web_server.port}/{SECRET}"


def test_a_message_reaches_a_web_address_whole(web_server: WebServer) -> None:
    target(f"json://127.0.0.1:{web_server.port}/hook").send(message())
    (body,) = web_server.bodies
    assert body["title"] == "Published"
    assert body["message"] == "Two < three.\nLink: https://www.tiktok.com/1"
    assert body["type"] == "failure"


def test_a_message_reaches_a_mailbox_whole(mail_server: MailServer) -> None:
    address = f"mailto://reelroute:{mail_server.password}@127.0.0.1:{mail_server.port}"
    target(f"{address}?mode=insecure&from=bot@example.com&to=team@example.com").send(message())
    (mail,) = mail_server.mails
    assert mail["Subject"] == "Published"
    assert "team@example.com" in mail["To"]
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().split() == ["Two", "<", "three.", "Link:", "https://www.tiktok.com/1"]


def test_the_log_target_writes_one_line_with_the_message() -> None:
    log = target("log://")
    with capture_logs() as lines:
        log.send(message())
    (line,) = lines
    assert (line["event"], line["title"], line["severity"]) == ("message sent to log", "Published", "PROBLEM")


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("json", "The target answered with HTTP status 503."),
        ("refused", "The target could not be reached, or it refused the login or the message."),
        ("mailto", "The target could not be reached, or it refused the login or the message."),
    ],
)
def test_a_failure_is_told_without_anything_of_the_address(
    scheme: str,
    reason: str,
    web_server: WebServer,
    mail_server: MailServer,
    capfd: pytest.CaptureFixture[str],
    logged: StringIO,
) -> None:
    web_server.answers = [503]
    address = {
        "json": f"json://user:{SECRET}@127.0.0.1:{web_server.port}/{SECRET}?+X-Key={SECRET}",
        "mailto": f"mailto://{SECRET}:{SECRET}@127.0.0.1:{mail_server.port}?mode=insecure&from=b@a.com&to={SECRET}@a.com",
    }.get(scheme) or free_address(web_server)
    with capture_logs() as lines, pytest.raises(NotSent) as caught:
        target(address).send(message())
    assert str(caught.value) == reason
    shown = "".join(capfd.readouterr()) + logged.getvalue() + repr(lines)
    assert SECRET not in shown
    assert "127.0.0.1" not in shown


@pytest.mark.parametrize(
    "address", [f"nonsense://{SECRET}", SECRET, "", f"mailto://{SECRET}", f"slack://{SECRET}/x", "log://file"]
)
def test_an_address_that_cannot_be_used_is_refused_by_its_name_alone(
    address: str, capfd: pytest.CaptureFixture[str], logged: StringIO
) -> None:
    with pytest.raises(TargetUnusable, match="'team'") as caught:
        target(address)
    assert SECRET not in "".join(capfd.readouterr()) + logged.getvalue() + str(caught.value)


def test_targets_come_from_a_secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reelroute_notify_targets").write_text(f'{{"team-mail": "mailto://u:{SECRET}@h"}}\n')
    monkeypatch.setenv("REELROUTE_SECRETS_DIR", str(tmp_path))
    read = config()
    assert read.notify_targets["team-mail"].get_secret_value() == f"mailto://u:{SECRET}@h"
    assert SECRET not in repr(read)


@pytest.mark.parametrize("value", ["{}", f'{{"Team Mail": "mailto://{SECRET}"}}', f'{{"a": ["{SECRET}"]}}'])
def test_targets_that_make_no_sense_are_refused_without_being_shown(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELROUTE_NOTIFY_TARGETS", value)
    with pytest.raises(ValidationError) as caught:
        config()
    assert "notify_targets" in str(caught.value)
    assert SECRET not in str(caught.value)
