import pytest
from pydantic import ValidationError

from kit.config import ServiceSettings


@pytest.mark.parametrize("token", ["too-short", "long-enough-for-a-service-token-but-no-database"])
def test_a_refused_setting_is_named_and_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("REELROUTE_SERVICE_TOKEN", token)
    with pytest.raises(ValidationError) as caught:
        ServiceSettings()
    assert "database_url" in str(caught.value)
    assert token[:6] not in str(caught.value)
