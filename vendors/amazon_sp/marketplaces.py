"""Amazon's marketplaces by country, and where their calls go. Source: "SP-API Endpoints" and "Marketplace IDs"."""

from dataclasses import dataclass
from enum import StrEnum


class Region(StrEnum):
    """Which of the endpoints a marketplace belongs to. The value is the region of its AWS signatures."""

    NA = "us-east-1"
    EU = "eu-west-1"
    FE = "us-west-2"


@dataclass(frozen=True)
class Marketplace:
    """One country's Amazon."""

    id: str
    region: Region


# By ISO 3166-1 country.
MARKETPLACES = {
    "US": Marketplace("ATVPDKIKX0DER", Region.NA),
    "CA": Marketplace("A2EUQ1WTGCTBG2", Region.NA),
    "MX": Marketplace("A1AM78C64UM0Y8", Region.NA),
    "BR": Marketplace("A2Q3Y263D00KWC", Region.NA),
    "GB": Marketplace("A1F83G8C2ARO7P", Region.EU),
    "DE": Marketplace("A1PA6795UKMFR9", Region.EU),
    "FR": Marketplace("A13V1IB3VIYZZH", Region.EU),
    "IT": Marketplace("APJ6JRA9NG5V4", Region.EU),
    "ES": Marketplace("A1RKKUPIHCS9HS", Region.EU),
    "NL": Marketplace("A1805IZSGTT6HS", Region.EU),
    "BE": Marketplace("AMEN7PMS3EDWL", Region.EU),
    "IE": Marketplace("A28R8C7NBKEWEA", Region.EU),
    "SE": Marketplace("A2NODRKZP88ZB9", Region.EU),
    "PL": Marketplace("A1C3SOZRARQ6R3", Region.EU),
    "TR": Marketplace("A33AVAJ2PDY3EV", Region.EU),
    "SA": Marketplace("A17E79C6D8DWNP", Region.EU),
    "AE": Marketplace("A2VIGQ35RCS4UG", Region.EU),
    "EG": Marketplace("ARBP9OOSHTCHU", Region.EU),
    "IN": Marketplace("A21TJRUUN4KGV", Region.EU),
    "ZA": Marketplace("AE08WJ6YKNBMC", Region.EU),
    "JP": Marketplace("A1VC38T7YXB528", Region.FE),
    "AU": Marketplace("A39IBJ37TRP1C6", Region.FE),
    "SG": Marketplace("A19VAU5U5O7RUS", Region.FE),
}
