"""compose.yaml against the code that it starts: a misspelt variable would be ignored without a word."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from deploy import make_secrets
from deploy.images.contents import IMAGES, ROOT
from kit.config import ServiceSettings
from sandbox.config import SandboxConfig
from services.content.config import ContentConfig
from services.fulfillment.config import FulfillmentConfig
from services.gateway.config import GatewayConfig
from services.identity.config import IdentityConfig
from services.notification.config import NotificationConfig
from services.publisher.config import PublisherConfig
from services.scheduler.config import SchedulerConfig
from vendors.amazon_sp.config import AmazonSpConfig
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok_shop.config import TikTokShopConfig

SETTINGS: dict[str, tuple[type[BaseSettings], ...]] = {
    "identity": (IdentityConfig,),
    "content": (ContentConfig,),
    "scheduler": (SchedulerConfig,),
    "publisher": (PublisherConfig, TikTokConfig, TikTokShopConfig),
    "notification": (NotificationConfig,),
    "fulfillment": (FulfillmentConfig, TikTokShopConfig, AmazonSpConfig),
    "gateway": (GatewayConfig,),
    "sandbox": (SandboxConfig,),
}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
CONTAINERS: dict[str, Any] = COMPOSE["services"]
OURS = sorted(set(CONTAINERS) - {"postgres"})


def service_of(container: str) -> str:
    return container.removeprefix("migrate-")


def variables(settings: tuple[type[BaseSettings], ...]) -> set[str]:
    return {
        f"{each.model_config['env_prefix']}{field}".upper()
        for each in settings
        for name, info in each.model_fields.items()
        for field in (name, *(f"{name}__{inner}" for inner in getattr(info.annotation, "model_fields", ())))
    }


def with_defaults(value: str) -> str:
    """What compose makes of `${NAME:-default}` and `${NAME-default}` where nothing is set."""
    while "${" in value:
        value = re.sub(r"\$\{\w+:?-([^${}]*)\}", r"\1", value)
    return value


def mounted_secrets(container: str) -> dict[str, str]:
    """File names in /run/secrets, and the secrets in them."""
    given = CONTAINERS[container].get("secrets", [])
    return {
        each if isinstance(each, str) else each["target"]: each if isinstance(each, str) else each["source"]
        for each in given
    }


@pytest.mark.parametrize("container", OURS)
def test_every_variable_and_secret_is_one_that_its_service_reads(container: str) -> None:
    known = variables(SETTINGS[service_of(container)])
    # All services know all addresses, also of those that they do not call.
    known |= {f"REELROUTE_{name.upper()}_ADDRESS" for name in IMAGES}
    # What stands behind two underscores is within a setting; that it can be read is seen below.
    assert {name.partition("__")[0] for name in CONTAINERS[container].get("environment", {})} <= known
    assert {name.upper() for name in mounted_secrets(container)} <= known


@pytest.mark.parametrize("container", OURS)
def test_a_service_starts_with_what_it_is_given(
    container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, run_secrets = tmp_path / "made", tmp_path / "run"
    make_secrets.make(made)
    run_secrets.mkdir()
    for target, source in mounted_secrets(container).items():
        (run_secrets / target).write_text((made / Path(COMPOSE["secrets"][source]["file"]).name).read_text())
    monkeypatch.setenv("REELROUTE_SECRETS_DIR", str(run_secrets))
    for name, value in CONTAINERS[container].get("environment", {}).items():
        monkeypatch.setenv(name, with_defaults(value))
    # The sandbox names its folder of secrets in its class.
    monkeypatch.setitem(SandboxConfig.model_config, "secrets_dir", run_secrets)
    for settings in SETTINGS[service_of(container)]:
        loaded = settings()
        if isinstance(loaded, ServiceSettings):
            assert f"//reelroute_{service_of(container)}:" in loaded.database_url.get_secret_value()
            # A superuser's address is in the hands of migrations alone.
            assert (loaded.admin_database_url is not None) == container.startswith("migrate-")
        if isinstance(loaded, SandboxConfig):
            assert loaded.control_token is not None
        if isinstance(loaded, NotificationConfig):
            assert loaded.notify_targets["log"].get_secret_value() == "log://"


def test_every_service_runs_its_own_image_and_each_database_is_migrated_first() -> None:
    for container in OURS:
        service = service_of(container)
        assert CONTAINERS[container]["image"].startswith(f"reelroute-{service}:")
        assert CONTAINERS[container]["build"]["args"] == {"SERVICE": service}
    assert {service_of(each) for each in OURS} == set(IMAGES)
    for migration in (each for each in OURS if each.startswith("migrate-")):
        condition = CONTAINERS[service_of(migration)]["depends_on"][migration]["condition"]
        assert condition == "service_completed_successfully"


def test_no_container_has_more_rights_than_it_needs() -> None:
    for name, container in CONTAINERS.items():
        assert container["read_only"] is True, name
        assert container["cap_drop"] == ["ALL"], name
        assert "cap_add" not in container, name
        assert container["security_opt"] == ["no-new-privileges:true"], name
        assert not container.get("privileged"), name


def test_only_the_gateway_and_the_sandbox_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: container["ports"] for name, container in CONTAINERS.items() if "ports" in container}
    assert set(published) == {"gateway", "sandbox"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert CONTAINERS["postgres"]["networks"] == ["inside"]


def test_no_secret_is_in_a_variable_or_an_argument() -> None:
    for container in CONTAINERS.values():
        given = [*container.get("environment", {}), *container.get("command", [])]
        secret = r"TOKEN(?!_URL)|PASSWORD$|SECRET(?!_FILE)|MASTER_KEY|DATABASE_URL"
        assert not [each for each in given if re.search(secret, each)]
