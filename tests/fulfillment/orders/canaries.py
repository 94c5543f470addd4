"""What of the samples' buyers must be nowhere: names, streets, phones, messages. And a shop that tells the samples."""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.fulfillment.fake_shop import FakeShop
from tests.fulfillment.orders.samples_of import sample_orders

_PERSONAL = ("name", "first_name", "last_name", "full_address", "address_detail", "postal_code")
_LINES = tuple(f"address_line{number}" for number in range(1, 5))
_SHORTEST = 5


@cache
def canaries() -> frozenset[str]:
    """Every personal text of the samples that is long enough not to be met by chance; phones as their digits, too."""
    found: set[str] = set()
    for each in sample_orders().values():
        told = each.raw["recipient_address"]
        found |= {told[name].strip() for name in (*_PERSONAL[:-1], *_LINES)}
        found |= {told["phone_number"], re.sub(r"\D", "", told["phone_number"])[-10:], each.buyer_user_id}
        found |= {each.buyer_email, each.buyer_message}
    return frozenset(word for word in found if len(word) > _SHORTEST and "*" not in word)


def canaries_in(*texts: str) -> list[str]:
    """Those that are in one of the texts, written plainly or as in JSON."""
    return sorted(
        word
        for word in canaries()
        for text in texts
        if word in text or json.dumps(word)[1:-1] in text or word.title() in text
    )


@dataclass
class SampleShop(FakeShop):
    """Tells the sample orders. `spoilt`: the page has one that lacks its id, with all of its buyer in it."""

    spoilt: bool = False
    listed: list[dict[str, Any]] = field(default_factory=lambda: [dict(each.raw) for each in sample_orders().values()])

    def other(self, method: str, path: str, query: dict[str, str], body: bytes) -> dict[str, Any]:
        if (method, path) == ("POST", "/order/202309/orders/search"):
            first, size = int(query.get("page_token") or 0), int(query["page_size"])
            page = [each | ({"id": ""} if self.spoilt else {}) for each in self.listed[first : first + size]]
            token = str(first + size) if first + size < len(self.listed) else ""
            return {"code": 0, "data": {"orders": page, "next_page_token": token, "total_count": len(self.listed)}}
        if method == "GET" and path in ("/order/202507/orders", "/order/202309/orders"):
            wanted = query["ids"].split(",")
            return {"code": 0, "data": {"orders": [each for each in self.listed if each["id"] in wanted]}}
        return super().other(method, path, query, body)

    def _tokens(self) -> dict[str, Any]:
        more = ["seller.order.info", "seller.fulfillment.basic", "seller.logistics", "seller.product.write"]
        return super()._tokens() | {"granted_scopes": [*super()._tokens()["granted_scopes"], *more]}
