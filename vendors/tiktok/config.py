"""Where TikTok is, who we are there, and how patient we are. Variables REELROUTE_TIKTOK_*."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from kit.config import Settings
from kit.rate_limit import Rate
from kit.vendor_http import VendorHttpSettings


class TikTokConfig(Settings):
    """Every address, time-out (seconds) and limit of TikTok's API. The defaults are the real platform's."""

    model_config = SettingsConfigDict(env_prefix="REELROUTE_TIKTOK_", extra="ignore")

    base_url: str = "https://open.tiktokapis.com"
    authorize_url: str = "https://www.tiktok.com/v2/auth/authorize/"
    # From the app's page in TikTok's developer portal. Without them accounts cannot be connected or refreshed.
    client_key: str = ""
    client_secret: SecretStr = SecretStr("")
    # What is asked of an account's owner, as TikTok writes it. The app must have each of them (developers.tiktok.com/
    # doc/scopes-overview): video.publish to post, video.upload for drafts, video.list for numbers of posts,
    # user.info.stats for those of the account.
    scopes: str = "user.info.basic,video.publish,video.upload,video.list"

    # How TikTok gets a video: FILE_UPLOAD sends it; PULL_FROM_URL lets TikTok fetch it, and needs the prefix below.
    video_source: Literal["FILE_UPLOAD", "PULL_FROM_URL"] = "FILE_UPLOAD"
    # Where TikTok reaches this installation's gateway, verified as a domain or prefix on the app's page:
    # https://media.example.com/. Photos can only be fetched; without it photo posts are refused.
    media_url_prefix: str = ""
    # How long an address of a file is good. TikTok fetches for up to an hour.
    media_url_seconds: float = Field(default=7200, ge=3600)

    connect_timeout_seconds: float = Field(default=5, gt=0)
    read_timeout_seconds: float = Field(default=20, gt=0)
    # No progress for so long ends an upload.
    write_timeout_seconds: float = Field(default=120, gt=0)
    # Whole call with its retries, unless the caller says otherwise.
    call_timeout_seconds: float = Field(default=30, gt=0)
    # One chunk: 64 MB take 512 s at 1 Mbit/s.
    chunk_timeout_seconds: float = Field(default=600, gt=0)
    # Connections to TikTok at once: as many as deliveries are worked on, or these wait for each other.
    max_connections: int = Field(default=500, ge=1)
    max_answer_bytes: int = Field(default=5 * 1024 * 1024, ge=1024)
    max_tries: int = Field(default=3, ge=1, le=3)

    # Calls a minute and user token, as documented at developers.tiktok.com/doc/tiktok-api-v2-rate-limit.
    creator_info_per_minute: int = Field(default=20, ge=1)
    video_init_per_minute: int = Field(default=6, ge=1)  # of videos, drafts and photos, each
    status_fetch_per_minute: int = Field(default=30, ge=1)
    display_per_minute: int = Field(default=600, ge=1)  # user/info, video/list and video/query, each
    # Calls a minute of the whole app, whoever they are for. TikTok documents no such limit; 0: none is kept.
    application_per_minute: int = Field(default=0, ge=0)
    # Posts of one creator in any 24 hours, over all applications: "typically 15" by developers.tiktok.com/doc/
    # content-sharing-guidelines. Kept before TikTok is asked; 0: TikTok alone decides.
    posts_per_day: int = Field(default=15, ge=0)
    # Drafts that wait in one creator's inbox, of any 24 hours (developers.tiktok.com/doc/content-posting-api-reference-
    # upload-video). Kept before TikTok is asked, as if none were posted meanwhile; 0: TikTok alone decides.
    pending_drafts_per_day: int = Field(default=5, ge=0)
    # Creators that may post through the app in any 24 hours: set by TikTok's audit of the app, 5 before it (same page).
    # 0: TikTok alone decides.
    active_creators_per_day: int = Field(default=0, ge=0)
    # A call that would wait longer for one of these rates is refused at once, and its delivery put off.
    rate_wait_seconds: float = Field(default=5, ge=0)

    # Pieces in which a chunk goes to the socket; with it the memory of an upload is bounded.
    upload_piece_bytes: int = Field(default=256 * 1024, ge=1024)

    @field_validator("base_url", "authorize_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")) or "?" in value or "#" in value:
            raise ValueError("must be an http or https address without query")
        return value

    @field_validator("media_url_prefix")
    @classmethod
    def _is_reached(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            if info.data.get("video_source") == "PULL_FROM_URL":
                raise ValueError("is needed when REELROUTE_TIKTOK_VIDEO_SOURCE is PULL_FROM_URL")
            return value
        parts = urlsplit(value)
        of_tiktok = (urlsplit(info.data.get("base_url", "")).hostname or "").endswith(".tiktokapis.com")
        if parts.scheme not in (("https",) if of_tiktok else ("https", "http")) or not parts.hostname:
            raise ValueError("must be an https address: TikTok fetches from no other")
        if parts.query or parts.fragment or not parts.path.endswith("/"):
            raise ValueError("must end with / and have no query")
        return value

    def http_settings(self) -> VendorHttpSettings:
        """The same for the HTTP layer."""
        return VendorHttpSettings(
            vendor="tiktok",
            base_url=self.base_url.rstrip("/"),
            connect_timeout=self.connect_timeout_seconds,
            read_timeout=self.read_timeout_seconds,
            write_timeout=self.write_timeout_seconds,
            max_connections=self.max_connections,
            max_answer_bytes=self.max_answer_bytes,
            max_tries=self.max_tries,
            max_rate_wait=self.rate_wait_seconds,
            rates=self.rates(),
        )

    def rates(self) -> dict[str, Rate]:
        """The limits by name."""
        rates = {
            "creator_info": Rate(self.creator_info_per_minute),
            "video_init": Rate(self.video_init_per_minute),
            "inbox_init": Rate(self.video_init_per_minute),
            "content_init": Rate(self.video_init_per_minute),
            "status_fetch": Rate(self.status_fetch_per_minute),
            "user_info": Rate(self.display_per_minute),
            "video_list": Rate(self.display_per_minute),
            "video_query": Rate(self.display_per_minute),
        }
        if self.application_per_minute:
            rates["application"] = Rate(self.application_per_minute)
        return rates
