"""A replica of what keeps stock, beside one of what works on orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.fulfillment.stock.pushing import Pushing
from services.fulfillment.stock.reading import StockReading
from services.fulfillment.stock.spreading import Spreading
from tests.fulfillment.orders.life import MCF, SELLER, SLEEVES, SLEEVES_SKU, OrderStage


@dataclass
class Keeping:
    """What reads, spreads and pushes, and what of it is to be seen."""

    life: OrderStage
    reading: StockReading
    spreading: Spreading
    pushing: Pushing

    @classmethod
    def of(cls, life: OrderStage) -> Keeping:
        return cls(
            life,
            StockReading(life.database, life.merchants.calls, every_seconds=300, whole_seconds=86_400, delay_seconds=0),
            Spreading(life.database, shop_seconds=600, delay_seconds=0),
            Pushing(life.database, life.shops.calls, life.intake.sync),
        )

    def read(self) -> None:
        """Reads Amazon's stock."""
        self.life.rows("UPDATE merchants SET stock_due_time = now()")
        assert self.reading.run_once()

    def spread(self, *, whole: bool = False) -> None:
        """Makes what is wanted."""
        if whole:
            self.life.rows("UPDATE shop_routings SET stock_due_time = now()")
        while self.spreading.run_once():
            pass

    def push(self, most: int = 100) -> None:
        """Tells all that is due."""
        for _ in range(most):
            if not self.pushing.run_once():
                return
        raise AssertionError("there is always more to tell")

    def keep(self, *, whole: bool = False) -> None:
        self.spread(whole=whole)
        self.push()

    def begin(self) -> None:
        """The shop's products are known, Amazon's stock is, and TikTok Shop is told of both."""
        self.life.shops.catalogue.sync(self.life.shop, everything=True)
        self.read()
        self.keep(whole=True)

    def put(self, sku: str, units: int) -> None:
        """Amazon has so many, and says so at once."""
        self.life.amazon.control("PUT", f"/amazon_sp/stock/{SELLER}/{sku}", fulfillable=units)
        self.read()

    def row(self, sku_id: str = SLEEVES) -> dict[str, Any]:
        (row,) = self.life.rows("SELECT * FROM stock_pushes WHERE platform_sku_id = :sku", sku=sku_id)
        return row

    def there(self, sku_id: str = SLEEVES) -> dict[str, dict[str, int]]:
        """What TikTok Shop has: available and committed by warehouse."""
        for product in self.life.tiktok_shop.control("GET", "/tiktok_shop/products"):
            for sku in product["skus"]:
                if sku["id"] == sku_id:
                    return {
                        one["warehouse_id"]: {"available": one["available"], "committed": one["committed"]}
                        for one in sku["stock"]
                    }
        raise KeyError(sku_id)

    def offered(self, sku_id: str = SLEEVES) -> int:
        return self.there(sku_id)[MCF]["available"]

    def set_there(self, units: int, sku_id: str = SLEEVES, warehouse_id: str = MCF) -> None:
        self.life.tiktok_shop.control(
            "PUT", f"/tiktok_shop/skus/{sku_id}/stock", warehouse_id=warehouse_id, available=units
        )

    def available(self, sku: str = SLEEVES_SKU) -> int:
        (row,) = self.life.rows(
            "SELECT fulfillable - reserved - in_flight AS n FROM stock WHERE amazon_sku = :sku", sku=sku
        )
        return int(row["n"])
