"""Where TikTok Shop is, who we are there, and how patient we are. Variables REELROUTE_TIKTOK_SHOP_*."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from kit.config import Settings
from kit.rate_limit import Rate
from kit.vendor_http import VendorHttpSettings
from vendors.tiktok_shop.operations import OPERATIONS

# Calls travel for different times: what we send in one second may arrive within a little less.
_SECOND = 1.25
_HOUR = 3_601.0


class TikTokShopConfig(Settings):
    """Every address, time-out (seconds) and limit of TikTok Shop's Open API. The defaults are the real platform's."""

    model_config = SettingsConfigDict(env_prefix="REELROUTE_TIKTOK_SHOP_", extra="ignore")

    # Where TikTok Shop's API is.
    base_url: str = "https://open-api.tiktokglobalshop.com"
    # Where tokens are given and refreshed.
    token_url: str = "https://auth.tiktok-shops.com"  # noqa: S105 - an address
    # Consent page of sellers outside of the United States.
    authorize_url: str = "https://services.tiktokshop.com/open/authorize"
    # Consent page of sellers in the United States.
    us_authorize_url: str = "https://services.us.tiktokshop.com/open/authorize"
    # Consent page of creators.
    creator_authorize_url: str = "https://shop.tiktok.com/alliance/creator/auth"
    # From the app's page in Partner Center. Without them shops cannot be connected or called.
    app_key: str = ""
    # Secret of the same app; webhooks are checked with it, too.
    app_secret: SecretStr = SecretStr("")
    # Of the same page, and not the app key: names the app in the sellers' consent link.
    service_id: str = ""

    connect_timeout_seconds: float = Field(default=5, gt=0)
    read_timeout_seconds: float = Field(default=20, gt=0)
    # No progress for so long ends an upload.
    write_timeout_seconds: float = Field(default=120, gt=0)
    # Whole call with its retries, unless the caller says otherwise.
    call_timeout_seconds: float = Field(default=30, gt=0)
    # One file of a creator's post: 100 MB take 800 s at 1 Mbit/s.
    upload_timeout_seconds: float = Field(default=900, gt=0)
    # Connections to TikTok Shop at once.
    max_connections: int = Field(default=64, ge=1)
    max_answer_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_tries: int = Field(default=3, ge=1, le=3)

    # Calls a second of one kind and shop: 50 by partner.tiktokshop.com/docv2/page/rate-limits. TikTok Shop may allow
    # fewer at times and says so; then calls of that kind rest.
    calls_per_second: int = Field(default=50, ge=1)
    # Seconds between two reports of one kind and shop. The same page advises to begin with one to five.
    analytics_interval_seconds: float = Field(default=2, gt=0)
    # All calls of one shop in an hour. Test shops have 1000; 0: none is kept.
    shop_calls_per_hour: int = Field(default=0, ge=0)
    # A call that would wait longer for one of these rates is refused at once, to be made later.
    rate_wait_seconds: float = Field(default=5, ge=0)

    # Pieces in which a file goes to the socket; with it the memory of an upload is bounded.
    upload_piece_bytes: int = Field(default=256 * 1024, ge=1024)

    @field_validator("base_url", "token_url", "authorize_url", "us_authorize_url", "creator_authorize_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")) or "?" in value or "#" in value:
            raise ValueError("must be an http or https address without query")
        return value

    def http_settings(self, base_url: str) -> VendorHttpSettings:
        """The same for the HTTP layer: for the API's address, or the token host's."""
        return VendorHttpSettings(
            vendor="tiktok_shop",
            base_url=base_url.rstrip("/"),
            connect_timeout=self.connect_timeout_seconds,
            read_timeout=self.read_timeout_seconds,
            write_timeout=self.write_timeout_seconds,
            max_connections=self.max_connections,
            max_answer_bytes=self.max_answer_bytes,
            max_tries=self.max_tries,
            # As the rate limits page advises: from one second on, doubled, at most a minute.
            retry_base=1.0,
            retry_cap=60.0,
            max_rate_wait=self.rate_wait_seconds,
            rates=self.rates(),
        )

    def rates(self) -> dict[str, Rate]:
        """The limits by name: one for each operation, and one of the shop where it is set."""
        report, other = Rate(1, self.analytics_interval_seconds), Rate(self.calls_per_second, _SECOND)
        rates = {name: report if each.is_analytics else other for name, each in OPERATIONS.items()}
        if self.shop_calls_per_hour:
            rates["shop_hour"] = Rate(self.shop_calls_per_hour, _HOUR)
        return rates
