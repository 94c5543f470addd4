"""What the shops sell and ship from when the sandbox starts: the demonstration brand, with the flaws of real shops.

SKUs without a seller SKU, one seller SKU on two SKUs, a bundle, words that are not ASCII, products in most statuses.
"""

from dataclasses import dataclass

from sandbox.tiktok_shop.people import US_SHOP_ID, Shop
from sandbox.tiktok_shop.state import stable_id


@dataclass(frozen=True, slots=True)
class SeedSku:
    """A SKU: variant, seller SKU, EAN, price, units in the first and the second warehouse, and what a bundle holds.

    The first warehouse is Amazon's: what the shop has there is what Amazon can send.
    """

    id: str
    variant: str
    seller_sku: str
    barcode: str
    price: str
    stock: tuple[int, int]
    bundle: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SeedProduct:
    """A product with its SKUs."""

    id: str
    title: str
    skus: tuple[SeedSku, ...]
    status: str = "ACTIVATE"
    dangerous: bool = False


MCF_WAREHOUSE, GARAGE_WAREHOUSE = "7301234567890123456", "7301234567890199999"

_US = (
    SeedProduct(
        "1729579864326162243",
        "Emberfold Matte Sleeves, Standard, 100 ct",
        (
            SeedSku("1729694201472179890", "Clear", "EF-SLV-STD-CLR", "9520000000011", "8.99", (761, 40)),
            SeedSku("1729644279939735481", "Black", "EF-SLV-STD-BLK", "9520000000028", "9.99", (1500, 0)),
            SeedSku("1729663339165082032", "Ember Red", "EF-SLV-STD-EMB", "9520000000035", "9.99", (213, 12)),
        ),
    ),
    SeedProduct(
        "1729562340852008633",
        "Emberfold Toploaders 3 x 4 in, 35 pt",
        (
            SeedSku("1729616363185475012", "25 ct", "EF-TPL-35-25", "9520000000110", "7.99", (1200, 0)),
            SeedSku("1729637100323846272", "100 ct", "EF-TPL-35-100", "9520000000127", "24.99", (300, 0)),
        ),
    ),
    SeedProduct(
        "1729597598506774321",
        "Emberfold Zip Binder, 9-Pocket, 360 cards",
        (
            SeedSku("1729696724397218470", "Black", "EF-BND-9P-BLK", "9520000000172", "34.99", (330, 0)),
            SeedSku("1729609862020094307", "Ember Red", "EF-BND-9P-EMB", "9520000000189", "34.99", (380, 0)),
        ),
    ),
    SeedProduct(
        "1729517744256656620",
        "Emberfold Deck Box 100+",
        (
            SeedSku("1729662786851694749", "Black", "EF-DBX-100-BLK", "9520000000257", "19.99", (287, 25)),
            SeedSku("1729675798458002870", "Ember Red", "EF-DBX-100-EMB", "9520000000264", "19.99", (260, 25)),
            SeedSku("1729618862329247723", "Teal", "EF-DBX-100-TEA", "9520000000271", "19.99", (579, 0)),
        ),
    ),
    SeedProduct(
        "1729507404552627121",
        "Emberfold Playmat, 24 x 14 in",
        (
            SeedSku("1729632521426600186", "River", "EF-MAT-STD-RVR", "9520000000370", "24.99", (383, 0)),
            SeedSku("1729649418267134490", "Cinder", "EF-MAT-STD-CIN", "9520000000394", "24.99", (669, 0)),
        ),
    ),
    SeedProduct(
        "1729558652170587422",
        "Emberfold 7-Die Set",
        (
            SeedSku("1729655835156653787", "Amber", "EF-DIC-7-AMB", "9520000000448", "11.99", (200, 0)),
            SeedSku("1729658285382601409", "Frost", "EF-DIC-7-FRO", "9520000000455", "11.99", (272, 0)),
        ),
    ),
    SeedProduct(
        "1729561787706358824",
        "Emberfold Folding Dice Tray",
        (
            SeedSku("1729648892250505069", "Black", "EF-TRY-FLD-BLK", "9520000000486", "15.99", (403, 0)),
            SeedSku("1729673210744936811", "Teal", "EF-TRY-FLD-TEA", "9520000000493", "15.99", (516, 0)),
        ),
    ),
    SeedProduct(
        "1729586759700801989",
        "Emberfold Walnut Dice Tower",
        (SeedSku("1729628886890700142", "Default", "EF-TWR-WAL", "9520000000509", "54.99", (3, 0)),),
    ),
    # A second listing of the tower: the same seller SKU again, and a variant without one.
    SeedProduct(
        stable_id("1729", "tower-edition"),
        "Emberfold Würfelturm „Nußbaum“ – Édition limitée 限定",
        (
            SeedSku(stable_id("1729", "tower-walnut"), "Nußbaum", "EF-TWR-WAL", "9520000000509", "59.99", (3, 0)),
            SeedSku(stable_id("1729", "tower-oak"), "Räuchereiche", "", "", "64.99", (7, 0)),
        ),
    ),
    SeedProduct(
        "1729567760938873662",
        "Emberfold Starter Bundle: deck box, 2 packs of sleeves, playmat",
        (
            SeedSku(
                "1729689738830966802",
                "Default",
                "EF-BDL-STARTER",
                "9520000000585",
                "49.99",
                (0, 0),
                (("1729662786851694749", 1), ("1729644279939735481", 2), ("1729649418267134490", 1)),
            ),
        ),
    ),
    SeedProduct(
        "1729535197050188703",
        "Emberfold Sleeve and Mat Cleaner, 100 ml spray",
        (SeedSku("1729694588449288622", "Default", "EF-CLN-100", "9520000000431", "9.49", (713, 0)),),
        dangerous=True,
    ),
    SeedProduct(
        "1729550038575967742",
        "Emberfold Sticker Sheet (gift with purchase)",
        (SeedSku("1729642372111948645", "Default", "EF-GFT-STK-1", "9520000000608", "1.99", (449, 0)),),
    ),
    SeedProduct(
        "1729597018115673520",
        "Emberfold Oversize Sleeves, 70 x 120 mm, 50 ct",
        (SeedSku("1729698543584526535", "Default", "EF-SLV-OVR-CLR", "9520000000097", "5.49", (608, 0)),),
        status="SELLER_DEACTIVATED",
    ),
    SeedProduct(
        "1729515290993441541",
        "Emberfold LED Card Display Frame",
        (SeedSku("1729653666562058646", "Default", "EF-STD-LED-1", "9520000000554", "32.99", (764, 0)),),
        status="PLATFORM_DEACTIVATED",
        dangerous=True,
    ),
    SeedProduct(
        "1729573024897935092",
        "Emberfold Walnut Deck Box 100+",
        (SeedSku("1729604678904081025", "Default", "EF-DBX-WOD-WAL", "9520000000318", "49.99", (0, 0)),),
        status="DRAFT",
    ),
)


