"""What can be changed about the TikTok Shop stand-in while it runs. Figures: its pages of late 2026."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sandbox.vendor import Outage

SELLER_SCOPES = (
    "seller.authorization.info",
    "seller.order.info",
    "seller.fulfillment.basic",
    "seller.fulfillment.package.write",
    "seller.logistics",
    "seller.return_refund.basic",
    "seller.product.basic",
    "seller.product.write",
    "data.shop_analytics.public.read",
)
CREATOR_SCOPES = ("creator.video.write", "creator.showcase.read")

Seconds = Annotated[float, Field(ge=0, le=10 * 365 * 86_400)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


def _web_address(url: str) -> str:
    if not url.startswith(("https://", "http://")) or not urlsplit(url).hostname:
        raise ValueError("must begin with https:// or http:// and a host")
    return url


WebAddress = Annotated[str, Field(max_length=512), AfterValidator(_web_address)]


class TikTokShopSettings(BaseModel):
    """Delays, limits and switches. All times in seconds of the sandbox's clock."""

    model_config = ConfigDict(extra="forbid")

    redirect_url: WebAddress | None = None
    """Where consent answers go. It is registered with the app, not sent along; without it no consent is possible."""
    app_scopes: list[str] = [*SELLER_SCOPES, *CREATOR_SCOPES]
    """Scopes of the app. One that is added later works after the seller or creator has consented again."""
    access_token_seconds: Seconds = 7 * 86_400
    """Life of a new access token."""
    refresh_token_seconds: Seconds = 365 * 86_400
    """Life of an authorisation and its refresh tokens; a notice comes 30 days before it ends."""
    code_seconds: Seconds = 1800
    """Life of an authorisation code."""
    rotate_refresh_tokens: bool = True
    """A refresh ends the old refresh token."""
    refresh_prolongs: bool = False
    """A refresh begins the life of the refresh token anew."""

    calls_per_second: Count = 50
    """Per API, app and shop (or creator); beyond it 36009002 with `Retry-After`. 0: no limit."""
    calls_per_second_by_endpoint: dict[str, Count] = {}
    """The same for single endpoints, as `{"order_search": 1}`."""
    calls_per_hour: Count = 0
    """Of all calls of the app: test shops have 1000; beyond it 36009037. 0: no limit."""
    retired_versions: list[str] = []
    """Versions that are switched off, as `["order_search/202309"]`: they answer 36009014."""
    errors_as_200: bool = False
    """Every refusal comes with HTTP 200."""
    outage: Outage = "off"

    hold_seconds: Seconds = 3600
    """ON_HOLD after payment: the hour in which a buyer may change their mind."""
    collect_seconds: Seconds = 6 * 3600
    """From shipping to the carrier's first scan."""
    transit_seconds: Seconds = 3 * 86_400
    """From there to delivery."""
    complete_seconds: Seconds = 14 * 86_400
    """From delivery to COMPLETED."""
    cancel_answer_seconds: Seconds = 2 * 86_400
    """In this time a seller answers a buyer's cancellation; then it counts as approved."""
    return_answer_seconds: Seconds = 2 * 86_400
    """In this time a seller answers a return; then it counts as approved."""
    refund_seconds: Seconds = 3600
    """From an approved cancellation or return to the refund."""
    edit_seconds: Seconds = 72 * 3600
    """In this time shipping information may be corrected, once."""
    orders_per_tracking_number: Count = 20
    """So many orders may share a tracking number."""

    zero_stock: bool = True
    """Stock may be set to 0. The documented range begins at 1, yet empty warehouses must be named, too."""
    audit_seconds: Seconds = 5.0
    """From the activation of a product to the end of its audit."""
    post_seconds: Seconds = 5.0
    """From a creator's post to its outcome."""
    precheck_seconds: Seconds = 5.0
    """From the start of a precheck to its result."""
    posts_per_day: Count = 3
    """Shoppable posts of one creator in 24 hours."""
    prechecks_per_day: Count = 20
    """Prechecks of one creator in 24 hours."""
    post_interval_seconds: Seconds = 0.0
    """Least time between two posts of a creator; sooner is 170001020."""
    figures_seed: str = "emberfold"
    """What analytics are made from: the same seed gives the same figures."""

    webhook_url: WebAddress | None = None
    """Address of the app for every event, as set in Partner Center. A shop's own addresses go first."""
    local_webhooks: bool = True
    """Shops may register `http://localhost` and `http://127.0.0.1` with a port, which TikTok Shop would refuse."""

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        unknown = set(self.app_scopes) - {*SELLER_SCOPES, *CREATOR_SCOPES}
        if unknown:
            known = ", ".join((*SELLER_SCOPES, *CREATOR_SCOPES))
            raise ValueError(f"app_scopes: unknown scope {sorted(unknown)[0]}; use {known}")
        return self
