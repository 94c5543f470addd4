"""Where Bulletin is, and how patient we are. Variables REELROUTE_BULLETIN_*."""

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from kit.config import Settings
from kit.vendor_http import VendorHttpSettings


class BulletinConfig(Settings):
    """Every address, time-out (seconds) and limit of Bulletin. Without `base_url` there is no Bulletin."""

    model_config = SettingsConfigDict(env_prefix="REELROUTE_BULLETIN_", extra="ignore")

    # The sandbox's address. Empty: the installation has no Bulletin.
    base_url: str = ""
    # Bulletin's consent page. Empty: the one below base_url.
    authorize_url: str = ""

    connect_timeout_seconds: float = Field(default=5, gt=0)
    read_timeout_seconds: float = Field(default=10, gt=0)
    # Whole call with its retries, unless the caller says otherwise.
    call_timeout_seconds: float = Field(default=10, gt=0)
    max_connections: int = Field(default=128, ge=1)
    max_answer_bytes: int = Field(default=5 * 1024 * 1024, ge=1024)
    max_tries: int = Field(default=3, ge=1, le=3)

    # What a call has brought about is in the list so long after the call was given up, by Bulletin's word: what is not
    # there then never will be.
    listed_within_seconds: float = Field(default=15, ge=0)
    # Pages of 100 posts that a search reads at most.
    search_pages: int = Field(default=50, ge=1)

    @field_validator("base_url", "authorize_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and (not value.startswith(("https://", "http://")) or "?" in value or "#" in value):
            raise ValueError("must be an http or https address without query")
        return value.rstrip("/")

    def http_settings(self) -> VendorHttpSettings:
        """The same for the HTTP layer."""
        return VendorHttpSettings(
            vendor="bulletin",
            base_url=self.base_url,
            connect_timeout=self.connect_timeout_seconds,
            read_timeout=self.read_timeout_seconds,
            max_connections=self.max_connections,
            max_answer_bytes=self.max_answer_bytes,
            max_tries=self.max_tries,
        )
