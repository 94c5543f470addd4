"""TikTok Shop's error codes: what each means and asks of us. Data; vendors.tiktok_shop.errors applies it.

Sources: partner.tiktokshop.com/docv2/page/common-errors and the pages of the calls that answer them (mark-package-as-
shipped, ship-package, update-shipping-info, cancel-order, search-products, update-inventory, get-shop-performance,
post-shoppable-video-202607, …). Those of the token host were seen by others and are not documented.
"""

from kit.vendor_codes import Kind, Rule

_HOUR = 3600.0  # seconds

_BUG = "Report it with the request id: the request was built wrongly."
_LATER = "Try again later."
_READ = "Read the state first; it counts as done where it is what we wanted."
_OPERATOR = "An operator must check the app in Partner Center."
_CONNECT = "Ask the owner to connect the shop or creator account again."
_SHOPS = "Read the authorised shops again; if that changes nothing, connect again."
_OWNER = "Show the reason to the shop's owner; the same call will be refused again."
_PRODUCT = "Read the product again and correct the request."
_VERSION = "Another version of the same call is tried where there is one; else Reelroute must be updated."


def _rules(codes: str, kind: Kind, message: str, advice: str, wait_seconds: float | None = None) -> dict[str, Rule]:
    """One rule for several codes, separated by blanks."""
    return dict.fromkeys(codes.split(), Rule(kind, message, advice, wait_seconds))


# Any call may be answered with these. 36009004 has several meanings: see OVERLOADED_MESSAGES.
COMMON_CODES = {
    **_rules(
        "36009002",
        Kind.RATE_LIMITED,
        "Too many calls in a short time.",
        "It is tried again more slowly.",
        wait_seconds=1,
    ),
    **_rules(
        "36009037", Kind.RATE_LIMITED, "The test shop's calls of this hour are used up.", _LATER, wait_seconds=_HOUR
    ),
    **_rules("36009003", Kind.TRANSIENT, "TikTok Shop has a fault of its own.", _LATER),
    **_rules("36009007", Kind.TRANSIENT, "TikTok Shop took too long.", _LATER),
    **_rules("36009009", Kind.REJECTED, "TikTok Shop does not know this path.", _VERSION),
    **_rules("36009010", Kind.REJECTED, "This path does not take this method.", _VERSION),
    **_rules("36009014", Kind.REJECTED, "TikTok Shop no longer takes this version.", _VERSION),
    **_rules("36009021", Kind.REJECTED, "The file is too large.", "Send a smaller file."),
    **_rules("36009022 36009023", Kind.REJECTED, "The content type is wrong.", _BUG),
    **_rules(
        "36009033",
        Kind.REJECTED,
        "Our address is not on the app's list of allowed addresses.",
        "An operator must add this server's address to the app in Partner Center.",
    ),
    **_rules("36009043", Kind.REJECTED, "The shop is inactive.", "Ask the owner to open the shop again."),
    **_rules("36009044", Kind.REJECTED, "The seller is inactive.", "Ask the owner to open the seller account again."),
    **_rules(
        "101000",
        Kind.REJECTED,
        "Token and shop cipher do not belong together, or the token is of another kind of user.",
        _SHOPS,
    ),
    **_rules("105001", Kind.RECONNECT, "The access token is not valid, or the owner took it back.", _CONNECT),
    **_rules("105002", Kind.REFRESH, "The access token has expired.", "Refresh it once; if that fails, connect again."),
    **_rules(
        "105005",
        Kind.REJECTED,
        "The app or the token lacks a scope.",
        "Enable the scope in Partner Center, publish the app's change, then let the owner connect again.",
    ),
    **_rules(
        "106001",
        Kind.REJECTED,
        "The signature is wrong.",
        "Check the app's secret; if it is right, report it with the request id.",
    ),
    **_rules("106013", Kind.REJECTED, "The shop cipher is missing.", _BUG),
    **_rules("66009315", Kind.REJECTED, "The shop has no permission for this data.", _OWNER),
}

# `code` of the token host. "Seen", not documented.
TOKEN_CODES = {
    **_rules(
        "36004004", Kind.RECONNECT, "The code is used up, expired or wrong.", "Go through the consent page again."
    ),
    **_rules("36004001", Kind.RECONNECT, "The refresh token has expired.", _CONNECT),
    **_rules("36004005", Kind.RECONNECT, "The owner has taken the authorisation back.", _CONNECT),
}

