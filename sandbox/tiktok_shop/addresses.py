"""Recipients' addresses: as they are kept, and as an order shows them.

Until an order is paid for good, after it was cancelled and some time after it was closed, the platform masks names,
streets, codes and phones ("Get Order Detail", and the change of 2025 for the US). The names of people are invented.
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

LONG_AFTER_SECONDS = 30 * 86_400

_COUNTRIES = {"US": "United States", "GB": "United Kingdom", "SG": "Singapore"}


class Address(BaseModel):
    """Where an order goes. Nothing is checked beyond lengths: real orders hold broken addresses too."""

    model_config = ConfigDict(extra="forbid")

    first_name: str = Field(default="", max_length=200)
    last_name: str = Field(default="", max_length=200)
    phone_number: str = Field(default="", max_length=60)
    line1: str = Field(default="", max_length=500)
    line2: str = Field(default="", max_length=500)
    city: str = Field(default="", max_length=200)
    county: str = Field(default="", max_length=200)
    state: str = Field(default="", max_length=200)
    postal_code: str = Field(default="", max_length=40)
    region: str = Field(default="US", pattern="^(US|GB|SG)$")
    drop_off_location: str = Field(default="", max_length=200)


def _book(lines: str) -> dict[str, Address]:
    names = ("phone_number", "line1", "line2", "city", "county", "state", "postal_code", "region")
    book = {}
    for line in lines.strip().splitlines():
        key, name, *rest = (part.strip() for part in line.split("|"))
        first, _, last = name.rpartition(" ")
        book[key] = Address(first_name=first, last_name=last, **dict(zip(names, rest, strict=True)))
    return book


BOOK = _book("""
knoxville | Ingrid Rahimi | (+1)8655550108 | 4518 East Emory Road | | Knoxville | Knox | Tennessee | 37938 | US
mound | Malik Castellano | (+1)6125550134 | 2079 Commerce Boulevard | Apt 4 | Mound | Hennepin | Minnesota | 55364 | US
bridgeport | Lucia Leclair | (+1)7605550131 | 94 N. School St. | | Bridgeport | Mono | California | 93517 | US
hunter | Nadia Halloran | (+1)5185550116 | 7965 Main Street | | Hunter | Greene | NY | 12442 | US
umlaut | Jürgen Groß-Şahin | (+1)7605550142 | 1720 Café Walk № 3 | c/o Łukasz | Bend | Deschutes | Oregon | 97701 | US
lost_zero | Bianca Fenwick | (+1)2035550147 | 486 Oxford Rd. | | Oxford | New Haven | CT | 6478 | US
po_box | Tomás O’Rourke | (+1)9075550119 | PO Box 1088 | | Haines | Haines Borough | Alaska | 99827 | US
london | Priya Whitcombe | (+44)7700900123 | 221 Leather Lane | Flat 2 | London | Camden | England | EC1N 7TY | GB
singapore | Tan Wei Ling | (+65)80000123 | 10 Bedok North Ave 2 | #04-12 | Singapore | | | 460010 | SG
""")


def shown(address: dict[str, Any]) -> dict[str, Any]:
    """`recipient_address` in full."""
    one = Address.model_validate(address)
    country = _COUNTRIES[one.region]
    street = ", ".join(part for part in (one.line1, one.line2) if part)
    place = " ".join(part for part in (one.state, one.postal_code) if part)
    districts = [
        {"address_level": "L0", "address_level_name": "Country", "address_name": country, "iso_code": one.region},
        {"address_level": "L1", "address_level_name": "State", "address_name": one.state},
        {"address_level": "L2", "address_level_name": "County", "address_name": one.county},
        {"address_level": "L3", "address_level_name": "City", "address_name": one.city},
    ]
    return {
        "name": f"{one.first_name} {one.last_name}".strip(),
        "first_name": one.first_name,
        "last_name": one.last_name,
        "phone_number": one.phone_number,
        "full_address": ", ".join(part for part in (street, one.city, place, country) if part),
        "address_detail": " ".join(part for part in (one.line1, one.line2) if part),
        "address_line1": one.line1,
        "address_line2": one.line2,
        "address_line3": "",
        "address_line4": "",
        "postal_code": one.postal_code,
        "post_town": one.city if one.region == "GB" else "",
        "region_code": one.region,
        "delivery_preferences": {"drop_off_location": one.drop_off_location},
        "district_info": [one for one in districts if one["address_name"]],
    }


def visible(order: dict[str, Any], now: float) -> dict[str, Any]:
    """`recipient_address` as the order shows it now: in full, or masked."""
    address, status = shown(order["address"]), order["status"]
    american = address["region_code"] == "US"
    platform = order["fulfillment_type"] == "FULFILLMENT_BY_TIKTOK"
    if status in ("UNPAID", "ON_HOLD"):
        if not american:
            return {**{name: "" if isinstance(value, str) else value for name, value in address.items()},
                    "region_code": address["region_code"], "district_info": []}  # fmt: skip
        return {**_masked(address), "district_info": []}
    long_closed = status == "COMPLETED" and now - order["complete_time"] >= LONG_AFTER_SECONDS
    if american and (platform or status == "CANCELLED" or long_closed):
        return _masked(address, city_too=not platform)
    if not american and order["shipping_type"] == "TIKTOK":
        names = ("name", "first_name", "last_name")
        return {**address, **{name: _stars(address[name]) for name in names},
                "phone_number": _phone(address["phone_number"])}  # fmt: skip
    return address


def _masked(address: dict[str, Any], city_too: bool = True) -> dict[str, Any]:
    region = [one["address_name"] for one in address["district_info"] if one["address_level"] in ("L1", "L0")]
    return {
        **address,
        **{name: _stars(address[name]) for name in ("name", "first_name", "last_name")},
        "phone_number": _phone(address["phone_number"]),
        "full_address": ", ".join(("***", *reversed(region))),
        "address_detail": "*** ****",
        "address_line1": "*** ****",
        "address_line2": "",
        "postal_code": f"{address['postal_code'][:2]}***",
        "delivery_preferences": {"drop_off_location": "***"},
        "district_info": [
            {**one, "address_name": "***"} if city_too and one["address_level"] in ("L3", "L4") else one
            for one in address["district_info"]
        ],
    }


def _stars(name: str) -> str:
    return " ".join(f"{part[0]}***" for part in name.split())


def _phone(number: str) -> str:
    found = re.fullmatch(r"(\(\+\d+\)\d{0,3}).*?(\d{0,4})", number)
    return f"{found[1]}-***-{found[2]}" if found is not None else "***"
