"""What can be changed about the TikTok stand-in while it runs. Figures: TikTok's developer pages of late 2026."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sandbox.vendor import Outage

ALL_SCOPES = (
    "user.info.basic",
    "user.info.profile",
    "user.info.stats",
    "video.list",
    "video.publish",
    "video.upload",
)

# Calls per minute and user token ("API v2 rate limits").
CALLS_PER_MINUTE = {
    "creator_info": 20,
    "video_init": 6,
    "inbox_init": 6,
    "content_init": 6,
    "status_fetch": 30,
    "user_info": 600,
    "video_list": 600,
    "video_query": 600,
}

Seconds = Annotated[float, Field(ge=0, le=10 * 365 * 86_400)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


def _web_address(url: str) -> str:
    if not url.startswith(("https://", "http://")) or not urlsplit(url).hostname:
        raise ValueError("must begin with https:// or http:// and a host")
    return url


def _prefix(url: str) -> str:
    if not _web_address(url).endswith("/") or url.count("/") < 3:
        raise ValueError("must name scheme, host and path and end with /")
    return url


WebAddress = Annotated[str, Field(max_length=512), AfterValidator(_web_address)]
Prefix = Annotated[str, Field(max_length=512), AfterValidator(_prefix)]


class TikTokSettings(BaseModel):
    """Delays, limits and switches. All times in seconds of the sandbox's clock."""

    model_config = ConfigDict(extra="forbid")

    processing_seconds: Seconds = 1.0
    """From the last byte to the end of TikTok's checks of the file."""
    moderation_seconds: Seconds = 2.0
    """From there to the verdict (PUBLISH_COMPLETE or FAILED). Usually under a minute, can be hours."""
    public_seconds: Seconds = 0.0
    """From PUBLISH_COMPLETE of a public post until its post id is given out."""

    client_audited: bool = True
    """False: only private accounts may post, only with SELF_ONLY, five creators a day."""
    active_creators_per_day: Count = 0
    """Creators that may post through the app in 24 hours; 0: no cap."""
    posts_per_day: Count = 15
    """Direct posts of one creator in 24 hours."""
    pending_drafts: Count = 5
    """Drafts of one creator waiting in the inbox, counted over 24 hours."""
    calls_per_minute: dict[str, Count] = CALLS_PER_MINUTE
    """Per endpoint and user. Endpoints left out keep their documented limit."""

    access_token_seconds: Seconds = 86_400
    refresh_token_seconds: Seconds = 31_536_000
    code_seconds: Seconds = 600
    upload_url_seconds: Seconds = 3600
    rotate_refresh_tokens: bool = True
    """A refresh ends the old refresh token. Clients must cope with both."""
    refresh_prolongs: bool = False
    """A refresh begins the life of the refresh token anew. TikTok counts it "from the initial issuance"."""
    oauth_errors_as_200: bool = False
    """OAuth errors come with HTTP 200, as users of the platform have seen."""
    range_end_inclusive: bool = False
    """`Content-Range` of upload answers ends with the last byte's number instead of the count of bytes."""
    outage: Outage = "off"

    app_scopes: list[str] = list(ALL_SCOPES)
    """Scopes that the app was granted; asking for another ends in `invalid_scope`."""
    redirect_uris: list[WebAddress] = []
    """Registered addresses. `localhost` and `127.0.0.1` with a port are always allowed, as for desktop apps."""
    url_prefixes: list[Prefix] = []
    """Verified prefixes for PULL_FROM_URL. The sandbox really downloads from them; http is allowed here."""
    webhook_url: WebAddress | None = None
    """Callback of the app. Absent: events are not made."""

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        unknown = set(self.calls_per_minute) - set(CALLS_PER_MINUTE)
        if unknown:
            raise ValueError(
                f"calls_per_minute: unknown endpoint {sorted(unknown)[0]}; use {', '.join(CALLS_PER_MINUTE)}"
            )
        unknown = set(self.app_scopes) - set(ALL_SCOPES)
        if unknown:
            raise ValueError(f"app_scopes: unknown scope {sorted(unknown)[0]}; use {', '.join(ALL_SCOPES)}")
        return self