def products(shop: Shop) -> tuple[SeedProduct, ...]:
    """What a shop lists at first. Shops abroad list the first products of the brand under ids of their own, and so do
    further shops in the US, by the same seller SKUs.
    """
    if shop.id == US_SHOP_ID:
        return _US
    key, suffix = (shop.id, "") if shop.region == "US" else (shop.region, f"-{shop.region}")
    return tuple(
        SeedProduct(
            stable_id("1729", f"{key}/{product.id}"),
            product.title,
            tuple(
                SeedSku(
                    stable_id("1729", f"{key}/{sku.id}"),
                    sku.variant,
                    f"{sku.seller_sku}{suffix}",
                    sku.barcode,
                    sku.price,
                    (sku.stock[0], 0),
                )
                for sku in product.skus
            ),
        )
        for product in _US[:6]
    )


BARCODES = {sku.id: sku.barcode for product in _US for sku in product.skus if sku.barcode}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where a shop ships from, or takes returns."""

    id: str
    name: str
    kind: str
    sub_type: str
    is_default: bool
    line: str
    city: str
    state: str
    postal_code: str
    region: str


def warehouses(shop: Shop) -> list[Warehouse]:
    """The warehouses of a shop: the US shop has two to sell from."""
    if shop.region == "US":
        return [
            Warehouse(
                *(MCF_WAREHOUSE, "Emberfold MCF", "SALES_WAREHOUSE", "DOMESTIC_WAREHOUSE", True),
                *("1 Fulfillment Way", "Reno", "Nevada", "89506", "US"),
            ),
            Warehouse(
                *(GARAGE_WAREHOUSE, "Emberfold garage", "SALES_WAREHOUSE", "DOMESTIC_WAREHOUSE", False),
                *("27 Ash Lane", "Burlington", "Vermont", "05401", "US"),
            ),
            Warehouse(
                *(stable_id("7301", "returns"), "Emberfold returns", "RETURN_WAREHOUSE", "DOMESTIC_WAREHOUSE", True),
                *("27 Ash Lane", "Burlington", "Vermont", "05401", "US"),
            ),
        ]
    places = {
        "GB": ("14 Kiln Street", "Leeds", "England", "LS1 4AP"),
        "SG": ("8 Loyang Drive", "Singapore", "", "508939"),
    }
    where = places[shop.region]
    return [
        Warehouse(
            *(
                stable_id("7301", f"{shop.region}/{kind}"),
                f"Emberfold {shop.region}",
                kind,
                "CB_OVERSEA_WAREHOUSE",
                True,
            ),
            *(*where, shop.region),
        )
        for kind in ("SALES_WAREHOUSE", "RETURN_WAREHOUSE")
    ]


def sales_warehouses(shop: Shop) -> list[str]:
    """Ids of the warehouses that a shop sells from."""
    return [one.id for one in warehouses(shop) if one.kind == "SALES_WAREHOUSE"]


# Delivery options: id → name, type. Carriers of the seller's own choice belong to SEND_BY_SELLER, the others are the
# platform's.
STANDARD, EXPRESS, PLATFORM = "7091146663229654785", "7091146663229671169", "7091146663229687553"
DELIVERY_OPTIONS = {
    STANDARD: ("Standard Shipping", "SEND_BY_SELLER"),
    EXPRESS: ("Express Shipping", "SEND_BY_SELLER"),
    PLATFORM: ("TikTok Standard", "STANDARD"),
}
_CARRIERS = {
    "US": ("Amazon", "USPS", "UPS", "FedEx"),
    "GB": ("Royal Mail", "DPD UK", "Evri"),
    "SG": ("SingPost", "Ninja Van SG", "J&T Express SG"),
}
AMAZON = "7117858858072016645"


def carriers(region: str) -> dict[str, str]:
    """Shipping providers of a market: id → name."""
    return {AMAZON if name == "Amazon" else stable_id("7117", name): name for name in _CARRIERS.get(region, ())}
