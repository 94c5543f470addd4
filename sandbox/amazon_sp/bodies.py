"""Bodies that clients send, with the limits of the model and, for addresses, those of its predecessor's reference."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sandbox.amazon_sp.answers import invalid

Speed = Literal["Standard", "Expedited", "Priority", "ScheduledDelivery"]
Policy = Literal["FillOrKill", "FillAll", "FillAllAvailable"]
Action = Literal["Ship", "Hold"]

FEATURES = {
    "BLOCK_AMZL": "No Amazon Logistics", "BLANK_BOX": "Unbranded box",
    "OVERBOX": "A second box around the product's own", "PACKING_SLIP": "A packing slip",
    "SIGNATURE_CONFIRMATION": "Signature on delivery",
    "DELIVER_TOGETHER": "All items in one delivery",
}  # fmt: skip
_MOST_LINES, _MOST_UNITS, _MOST_UNITS_OF_A_LINE = 100, 250, 2**31 - 1


def _slip_text(text: str) -> str:
    if text != text.strip() or "  " in text or not text.isprintable():
        raise ValueError("has blanks at its ends, two in a row, or control characters")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("has characters outside of ISO 8859-1") from None
    return text


_Sku = Annotated[str, Field(min_length=1, max_length=50)]
_ItemId = Annotated[str, Field(min_length=1, max_length=50)]
_OrderId = Annotated[str, Field(min_length=1, max_length=40)]
_SlipText = Annotated[_OrderId, AfterValidator(_slip_text)]
_Comment = Annotated[str, Field(min_length=1, max_length=750)]
_Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
_Emails = list[Annotated[str, Field(min_length=1, max_length=64)]]


class Body(BaseModel):
    """A JSON body. Fields that the model does not have are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Money(Body):
    """An amount. `value` is text."""

    currency_code: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    value: Annotated[str, Field(pattern=r"^-?\d{1,12}(\.\d{1,4})?$")]


class Address(Body):
    """Where the goods go. Lengths: see `limited`."""

    name: Annotated[str, Field(min_length=1)]
    address_line1: Annotated[str, Field(min_length=1)]
    address_line2: str | None = None
    address_line3: str | None = None
    city: str | None = None
    district_or_county: str | None = None
    state_or_region: str | None = None
    postal_code: Annotated[str, Field(min_length=1)]
    country_code: _Country
    phone: str | None = None


_ADDRESS_LIMITS = {
    "name": 50, "address_line1": 60, "address_line2": 60, "address_line3": 60, "city": 50, "district_or_county": 150,
    "state_or_region": 150, "postal_code": 20, "phone": 20,
}  # fmt: skip


class Feature(Body):
    """A wish about the parcel."""

    feature_name: Annotated[str, Field(min_length=1, max_length=60)]
    feature_fulfillment_policy: Literal["Required", "NotRequired"]


class PreviewItem(Body):
    """Units of a SKU that a preview asks for."""

    seller_sku: _Sku
    seller_fulfillment_order_item_id: _ItemId
    quantity: Annotated[int, Field(ge=1, le=_MOST_UNITS_OF_A_LINE)]
    per_unit_declared_value: Money | None = None


class Item(PreviewItem):
    """Units of a SKU that are ordered."""

    gift_message: Annotated[str, Field(max_length=512)] | None = None
    displayable_comment: Annotated[str, Field(max_length=250)] | None = None
    fulfillment_network_sku: str | None = None
    per_unit_price: Money | None = None
    per_unit_tax: Money | None = None


class CodSettings(Body):
    """Cash on delivery."""

    is_cod_required: bool
    cod_charge: Money | None = None
    cod_charge_tax: Money | None = None
    shipping_charge: Money | None = None
    shipping_charge_tax: Money | None = None


class DeliveryWindow(Body):
    """When a scheduled delivery comes."""

    start_date: AwareDatetime
    end_date: AwareDatetime


class Payment(Body):
    """How the buyer paid; India only."""

    payment_transaction_id: str
    payment_mode: str
    payment_date: AwareDatetime


class NewOrder(Body):
    """The body of createFulfillmentOrder."""

    seller_fulfillment_order_id: _OrderId
    displayable_order_id: _SlipText
    displayable_order_date: AwareDatetime
    displayable_order_comment: _Comment
    shipping_speed_category: Speed
    destination_address: Address
    items: Annotated[list[Item], Field(min_length=1, max_length=_MOST_LINES)]
    marketplace_id: str | None = None
    delivery_window: DeliveryWindow | None = None
    delivery_preferences: dict[str, Any] | None = None
    fulfillment_action: Action = "Ship"
    fulfillment_policy: Policy = "FillOrKill"
    cod_settings: CodSettings | None = None
    ship_from_country_code: _Country | None = None
    notification_emails: _Emails | None = None
    feature_constraints: list[Feature] | None = None
    payment_information: list[Payment] | None = None


