"""The map of SKUs as a CSV file: what is written is read again as it was, and a fault is named by line and column."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reelroute.fulfillment.v1 import routing_pb2 as pb

from services.gateway.calendars.entries import NotACalendar
from services.gateway.sku_map import COLUMNS, Mapping, SkuMapFaulty, read, write
from tests.gateway.fakes import Memory
from tests.gateway.given import fields
from tests.gateway.test_problems import assert_is_problem

HEAD = "seller_sku,tiktok_sku_id,amazon_seller_sku,quantity_per_unit"
# As a seller's own sheet has it: a bundle over three rows, and rows that belong together apart from each other.
SHEET = f"""{HEAD}
EF-SLV-STD-CLR,1729694201472179890,EF-SLV-STD-CLR-FBA,1
EF-KIT,1729694201472179891,EF-SLV-STD-CLR-FBA,2
EF-TPL-35-100,1729637100323846272,EF-TPL-35-25-FBA,4
EF-KIT,1729694201472179891,EF-MAG-35-1,1
,1729694201472179892,EF-MAG-35-1,1
"""


def table(text: str) -> io.BytesIO:
    return io.BytesIO(text.encode())


def faults(text: str, marketplace: str = "US") -> list[tuple[int, str, str]]:
    with pytest.raises(SkuMapFaulty) as caught:
        read(table(text), marketplace)
    return [(each.line, each.column, each.reason) for each in caught.value.faults]


def test_a_bundle_is_several_rows_wherever_they_stand() -> None:
    mappings, rows = read(table(SHEET), "US")
    assert rows == 5
    assert mappings == [
        Mapping("US", "EF-SLV-STD-CLR", "1729694201472179890", (("EF-SLV-STD-CLR-FBA", 1),)),
        Mapping("US", "EF-KIT", "1729694201472179891", (("EF-SLV-STD-CLR-FBA", 2), ("EF-MAG-35-1", 1))),
        Mapping("US", "EF-TPL-35-100", "1729637100323846272", (("EF-TPL-35-25-FBA", 4),)),
        Mapping("US", "", "1729694201472179892", (("EF-MAG-35-1", 1),)),
    ]


def test_the_map_of_the_demo_is_read_whole_and_written_as_it_is() -> None:
    with (Path(__file__).parents[2] / "demo" / "sku_map.csv").open("rb") as file:
        mappings, rows = read(file, "US")
    assert (len(mappings), rows) == (57, 61)
    bundle = next(each for each in mappings if each.seller_sku == "EF-BDL-GALLERY")
    assert bundle.parts[:2] == (("7C-0R1T-X2PL", 1), ("EF-MAG-35-5", 2))
    assert read(io.BytesIO(b"".join(write(mappings))), "")[0] == mappings


def test_a_row_may_name_its_own_marketplace() -> None:
    text = f"marketplace,{HEAD}\nGB,A,,B,1\n,A,,C,1\n"
    mappings, _ = read(table(text), "US")
    assert [(each.marketplace, each.parts[0][0]) for each in mappings] == [("GB", "B"), ("US", "C")]
    assert faults(text, "") == [(3, "marketplace", "NOT_A_COUNTRY")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("A,1,B", ("*", "CELLS_WRONG")),
        (",,B,1", ("seller_sku", "MISSING")),
        ("A,1,,1", ("amazon_seller_sku", "MISSING")),
        ("A,1,B,0", ("quantity_per_unit", "NOT_A_QUANTITY")),
        ("A,1,B,251", ("quantity_per_unit", "NOT_A_QUANTITY")),
        ("A,1,B,1.5", ("quantity_per_unit", "NOT_A_QUANTITY")),
        ("A,1,B,٣", ("quantity_per_unit", "NOT_A_QUANTITY")),
        ("A,1.72969E+18,B,1", ("tiktok_sku_id", "ROUNDED")),
        ("A,17x,B,1", ("tiktok_sku_id", "NOT_AN_ID")),
        ("A ,1,B,1", ("seller_sku", "CHARACTERS")),
        (f"A,1,{'B' * 51},1", ("amazon_seller_sku", "TOO_LONG")),
        ("KNOWN,,B,2", ("amazon_seller_sku", "REPEATED")),
        ("OTHER,99,B,1", ("seller_sku", "CONTRADICTORY")),
    ],
)
def test_a_fault_is_named_by_its_line_and_column(row: str, fault: tuple[str, str]) -> None:
    assert faults(f"{HEAD}\nKNOWN,,B,1\nNAMED,99,B,1\n\n{row}\n") == [(5, *fault)]


def test_every_fault_of_a_file_is_named_at_once() -> None:
    assert faults(f"{HEAD}\nA,x,B,0\nC,1,,1\n") == [
        (2, "tiktok_sku_id", "NOT_AN_ID"),
        (2, "quantity_per_unit", "NOT_A_QUANTITY"),
        (3, "amazon_seller_sku", "MISSING"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "file_empty"),
        (f"{HEAD}\n", "no_rows"),
        ("seller_sku,amazon_seller_sku\nA,B\n", "columns_unknown"),
        (f"{HEAD},market place\nA,1,B,1,GB\n", "columns_unknown"),
        (f"{HEAD},seller_sku\nA,1,B,1,A\n", "column_repeated"),
        (f'{HEAD}\n"A,1,B,1\n', "quote_unbalanced"),
        ("<html></html>", "not_text_table"),
    ],
)
def test_a_file_that_is_no_map_is_refused_as_a_whole(text: str, reason: str) -> None:
    with pytest.raises(NotACalendar) as caught:
        read(table(text), "US")
    assert caught.value.reason == reason


def test_files_of_spreadsheets_in_other_countries_are_read_too() -> None:
    mappings, _ = read(io.BytesIO(SHEET.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig")), "US")
    assert mappings == read(table(SHEET), "US")[0]


def test_what_a_spreadsheet_would_run_is_guarded_in_a_written_file() -> None:
    written = b"".join(write([Mapping("US", "=1+1", "", (("@SUM(A1)", 1),))]))
    assert (
        written
        == b"seller_sku,tiktok_sku_id,amazon_seller_sku,quantity_per_unit,marketplace\r\n'=1+1,,'@SUM(A1),1,US\r\n"
    )


# What REST takes as a SKU: no control characters, no blanks around.
skus = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda sku: sku == sku.strip()
)
hard_skus = skus | st.sampled_from(["=1+1", "'=x", "''-", "@a", "+1", "-", 'a"b', "a,b;c", "'", "=HYPERLINK(1)", "|"])
mappings_written = st.lists(
    st.builds(
        Mapping,
        st.sampled_from(["US", "GB"]),
        hard_skus,
        st.just(""),
        st.lists(st.tuples(hard_skus, st.integers(1, 250)), min_size=1, max_size=5, unique_by=lambda part: part[0]).map(
            tuple
        ),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: (each.marketplace, each.seller_sku),
)


@given(mappings_written)
def test_a_written_map_is_read_again_as_it_was(mappings: list[Mapping]) -> None:
    found, rows = read(io.BytesIO(b"".join(write(mappings))), "")
    assert found == mappings
    assert rows == sum(len(each.parts) for each in mappings)


@given(st.text(max_size=200))
def test_no_text_is_read_as_a_map_half_or_ends_in_another_error(text: str) -> None:
    try:
        mappings, rows = read(table(f"{HEAD}\n{text}"), "US")
    except (NotACalendar, SkuMapFaulty):
        return
    assert rows >= len(mappings) > 0
    assert all(1 <= quantity <= 250 for each in mappings for _, quantity in each.parts)


def send(api: httpx.Client, text: str, **options: object) -> httpx.Response:
    parts: dict[str, object] = {"options": (None, json.dumps(options), "application/json")}
    return api.post("/v1/sku-mappings:import", files=parts | {"file": ("map.csv", text.encode())})  # type: ignore[arg-type]


def test_a_map_is_imported_and_exported_and_imported_again(api: httpx.Client, memory: Memory) -> None:
    told = send(api, SHEET, marketplace="US").json()
    assert told == {"rows": 5, "mappings": 4, "woken_orders": 1, "validate_only": False}
    exported = api.get("/v1/sku-mappings:export", params={"marketplace": "US"})
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.text.splitlines()[0] == ",".join(COLUMNS)
    before = list(memory.fulfillment.mappings.values())
    memory.fulfillment.mappings.clear()
    assert send(api, exported.text).status_code == 200
    after = list(memory.fulfillment.mappings.values())
    for each in before + after:
        each.mapping_id = ""
    assert after == before


def test_with_one_fault_nothing_of_a_file_is_taken(api: httpx.Client, memory: Memory) -> None:
    refused = send(api, SHEET + "EF-NEW,,EF-NEW-FBA,none\nEF-X,,,1\n", marketplace="US")
    assert_is_problem(refused, 422, "SKU_MAP_REFUSED")
    assert fields(refused) == ["lines[7].quantity_per_unit", "lines[8].amazon_seller_sku"]
    assert refused.json()["detail"].startswith("Line 7, quantity_per_unit: A whole number from 1 to 250")
    assert_is_problem(send(api, "a,b\n1,2\n"), 422, "SKU_MAP_UNREADABLE")
    assert fields(send(api, SHEET, marketplace="usa")) == ["options.marketplace"]
    assert memory.count(pb.SetSkuMappingsRequest) == 0


def test_a_file_can_be_checked_without_being_taken(api: httpx.Client, memory: Memory) -> None:
    told = send(api, SHEET, marketplace="US", validate_only=True).json()
    assert (told["mappings"], told["validate_only"]) == (4, True)
    assert memory.fulfillment.mappings == {}


def test_a_large_file_is_saved_in_pieces_that_fulfillment_takes(api: httpx.Client, memory: Memory) -> None:
    rows = "".join(f"SKU-{number},,SKU-{number}-FBA,1\n" for number in range(1001))
    assert send(api, f"{HEAD}\n{rows}", marketplace="US").json()["woken_orders"] == 2
    assert memory.count(pb.SetSkuMappingsRequest) == 2
    assert len(memory.fulfillment.mappings) == 1001
