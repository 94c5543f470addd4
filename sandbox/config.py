"""Configuration of the sandbox: environment variables with the prefix `REELROUTE_SANDBOX_`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from sandbox.amazon_sp.settings import AmazonSpSettings
from sandbox.bulletin.settings import BulletinSettings
from sandbox.tiktok.settings import TikTokSettings
from sandbox.tiktok_shop.settings import TikTokShopSettings

_SECRETS_DIR = Path("/run/secrets")


class SandboxConfig(BaseSettings):
    """Where the sandbox listens, what it remembers, and how the platforms behave at first.

    Every field has a working default. The nested settings of the platforms are set with two underscores, for example
    `REELROUTE_SANDBOX_TIKTOK__MODERATION_SECONDS=30`; the control API overrides them at run time.
    """

    model_config = SettingsConfigDict(
        env_prefix="REELROUTE_SANDBOX_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        # pydantic-settings warns about a folder that does not exist.
        secrets_dir=_SECRETS_DIR if _SECRETS_DIR.is_dir() else None,
        extra="ignore",
    )

    host: str = "127.0.0.1"
    """Address to listen on. The control API has no lock by default, so leave it local or set `control_token`."""

    port: int = Field(default=8090, ge=0, le=65535)
    """TCP port; 0 takes a free one."""

    state_file: Path | None = None
    """SQLite file that keeps tokens, posts, faults and clock over a restart. Absent: kept in memory."""

    public_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    """Scheme and host that clients reach the sandbox by, for upload addresses. Absent: the host of each request."""

    control_token: SecretStr | None = None
    """When set, the control API and page ask for it: as bearer token, or as the password of HTTP Basic."""

    tiktok_client_key: str = "sandbox-client-key"
    """The one TikTok app that the sandbox knows."""

    tiktok_client_secret: SecretStr = SecretStr("sandbox-client-secret")
    """Secret of that app: checked at the token endpoint, and the key of webhook signatures."""

    tiktok_shop_app_key: str = "sandbox-app-key"
    """The one TikTok Shop app that the sandbox knows."""

    tiktok_shop_app_secret: SecretStr = SecretStr("sandbox-app-secret")
    """Secret of that app: checked at the token calls, and the key of both kinds of signatures."""

    tiktok_shop_service_id: str = "sandbox-service-id"
    """What the consent link names instead of the app key."""

    tiktok: TikTokSettings = TikTokSettings()
    """Delays, limits and switches of the TikTok stand-in at first start and after a reset."""

    tiktok_shop: TikTokShopSettings = TikTokShopSettings()
    """Delays, limits and switches of the TikTok Shop stand-in at first start and after a reset."""

    amazon_sp_client_id: str = "amzn1.application-oa2-client.sandbox"
    """The one app of Login with Amazon that the sandbox knows."""

    amazon_sp_client_secret: SecretStr = SecretStr("amzn1.oa2-cs.v1.sandbox")
    """Secret of that app, until the control API rotates it."""

    amazon_sp: AmazonSpSettings = AmazonSpSettings()
    """Delays, limits and switches of the Selling Partner API's stand-in at first start and after a reset."""

    bulletin: BulletinSettings = BulletinSettings()
    """Delays, limits and switches of Bulletin at first start and after a reset."""