# What 36009004 means, by the first of these patterns (of any case) that is in its message.
OVERLOADED_CODE = "36009004"
OVERLOADED_MESSAGES = (
    (r"\bversion\b", Rule(Kind.REJECTED, "TikTok Shop no longer takes this version.", _VERSION)),
    (r"\bsign(ature)?\b", Rule(Kind.REJECTED, "The signature is missing.", _BUG)),
    (
        r"timestamp",
        Rule(
            Kind.TRANSIENT,
            "This server's clock differs from TikTok Shop's.",
            "Set the clock: up to five minutes behind and thirty seconds ahead are taken.",
        ),
    ),
    (
        r"access.?token|\btoken\b|credentials",
        Rule(Kind.REFRESH, "The access token is not valid.", "Refresh it once; if that fails, connect again."),
    ),
    (r"app.?key", Rule(Kind.REJECTED, "TikTok Shop does not know the app's key.", _OPERATOR)),
    (r"unexpected identifier|shop.?cipher", Rule(Kind.REJECTED, "The shop cipher is wrong for this call.", _SHOPS)),
    (r"shop.?id", Rule(Kind.REJECTED, "The shop's id is not valid.", _SHOPS)),
    (r"", Rule(Kind.REJECTED, "A field of the request is missing or wrong.", _BUG)),
)

ORDER_CODES = {
    **_rules("10002014 10002015", Kind.REJECTED, "TikTok Shop refuses a parameter of the order call.", _BUG),
    **_rules("10037002 10037003 10037004", Kind.TRANSIENT, "The order service is busy.", _LATER),
    **_rules("10006402", Kind.REJECTED, "The order belongs to another shop.", _SHOPS),
}

PACKAGE_CODES = {
    **_rules("21008111 21011028 21011029", Kind.REJECTED, "The order or package belongs to another shop.", _SHOPS),
    **_rules(
        "21011022 11028006 21004015 21004012 21004016",
        Kind.REJECTED,
        "Tracking number or shipping provider is not valid, or they do not belong together.",
        "Correct the number (letters and digits only) or the provider.",
    ),
    **_rules(
        "21011025 21034012 21011026",
        Kind.REJECTED,
        "The tracking number is used already, or for too many orders.",
        "Compare it with the package; if it is not ours, use another number.",
    ),
    **_rules(
        "21011006 21011020 21011040 21008099 11006021 21011027",
        Kind.VERIFY,
        "It is shipped or delivered already.",
        _READ,
    ),
    **_rules(
        "21011041 21011042",
        Kind.REJECTED,
        "The order or package is cancelled.",
        "Do not ship it; stop the shipment if it is on its way.",
    ),
    **_rules(
        "21011007 21008044", Kind.REJECTED, "The buyer has an open request for this order.", "Answer the request first."
    ),
    **_rules("21008025", Kind.REJECTED, "TikTok ships this order itself.", "Nothing needs to be done."),
    **_rules(
        "21008106",
        Kind.REJECTED,
        "This call is not for the shop's region.",
        "Use the region's other call for shipping.",
    ),
    **_rules("21011048", Kind.REJECTED, "The order has several packages.", "Name the line items that are in this one."),
    **_rules("21011050", Kind.REJECTED, "The time in which tracking may be corrected is over.", _OWNER),
    **_rules("21011051", Kind.REJECTED, "Tracking was corrected once already; no second time is allowed.", _OWNER),
    **_rules(
        "21004006 21004019 21004020",
        Kind.REJECTED,
        "The invoice is missing or not accepted.",
        "Upload the invoice, then ship.",
    ),
    **_rules(
        " ".join(str(code) for code in range(11021010, 11021026)),
        Kind.REJECTED,
        "The carrier refuses address, size or weight.",
        "Correct what the message names, or choose another service.",
    ),
    **_rules(
        "21008116 21008117",
        Kind.REJECTED,
        "The shipping provider is not allowed for this order.",
        "Choose a provider of the order's delivery option.",
    ),
    **_rules(
        "21001001 11001002 11050001", Kind.REJECTED, "TikTok Shop refuses a parameter of the shipping call.", _BUG
    ),
    **_rules(
        "21001003 21001008 21001011 11001027 11001031 11006005 21022029 21042001",
        Kind.TRANSIENT,
        "The shipping service has a fault of its own.",
        _LATER,
    ),
}

