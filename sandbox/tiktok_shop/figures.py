"""The figures behind analytics: a function of a seed, a thing and a day, so that each is the same whenever it is read.

Days are the shop's own. SKUs add up to products and products to the shop. A video has most of its views in its first
days. The newest complete day is yesterday.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sandbox.tiktok_shop import products
from sandbox.tiktok_shop.people import Shop
from sandbox.tiktok_shop.state import ShopState, stable_id

_CENT = Decimal("0.01")
USD_RATES = {"USD": Decimal(1), "GBP": Decimal("1.27"), "SGD": Decimal("0.74")}
# How sales are spread over LIVE, VIDEO and PRODUCT_CARD.
SHARES = {"LIVE": Decimal("0.15"), "VIDEO": Decimal("0.50"), "PRODUCT_CARD": Decimal("0.35")}
_LIVE_WEEKDAY = 4


@dataclass(frozen=True, slots=True)
class Sales:
    """What was sold in some days, and what was seen and clicked."""

    units: int = 0
    orders: int = 0
    gmv: Decimal = Decimal("0.00")
    impressions: int = 0
    clicks: int = 0

    def __add__(self, other: "Sales") -> "Sales":
        return Sales(
            self.units + other.units,
            self.orders + other.orders,
            self.gmv + other.gmv,
            self.impressions + other.impressions,
            self.clicks + other.clicks,
        )


@dataclass(frozen=True, slots=True)
class Video:
    """A video with product links: when it was posted, and its counts where TikTok knows them."""

    id: str
    title: str
    username: str
    time: float
    product_ids: tuple[str, ...]
    affiliate: bool
    views: int = 0
    likes: int = 0
    comments: int = 0
    shares: int = 0


def today(state: ShopState, shop: Shop) -> date:
    """The day that it is in the shop's time zone."""
    return datetime.fromtimestamp(state.clock.now(), UTC).astimezone(ZoneInfo(shop.timezone)).date()


def latest(state: ShopState, shop: Shop) -> date:
    """The newest day with figures."""
    return today(state, shop) - timedelta(days=1)


def days(start: date, end: date) -> list[date]:
    """The days from `start` to before `end`."""
    return [start + timedelta(days=number) for number in range((end - start).days)]


