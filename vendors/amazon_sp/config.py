"""Where Amazon's Selling Partner API is, who we are there, and how patient we are. Variables REELROUTE_AMAZON_SP_*."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from kit.config import Settings
from kit.rate_limit import Refill
from kit.vendor_http import VendorHttpSettings
from vendors.amazon_sp.marketplaces import Region
from vendors.amazon_sp.operations import OPERATIONS
from vendors.amazon_sp.signing import Keys

# Calls travel for different times. A place of Amazon's bucket is left free for one that overtakes those before it; the
# rate is not less for that.
_KEPT_FREE = 1


class AmazonSpConfig(Settings):
    """Every address, time-out (seconds) and limit of the Selling Partner API. The defaults are the real platform's."""

    model_config = SettingsConfigDict(env_prefix="REELROUTE_AMAZON_SP_", extra="ignore")

    # Where tokens are given and refreshed: Login with Amazon.
    lwa_url: str = "https://api.amazon.com"
    # North America's endpoint; Amazon's sandbox is https://sandbox.sellingpartnerapi-na.amazon.com.
    na_url: str = "https://sellingpartnerapi-na.amazon.com"
    # Europe's, with the Middle East, Africa and India; the sandbox has the same prefix.
    eu_url: str = "https://sellingpartnerapi-eu.amazon.com"
    # The Far East's; the sandbox has the same prefix.
    fe_url: str = "https://sellingpartnerapi-fe.amazon.com"
    # From the app's page in the Solution Provider Portal. Without it and its secret no merchant can be
    # connected or called.
    client_id: str = ""
    # Secret of the same app. Amazon wants a new one every 180 days.
    client_secret: SecretStr = SecretStr("")
    # A file with the secret, read at every refresh: a new secret needs no restart. It wins over the variable.
    client_secret_file: Path | None = None
    # How the app presents itself, "name/version"; Amazon wants it in every call.
    application: str = "Reelroute/1.0"

    connect_timeout_seconds: float = Field(default=5, gt=0)
    read_timeout_seconds: float = Field(default=25, gt=0)
    # Whole call with its retries, unless the caller says otherwise.
    call_timeout_seconds: float = Field(default=30, gt=0)
    # Connections to one endpoint at once.
    max_connections: int = Field(default=32, ge=1)
    max_answer_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    max_tries: int = Field(default=3, ge=1, le=3)

    # Rates in the place of the documented ones and of what Amazon says later: calls a second, and how many at once:
    # {"createFulfillmentOrder": [1, 10]}, where another program calls for the same seller through the same app.
    rates: dict[str, tuple[float, int]] = Field(default_factory=dict)
    # A call that would wait longer for its rate is refused at once, to be made later.
    rate_wait_seconds: float = Field(default=20, ge=0)
    # The longest pause of a kind of call after Amazon has refused several in a row for their number.
    longest_pause_seconds: float = Field(default=60, gt=0)

    # Signs calls by AWS Signature Version 4 as well, for proxies and emulators that want it; Amazon ignores it.
    sign_requests: bool = False
    # Of an AWS user; needed for signing alone.
    aws_access_key_id: str = ""
    # Goes with the access key id.
    aws_secret_access_key: SecretStr = SecretStr("")
    # Only with temporary keys.
    aws_session_token: SecretStr = SecretStr("")

    @field_validator("lwa_url", "na_url", "eu_url", "fe_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")) or "?" in value or "#" in value:
            raise ValueError("must be an http or https address without query")
        return value.rstrip("/")

    @field_validator("rates")
    @classmethod
    def _are_rates(cls, value: dict[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
        for name, (per_second, at_once) in value.items():
            if name not in OPERATIONS:
                raise ValueError(f"no such operation; there are {', '.join(OPERATIONS)}")
            Refill(at_once, per_second)
        return value

    @model_validator(mode="after")
    def _can_sign(self) -> Self:
        if self.sign_requests and not (self.aws_access_key_id and self.aws_secret_access_key.get_secret_value()):
            raise ValueError("sign_requests needs aws_access_key_id and aws_secret_access_key")
        return self

    @property
    def signing_keys(self) -> Keys | None:
        """What calls are signed with; None: they are not."""
        if not self.sign_requests:
            return None
        return Keys(
            self.aws_access_key_id,
            self.aws_secret_access_key.get_secret_value(),
            self.aws_session_token.get_secret_value(),
        )

    def url_of(self, region: Region) -> str:
        """The endpoint of a region."""
        return {Region.NA: self.na_url, Region.EU: self.eu_url, Region.FE: self.fe_url}[region]

    @property
    def is_configured(self) -> bool:
        """Whether there is an app."""
        return bool(self.client_id and (self.client_secret_file or self.client_secret.get_secret_value()))

    def current_secret(self) -> str:
        """The app's secret as it is now. Raises OSError when its file cannot be read."""
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text().strip()
        return self.client_secret.get_secret_value()

    def limits(self) -> dict[str, Refill]:
        """The rates by operation."""
        limits = {}
        for name, operation in OPERATIONS.items():
            per_second, burst = self.rates.get(name, (operation.per_second, operation.burst))
            limits[name] = Refill(max(1, burst - _KEPT_FREE), per_second)
        return limits

    def http_settings(self, base_url: str) -> VendorHttpSettings:
        """The same for the HTTP layer: for the endpoint of a region, or Login with Amazon."""
        return VendorHttpSettings(
            vendor="amazon_sp",
            base_url=base_url,
            connect_timeout=self.connect_timeout_seconds,
            read_timeout=self.read_timeout_seconds,
            max_connections=self.max_connections,
            max_answer_bytes=self.max_answer_bytes,
            max_tries=self.max_tries,
            retry_base=0.5,
            max_rate_wait=self.rate_wait_seconds,
            rates=self.limits(),
        )