AFTERSALE_CODES = {
    **_rules(
        "25001021 25001015 25001014 25001020",
        Kind.REJECTED,
        "The reason cannot be used for this order.",
        "Choose one of the reasons for the order's market and state.",
    ),
    **_rules("25001011 25001051", Kind.VERIFY, "The request is in work or finished already.", _READ),
    **_rules("25001045", Kind.REJECTED, "The order is shipped already.", "It cannot be cancelled; wait for a return."),
    **_rules(
        "25005010 25005011",
        Kind.REJECTED,
        "Part of the order cannot be cancelled.",
        "Cancel the whole order, or none of it.",
    ),
    **_rules("25020005", Kind.REJECTED, "The seller may not do this.", _OWNER),
    **_rules(
        "25007006", Kind.NOT_FOUND, "TikTok Shop does not know this order.", "Compare its id with the shop's orders."
    ),
    **_rules("25001028", Kind.TRANSIENT, "Somebody else is changing the order at this moment.", _LATER),
}

PRODUCT_CODES = {
    **_rules(
        "12052032 12019150 12052260 12052031",
        Kind.NOT_FOUND,
        "TikTok Shop does not know this product.",
        "Read the products again.",
    ),
    **_rules("12052048", Kind.REJECTED, "The product belongs to another shop.", _SHOPS),
    **_rules("12052036 12052553 12052556", Kind.REJECTED, "A SKU's id is missing, named twice or unknown.", _PRODUCT),
    **_rules(
        "12019022 12019028 12052094 12052096 12052097 12052115 12052364 12052403 12052530 12052531 12052532 12052533",
        Kind.REJECTED,
        "The warehouses do not fit the SKU: every one of its warehouses must be named.",
        _PRODUCT,
    ),
    **_rules(
        "12019024 12052055",
        Kind.REJECTED,
        "The quantity is out of range.",
        "Use 1 to 99,999; deactivate the product to sell none.",
    ),
    **_rules(
        "12052393 12052371 12052308",
        Kind.QUOTA,
        "The product is locked by a promotion, an auction or an appeal.",
        "It is tried again when that may be over.",
        wait_seconds=6 * _HOUR,
    ),
    **_rules("12052901", Kind.REJECTED, "The product's state does not allow this.", "Activate the product first."),
    **_rules("12052700", Kind.REJECTED, "The seller is inactive.", "Ask the owner to open the seller account again."),
    **_rules(
        "12052849 12052850 12052921",
        Kind.REJECTED,
        "Stock of a bundle, or shared stock, cannot be set here.",
        "Set the stock of the SKUs that it is made of.",
    ),
    **_rules(
        "12052180", Kind.REJECTED, "A search answers at most 10,000 products.", "Search by shorter spans of time."
    ),
}

ANALYTICS_CODES = {
    **_rules(
        "28001022",
        Kind.REJECTED,
        "The dates are not valid for this report.",
        "Ask for whole past days, the end after the start.",
    ),
}

CREATOR_CODES = {
    **_rules(
        "16011007 16011009 16011069",
        Kind.REJECTED,
        "The product link's title is not allowed.",
        "Use fewer than 30 characters without punctuation and emoji.",
    ),
    **_rules("170001020", Kind.RATE_LIMITED, "The creator posts too often.", _LATER),
    **_rules(
        "170001060 170001061 170001062",
        Kind.QUOTA,
        "The creator's number of posts through apps is reached.",
        "Wait a day, or post in the app.",
    ),
    **_rules(
        "170001030 170001031",
        Kind.REJECTED,
        "TikTok restricts this creator.",
        "Show the reason to the creator; the same post will be refused again.",
    ),
    **_rules("170001024 170001025", Kind.REJECTED, "The cover is not valid.", "Choose another cover."),
    **_rules("170001040", Kind.REJECTED, "TikTok Shop does not know the uploaded file.", "Upload the file again."),
    **_rules("170001050", Kind.TRANSIENT, "Posting has a fault of its own.", _LATER),
    **_rules(
        "170001019",
        Kind.QUOTA,
        "The number of checks before posting is reached.",
        "Wait a day, or post without the check.",
    ),
    **_rules("38007001", Kind.TRANSIENT, "TikTok Shop has a fault of its own.", _LATER),
}

# By the part of the API that answers them.
CODES = {
    "Any call": COMMON_CODES,
    "Tokens": TOKEN_CODES,
    "Orders": ORDER_CODES,
    "Packages": PACKAGE_CODES,
    "Cancellations and returns": AFTERSALE_CODES,
    "Products and stock": PRODUCT_CODES,
    "Numbers": ANALYTICS_CODES,
    "Creators' posts": CREATOR_CODES,
}