def of_sku(state: ShopState, sku_id: str, price: str, over: Iterable[date]) -> Sales:
    """Sales of a SKU."""
    total = Sales()
    for day in over:
        dice = _dice(state, sku_id, day)
        units = int(dice**3 * (14 if day.weekday() >= 5 else 9))
        impressions = 40 + int(dice * 400)
        clicks = int(impressions * (0.02 + _dice(state, f"{sku_id}/clicks", day) * 0.08))
        total += Sales(units, units - units // 5, units * Decimal(price), impressions, max(clicks, units))
    return total


def of_product(state: ShopState, product_id: str, over: list[date]) -> Sales:
    """Sales of a product: those of its SKUs."""
    skus = products.skus(state, product_id)
    return sum((of_sku(state, row["id"], row["price"], over) for row in skus), Sales())


def of_shop(state: ShopState, shop: Shop, over: list[date]) -> Sales:
    """Sales of a shop: those of its SKUs."""
    rows = state.store.all("SELECT id, price FROM shop_sku WHERE shop_id = ?", shop.id)
    return sum((of_sku(state, row["id"], row["price"], over) for row in rows), Sales())


def of_video(state: ShopState, shop: Shop, video: Video, over: Iterable[date]) -> Sales:
    """Sales by a video; `impressions` are its views."""
    posted = datetime.fromtimestamp(video.time, UTC).astimezone(ZoneInfo(shop.timezone)).date()
    price = _price(state, video)
    total = Sales()
    for day in over:
        age = (day - posted).days
        if age < 0:
            continue
        peak = 1500 + _dice(state, video.id) * 60_000
        views = int(peak * 0.62**age * (0.7 + 0.6 * _dice(state, video.id, day))) + int(
            30 * _dice(state, day, video.id)
        )
        clicks = int(views * (0.01 + 0.06 * _dice(state, f"{video.id}/clicks", day)))
        orders = int(clicks * 0.06)
        units = orders + orders // 8
        total += Sales(units, orders, units * price, views, clicks)
    return total


def counts(state: ShopState, shop: Shop, video: Video) -> dict[str, int]:
    """Lifetime counts of a video up to this moment: TikTok's where it has some, else grown from the seed."""
    now = datetime.fromtimestamp(state.clock.now(), UTC).astimezone(ZoneInfo(shop.timezone))
    posted = datetime.fromtimestamp(video.time, UTC).astimezone(ZoneInfo(shop.timezone)).date()
    whole = of_video(state, shop, video, days(posted, now.date())).impressions
    day = of_video(state, shop, video, [now.date()]).impressions
    views = video.views or whole + int(day * (now.hour * 60 + now.minute) / 1440)
    return {
        "total_views": views,
        "total_likes": video.likes or views // 14,
        "total_comments": video.comments or views // 300,
        "total_shares": video.shares or views // 180,
    }


def videos(state: ShopState, shop: Shop, account_type: str = "ALL") -> list[Video]:
    """The videos that link products of a shop: TikTok's public ones of the brand, and those of creators."""
    found = []
    if shop.region == "US":
        listed = [
            row["id"]
            for row in state.store.all("SELECT id FROM shop_product WHERE shop_id = ? AND status = 'ACTIVATE'", shop.id)
        ]
        found = [
            Video(
                *(one.id, one.title, one.username, one.time, (_pick(listed, one.id),), False),
                *(one.views, one.likes, one.comments, one.shares),
            )
            for one in state.public_videos()
            if listed
        ]
    rows = state.store.all("SELECT * FROM shop_post WHERE status = 'SUCCESS' AND kind = 'video' ORDER BY post_time")
    for row in rows:
        links = tuple(json.loads(row["products"]))
        if any(_lists(state, shop, link) for link in links):
            brand = row["username"].startswith("emberfold.")
            found.append(Video(row["id"], row["title"], row["username"], row["post_time"], links, not brand))
    wanted = {"ALL": (True, False), "AFFILIATES": (True,), "LINKED_ACCOUNTS": (False,)}[account_type]
    return [video for video in found if video.affiliate in wanted]


def lives(state: ShopState, shop: Shop, over: list[date]) -> list[tuple[str, date, Sales]]:
    """The shop's LIVEs, one each Friday evening: id, day, figures."""
    found = []
    for day in over:
        if day.weekday() == _LIVE_WEEKDAY:
            live_id = stable_id("7410", f"{shop.id}/{day}")
            sales = of_shop(state, shop, [day])
            found.append((live_id, day, replace(sales, gmv=share(sales.gmv, "LIVE"), units=sales.units // 6)))
    return found


def share(amount: Decimal, kind: str) -> Decimal:
    """The part of an amount that came by LIVE, VIDEO or PRODUCT_CARD; the parts add up to the amount."""
    if kind == "PRODUCT_CARD":
        return amount - share(amount, "LIVE") - share(amount, "VIDEO")
    return (amount * SHARES[kind]).quantize(_CENT)


def money(shop: Shop, amount: Decimal, currency: str) -> dict[str, str]:
    """An amount in the shop's currency (LOCAL) or in US dollars (USD)."""
    if currency == "USD":
        return {"amount": str((amount * USD_RATES[shop.currency]).quantize(_CENT)), "currency": "USD"}
    return {"amount": str(amount.quantize(_CENT)), "currency": shop.currency}


def rate(part: int, whole: int) -> str:
    """A ratio as raw decimal text: 0.0528 is 5.28 %."""
    return f"{part / whole:.4f}" if whole else "0.0000"


def _price(state: ShopState, video: Video) -> Decimal:
    skus = products.skus(state, video.product_ids[0])
    return Decimal(skus[0]["price"]) if skus else Decimal(0)


def _lists(state: ShopState, shop: Shop, product_id: str) -> bool:
    row = products.product(state, product_id)
    return row is not None and row["shop_id"] == shop.id


def _pick(choices: list[str], key: str) -> str:
    return choices[int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % len(choices)]


def _dice(state: ShopState, *of: object) -> float:
    text = "/".join([state.settings.figures_seed, *map(str, of)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