class ItemChange(Body):
    """Another quantity of an item."""

    seller_fulfillment_order_item_id: _ItemId
    quantity: Annotated[int, Field(ge=1, le=_MOST_UNITS_OF_A_LINE)]
    seller_sku: str | None = None


class OrderChange(Body):
    """The body of updateFulfillmentOrder: any of the fields."""

    marketplace_id: str | None = None
    displayable_order_id: _SlipText | None = None
    displayable_order_date: AwareDatetime | None = None
    displayable_order_comment: _Comment | None = None
    shipping_speed_category: Speed | None = None
    destination_address: Address | None = None
    items: Annotated[list[ItemChange], Field(min_length=1, max_length=_MOST_LINES)] | None = None
    fulfillment_action: Action = "Hold"
    fulfillment_policy: Policy | None = None
    ship_from_country_code: str | None = None
    notification_emails: _Emails | None = None
    feature_constraints: list[Feature] | None = None


class Preview(Body):
    """The body of getFulfillmentPreview."""

    address: Address
    items: Annotated[list[PreviewItem], Field(min_length=1, max_length=_MOST_LINES)]
    marketplace_id: str | None = None
    shipping_speed_categories: list[Speed] | None = None
    include_c_o_d_fulfillment_preview: bool = False
    include_delivery_windows: bool = False
    feature_constraints: list[Feature] | None = None


class StatusChange(Body):
    """The body of submitFulfillmentOrderStatusUpdate."""

    fulfillment_order_status: Literal[
        "New", "Received", "Planning", "Processing", "Cancelled", "Complete", "CompletePartialled", "Unfulfillable",
        "Invalid",
    ]  # fmt: skip


class NewSku(Body):
    """The body of createInventoryItem."""

    seller_sku: _Sku
    marketplace_id: str
    product_name: Annotated[str, Field(min_length=1, max_length=300)]


class AddedStock(Body):
    """Units of a SKU that addInventory adds."""

    seller_sku: _Sku
    marketplace_id: str
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class AddInventory(Body):
    """The body of addInventory."""

    inventory_items: Annotated[list[AddedStock], Field(min_length=1, max_length=50)]


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], body: bytes) -> Model:
    """A body as its model. Raises Refusal that names fields and never repeats their values."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    missing = [_shown(one["loc"][-1]) for one in problems if one["type"] == "missing"]
    if missing:
        raise invalid(f"Required parameters missing: {', '.join(missing)}.")
    first = problems[0]
    if not first["loc"]:
        raise invalid("Request body is not a JSON object of the operation.")
    where = ".".join(map(str, first["loc"]))
    raise invalid(f"The value for parameter {where} is invalid: {first['msg'].removeprefix('Value error, ')}.")


def _shown(name: int | str) -> str:
    text = str(name)
    return text[:1].upper() + text[1:]


def limited(address: Address, cut: bool) -> Address:
    """An address within the limits: cut to them, or refused; it has a city, in JP it has none. Raises Refusal."""
    if address.country_code == "JP":
        if address.city:
            raise invalid("The value for parameter City is invalid: leave it out in JP.")
    elif not address.city:
        raise invalid("Required parameters missing: City.")
    for name, most in _ADDRESS_LIMITS.items():
        value = getattr(address, name)
        if value is None or len(value) <= most:
            continue
        if not cut:
            where = _shown(to_camel(name))
            raise invalid(f"The value for parameter {where} is invalid: it has more than {most} characters.")
        address = address.model_copy(update={name: value[:most]})
    return address


def check_items(items: Iterable[PreviewItem]) -> None:
    """Raises Refusal for too many units, or an item id that is there twice."""
    found = list(items)
    if sum(item.quantity for item in found) > _MOST_UNITS:
        raise invalid(f"The items have more than {_MOST_UNITS} units.")
    if len({item.seller_fulfillment_order_item_id for item in found}) < len(found):
        raise invalid("The value for parameter SellerFulfillmentOrderItemId is invalid: it is there twice.")


def features(given: list[Feature] | None, country: str) -> dict[str, bool]:
    """Features by name, and whether each is required. Raises Refusal for one that does not exist, or not there."""
    for one in given or ():
        if one.feature_name not in FEATURES and not re.fullmatch("CHANNEL[.][A-Z_]{1,40}", one.feature_name):
            raise invalid("The value for parameter FeatureName is invalid.")
        required = one.feature_fulfillment_policy == "Required"
        if one.feature_name == "SIGNATURE_CONFIRMATION" and required and country != "US":
            raise invalid("SIGNATURE_CONFIRMATION is offered in the US only.")
    return {one.feature_name: one.feature_fulfillment_policy == "Required" for one in given or ()}
