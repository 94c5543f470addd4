import json
import subprocess
import sys

import pytest

from kit import log

SECRET = "T0PSECRET"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "service_token",
        "client_secret",
        "password",
        "Authorization",
        "api_key",
        "key_text",
        "upload_url",
        "set-cookie",
        "credentials",
        "database_url",
    ],
)
def test_a_value_under_the_name_of_a_secret_is_hidden_however_deep(name: str) -> None:
    event = {"event": "x", name: SECRET, "headers": {name: SECRET, "accept": "json"}, "calls": [{"a": {name: SECRET}}]}
    assert SECRET not in str(log.redact(None, "info", event))


def test_the_password_of_an_address_is_hidden_and_the_rest_is_kept() -> None:
    event = log.redact(None, "info", {"event": f"no answer of postgresql://me:{SECRET}@db:5432/x and http://db/y"})
    assert event["event"] == "no answer of postgresql://me:[redacted]@db:5432/x and http://db/y"


def test_what_is_no_secret_stays() -> None:
    event = {
        "event": "x",
        "token_type": "bearer",
        "code": 7,
        "fields": ["a", "b"],
        "authorization_id": "1",
        "none": None,
    }
    assert log.redact(None, "info", dict(event)) == event


def test_our_lines_and_those_of_libraries_are_json_with_the_service_the_call_and_no_secret() -> None:
    program = f"""
import logging, structlog
from kit import log
log.configure("scheduler", "info")
structlog.contextvars.bind_contextvars(request_id="r-1", workspace_id="w-1")
structlog.get_logger().info("ours", access_token="{SECRET}")
structlog.get_logger().debug("too quiet")
logging.getLogger("library").info("chatter")
try:
    raise RuntimeError("postgresql://me:{SECRET}@db/x")
except RuntimeError:
    logging.getLogger("library").exception("theirs")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert SECRET not in ran.stdout + ran.stderr
    ours, theirs = (json.loads(line) for line in ran.stdout.splitlines())
    assert (ours["event"], theirs["event"]) == ("ours", "theirs")
    assert (ours["level"], theirs["level"]) == ("info", "error")
    assert "RuntimeError" in theirs["exception"]
    for line in (ours, theirs):
        assert (line["service"], line["request_id"], line["workspace_id"]) == ("scheduler", "r-1", "w-1")
        assert line["timestamp"].endswith("Z")


def test_a_level_that_does_not_exist_is_refused_by_its_setting() -> None:
    with pytest.raises(log.LevelUnknown, match="REELROUTE_LOG_LEVEL is 'loud'"):
        log.configure("scheduler", "loud")
