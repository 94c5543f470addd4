"""Orders, routing, the map of SKUs and stock by command, on the real gateway in front of services with memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from reelroute.fulfillment.v1 import fulfillment_pb2, orders_pb2, routing_pb2, stock_pb2
from reelroute.identity.v1.identity_pb2 import Scope

from cli import client
from cli.rule_text import condition, condition_text
from tests.cli.conftest import Run
from tests.gateway.conftest import configured, served
from tests.gateway.fakes import ALL_SCOPES, Memory
from tests.gateway.hub import Hub
from tests.gateway.order_fakes import GOOD_TOKEN
from tests.gateway.order_memory import CANARY

MAP = "seller_sku,tiktok_sku_id,amazon_seller_sku,quantity_per_unit\nKIT,17,A,2\nKIT,17,B,1\nMAT,,M,1\n"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def url(hub: Hub) -> Iterator[str]:
    # The gateway is in this process: its log is none of the command's output.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with served(configured(**hub.addresses)) as url:
        yield url
    structlog.reset_defaults()


@pytest.fixture
def memory(hub: Hub, url: str, monkeypatch: pytest.MonkeyPatch) -> Memory:
    hub.memory = Memory()
    monkeypatch.setenv("REELROUTE_URL", url)
    monkeypatch.setenv("REELROUTE_API_KEY", hub.memory.key())
    monkeypatch.setattr(client, "LONGEST_WAIT_SECONDS", 0.0)
    return hub.memory


def held(memory: Memory, **values: Any) -> str:
    """An order that is held for an unmapped SKU; its id."""
    line = fulfillment_pb2.OrderLine(seller_sku="KIT", quantity=2, product_title="Starter kit")
    told: dict[str, Any] = {
        "reason_text": "No mapping says what KIT is at Amazon.",
        "next_step": "Map the SKU.",
        "who_can": "seller",
        "lines": [line],
        "lateness": orders_pb2.LATENESS_AT_RISK,
    }
    return memory.fulfillment.order(**told | values)


def test_explaining_an_order_tells_reason_next_step_and_each_rule(run: Run, memory: Memory) -> None:
    order_id = held(memory)
    decision = memory.fulfillment.decisions[order_id]
    decision.trace[0].ground = "unmapped_skus has KIT"
    decision.trace.insert(0, routing_pb2.RuleTrace(name="Cancelled", ground="status is AWAITING_SHIPMENT"))
    told = run("orders", "explain", order_id).out
    for text in (
        "Order 576461413038785752 is held (sku_unmapped).",
        "No mapping says what KIT is at Amazon.",
        "A deadline is near.",
        "next    Map the SKU.",
        "who     the seller",
        "2 rules were looked at:",
        "Cancelled      status is AWAITING_SHIPMENT",
        "→  Unmapped SKUs  unmapped_skus has KIT",
    ):
        assert text in told
    assert "units" not in told
    assert "units  2" in run("orders", "explain", order_id, "--facts").out
    document = run("orders", "explain", order_id, "--json").document
    assert (document["order"]["next_step"], document["decision"]["kind"]) == ("Map the SKU.", "HOLD")


def test_an_order_is_known_by_our_id_tiktok_shops_and_amazons(run: Run, memory: Memory) -> None:
    order_id = held(memory)
    for word in (order_id, order_id.upper(), "576461413038785752"):
        assert run("orders", "explain", word, "--json").document["order"]["order_id"] == order_id
    unknown = run("orders", "explain", "TTS-1-1")
    assert (unknown.exit_code, "reelroute orders list" in unknown.err) == (3, True)
    assert memory.request(orders_pb2.ListOrdersRequest).platform_order_id == "TTS-1-1"
    another = held(memory)
    assert another in run("orders", "explain", "576461413038785752").err


def test_an_order_that_is_not_decided_says_so(run: Run, memory: Memory) -> None:
    order_id = held(memory, decided=False)
    assert "It is not decided yet." in run("orders", "explain", order_id).out


def test_orders_are_listed_masked_and_filtered(run: Run, memory: Memory) -> None:
    for _ in range(3):
        held(memory)
    told = run("orders", "list", "--state", "held", "--reason", "sku_unmapped", "--late", "--limit", "2")
    assert all(text in told.out for text in ("576461413038785752", "2 × KIT Starter kit", "Z*** Q***, TN 379**"))
    assert "2 orders, and more" in told.err
    asked = memory.request(orders_pb2.ListOrdersRequest)
    assert (list(asked.states), asked.is_late) == ([orders_pb2.ORDER_STATE_HELD], True)
    assert "routing show" in run("orders", "list", "--state", "delivered").err


def test_an_order_is_shown_with_shipments_packages_and_what_happened(run: Run, memory: Memory) -> None:
    order_id = held(memory)
    shipment = memory.fulfillment.orders[order_id].shipments[0]
    shipment.fulfillment_order_id, shipment.packages[0].tracking_number = "TTS-576461413038785752-1", "TBA1"
    told = run("orders", "show", order_id).out
    assert all(text in told for text in ("TTS-576461413038785752-1", "TBA1", "TOLD", "order.held", "Z*** Q***"))
    document = run("orders", "show", order_id, "--json").document
    assert set(document) == {"order", "shipments", "decision", "events"}


def test_held_orders_are_counted_with_what_to_do(run: Run, memory: Memory) -> None:
    told = run("orders", "held").out
    assert all(text in told for text in ("sku_unmapped", "3", "Map the SKU.", "seller"))


@pytest.mark.parametrize("verb", ["release", "retry", "leave", "cancel"])
def test_orders_are_moved_on_by_name_or_all_of_a_reason(run: Run, memory: Memory, verb: str) -> None:
    order_id = held(memory)
    by_name = run("orders", verb, "576461413038785752", *([] if verb == "retry" else ["--yes"]))
    assert (by_name.exit_code, "1 order done, 0 refused" in by_name.out) == (0, True)
    by_reason = run("orders", verb, "--reason", "sku_unmapped", "--json", *([] if verb == "retry" else ["--yes"]))
    assert [each["order_id"] for each in by_reason.document["outcomes"]] == [order_id]
    assert run("orders", verb).exit_code == 2
    assert run("orders", verb, order_id, "--reason", "sku_unmapped").exit_code == 2


def test_what_is_refused_is_named_and_ends_with_one(run: Run, memory: Memory) -> None:
    missing = "11111111-1111-4111-8111-111111111111"
    outcome = run("orders", "release", held(memory), missing, "--yes")
    assert (outcome.exit_code, "1 order done, 1 refused" in outcome.out) == (1, True)
    assert all(text in outcome.out for text in (missing, "ORDER_NOT_FOUND"))


def test_nothing_is_released_canceled_or_erased_without_a_yes(run: Run, memory: Memory) -> None:
    order_id = held(memory)
    for command in ("release", "leave", "cancel", "erase", "route"):
        assert run("orders", command, order_id).exit_code == 3
    assert memory.count(orders_pb2.ReleaseOrdersRequest) == 0
    assert run("orders", "erase", order_id, "--yes").out == "Deleted of 1 order.\n"


def test_cancelling_may_be_told_to_tiktok_shop(run: Run, memory: Memory) -> None:
    run("orders", "cancel", held(memory), "--at-tiktok-shop", "seller_cancel_reason_out_of_stock", "--yes")
    assert memory.request(orders_pb2.CancelOrdersRequest).platform_reason == "seller_cancel_reason_out_of_stock"


def test_a_replay_says_what_would_differ(run: Run, memory: Memory) -> None:
    held(memory)
    told = run("orders", "replay")
    assert "not decided → HOLD (sku_unmapped)" in told.out
    assert "1 of 1 order would differ. Nothing was changed." in told.err


def test_a_part_of_an_address_is_corrected_in_what_is_known_of_it(run: Run, memory: Memory) -> None:
    order_id = held(memory)
    outcome = run("orders", "correct", order_id, "--line", "2 Sample St", "--line", "Apt 3", "--speed", "expedited")
    assert (outcome.exit_code, CANARY in outcome.out + outcome.err) == (0, False)
    asked = memory.request(orders_pb2.CorrectOrderRequest)
    assert (asked.recipient.name, list(asked.recipient.lines)) == (CANARY, ["2 Sample St", "Apt 3"])
    assert asked.speed == routing_pb2.SPEED_EXPEDITED
    assert memory.fulfillment.readings[0].purpose == "To correct a part of it."
    run("orders", "correct", order_id, "--speed", "priority")
    assert len(memory.fulfillment.readings) == 1


def test_an_order_is_routed_by_hand(run: Run, memory: Memory) -> None:
    run("orders", "route", held(memory), "MAT-FBA=2", "BAG-FBA", "--speed", "priority", "--yes")
    asked = memory.request(orders_pb2.RouteOrderRequest)
    assert [(each.amazon_sku, each.quantity) for each in asked.items] == [("MAT-FBA", 2), ("BAG-FBA", 1)]


def test_a_recipient_is_shown_for_a_purpose_and_with_the_scope(
    run: Run, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = held(memory)
    assert run("orders", "recipient", order_id).exit_code == 2
    shown = run("orders", "recipient", order_id, "--purpose", "It came back.")
    assert (CANARY in shown.out, "written down" in shown.err) == (True, True)
    assert "It came back." in run("orders", "readings", order_id).out
    monkeypatch.setenv(
        "REELROUTE_API_KEY", memory.key(*(each for each in ALL_SCOPES if each != Scope.SCOPE_RECIPIENTS_READ))
    )
    refused = run("orders", "recipient", order_id, "--purpose", "It came back.")
    assert (refused.exit_code, "RECIPIENTS_READ" in refused.err, CANARY in refused.out) == (3, True, False)


def test_a_merchant_is_connected_without_its_token_on_the_command_line(
    run: Run, memory: Memory, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(f"{GOOD_TOKEN}\n")
    about = ("--name", "Emberfold", "--seller-id", "A2EXAMPLE", "--marketplace", "us")
    connected = run("merchants", "connect", *about, "--token-file", token)
    assert (connected.exit_code, GOOD_TOKEN in connected.out + connected.err) == (0, False)
    assert "Emberfold" in run("merchants", "list").out
    token.write_text("wrong")
    refused = run("merchants", "connect", *about, "--token-file", token)
    assert (refused.exit_code, "reelroute merchants connect" in refused.err) == (3, True)
    assert run("merchants", "connect", *about).exit_code == 3  # nothing is piped
    assert "Disconnected Emberfold." in run("merchants", "disconnect", "a2example", "--yes").out


def test_routing_is_set_without_what_is_left_out_being_lost(run: Run, memory: Memory) -> None:
    shop_id, merchant_id = memory.shop(), memory.fulfillment.merchant()
    assert "73" in run("routing", "warehouses", "Emberfold").out
    told = run(
        "routing", "set", "Emberfold", "--on", "--merchant", "Emberfold US", "--warehouse", "73", "--warehouse", "74",
        "--speed", "Express shipping=expedited", "--default-speed", "standard", "--policy", "fill_or_kill",
        "--prefix", "EF", "--wait", "30m", "--carrier", "AMZN_US=Amazon Logistics",
    )  # fmt: skip
    assert told.exit_code == 0
    run("routing", "set", "Emberfold", "--safety-stock", "7", "--no-push-stock")
    kept = memory.fulfillment.routings[shop_id]
    assert (kept.is_on, kept.merchant_id, list(kept.platform_warehouse_ids)) == (True, merchant_id, ["73", "74"])
    assert (kept.order_prefix, kept.wait.seconds, kept.safety_stock, kept.push_stock) == ("EF", 1800, 7, False)
    assert (kept.speeds["Express shipping"], kept.carriers["AMZN_US"]) == (
        routing_pb2.SPEED_EXPEDITED,
        "Amazon Logistics",
    )
    assert "Express shipping → EXPEDITED" in run("routing", "show", "Emberfold").out
    assert run("routing", "set", "Emberfold").exit_code == 2
    assert "merchants list" in run("routing", "set", "Emberfold", "--merchant", "Nobody").err


def test_the_map_is_imported_changed_and_exported(run: Run, memory: Memory, tmp_path: Path) -> None:
    file, out = tmp_path / "map.csv", tmp_path / "out.csv"
    file.write_text(MAP)
    assert "Name the country" in run("sku-map", "import", file).err
    assert "could be taken" in run("sku-map", "import", file, "--marketplace", "us", "--dry-run").out
    assert memory.fulfillment.mappings == {}
    taken = run("sku-map", "import", file, "--marketplace", "us")
    assert (taken.out, "1 held order is decided again" in taken.err) == ("2 mappings of 3 rows taken.\n", True)
    assert "2 × A, 1 × B" in run("sku-map", "list").out
    run("sku-map", "set", "BAG", "BAG-FBA=4", "--marketplace", "us")
    run("sku-map", "export", "--to", out)
    assert out.read_text().splitlines()[1:] == ["KIT,17,A,2,US", "KIT,17,B,1,US", "MAT,,M,1,US", "BAG,,BAG-FBA,4,US"]
    assert run("sku-map", "import", out).exit_code == 0
    ids = list(memory.fulfillment.mappings)
    assert run("sku-map", "delete", *ids, "--yes").out == f"Forgot {len(ids)} mappings.\n"


def test_faults_of_a_map_are_told_by_line_and_column(run: Run, memory: Memory, tmp_path: Path) -> None:
    file = tmp_path / "map.csv"
    file.write_text(f"{MAP}X,,Y,many\n,,Z,1\n")
    refused = run("sku-map", "import", file, "--marketplace", "us")
    assert refused.exit_code == 3
    assert "lines[5].quantity_per_unit: A whole number from 1 to 250" in refused.err
    assert "lines[6].seller_sku" in refused.err
    assert run("sku-map", "import", tmp_path / "none.csv").exit_code == 3


def test_unmapped_skus_come_with_what_they_might_be(run: Run, memory: Memory) -> None:
    told = run("sku-map", "unmapped")
    assert ("MAT-FBA (same barcode)" in told.out, "sku-map set" in told.err) == (True, True)


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("total > 250", {"fact": "total", "operator": "MORE_THAN", "values": ["250"]}),
        ("total>250", {"fact": "total", "operator": "MORE_THAN", "values": ["250"]}),
        ("state in TN, KY", {"fact": "state", "operator": "IN", "values": ["TN", "KY"]}),
        ("skus has MAT", {"fact": "skus", "operator": "CONTAINS_ANY", "values": ["MAT"]}),
        (
            "delivery_option starts Express",
            {"fact": "delivery_option", "operator": "STARTS_WITH", "values": ["Express"]},
        ),
        ("not country = US", {"not": {"fact": "country", "operator": "EQUALS", "values": ["US"]}}),
    ],
)
def test_conditions_are_written_in_few_words(text: str, test: Any) -> None:
    assert condition(text) == test
    assert condition(condition_text(test)) == test


def test_a_rule_is_tried_added_changed_switched_and_taken_away(run: Run, memory: Memory, tmp_path: Path) -> None:
    order_id = held(memory)
    words = ("--when", "total > 250", "--when", "not state in TN,KY", "--hold", "too_dear", "--text", "It is dear.")
    tried = run("routing", "test", order_id, *words)
    assert ("to be held" in tried.out, "Nothing was changed." in tried.err) == (True, True)
    assert memory.request(routing_pb2.TestRoutingRequest).draft.action.reason == "too_dear"
    added = run("routing", "rules", "add", "Dear", *words, "--priority", "50", "--from", "2027-01-01T00:00:00Z")
    assert "total > 250 and not state in TN,KY" in added.out
    shown = run("routing", "rules", "show", "dear").document
    assert run("routing", "rules", "off", "Dear").exit_code == 0
    assert ", off" in run("routing", "rules", "list").out or " off" in run("routing", "rules", "list").out
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(shown | {"priority": 60}))
    stale = run("routing", "rules", "change", "Dear", "--file", file)
    assert (stale.exit_code, "RULE_CHANGED" in stale.err) == (3, True)
    file.write_text(json.dumps(run("routing", "rules", "show", "Dear").document | {"priority": 60}))
    assert run("routing", "rules", "change", "Dear", "--file", file).exit_code == 0
    (rule,) = memory.fulfillment.rules.values()
    assert (rule.priority, rule.is_on, rule.revision) == (60, False, 3)
    assert run("routing", "test", order_id, "--file", file).exit_code == 0
    assert memory.request(routing_pb2.TestRoutingRequest).draft.rule_id == rule.rule_id
    assert run("routing", "rules", "delete", "Dear", "--yes").exit_code == 0
    assert memory.fulfillment.rules == {}


@pytest.mark.parametrize(
    "words",
    [
        ("Name", "--when", "total > 250"),
        ("Name", "--when", "total above 250", "--route"),
        ("Name", "--route", "--split"),
        ("--route",),
        ("Name", "--feature", "BLANK_BOX=perhaps"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much_is_refused_at_once(
    run: Run, memory: Memory, words: tuple[str, ...]
) -> None:
    assert run("routing", "rules", "add", *words).exit_code == 2
    assert memory.count(routing_pb2.CreateRoutingRuleRequest) == 0


def test_stock_is_listed_shown_guarded_and_compared(run: Run, memory: Memory) -> None:
    assert "merchants connect" in run("stock", "list").err
    memory.fulfillment.merchant()
    memory.shop()
    sku = "MAT/24 & 14?"
    memory.fulfillment.stock[sku] = stock_pb2.Stock(amazon_sku=sku, available=203, fulfillable=212, is_at_amazon=True)
    assert all(text in run("stock", "list").out for text in (sku, "203", "212"))
    assert all(text in run("stock", "show", sku).out for text in (sku, "RESERVED"))
    assert "10 (own)" in run("stock", "safety", sku, "10").out
    run("stock", "safety", sku)
    assert not memory.request(stock_pb2.SetSafetyStockRequest).HasField("safety_stock")
    assert run("stock", "sync").out == "Read 1 SKU.\n"
    assert all(text in run("stock", "pushes", "Emberfold").out for text in ("MAT", "nothing yet"))
    assert run("stock", "drift").exit_code == 3
    drift = run("stock", "drift", "--now")
    assert (drift.exit_code, "order_missing" in drift.out, "1 difference" in drift.out) == (1, True, True)
    assert run("stock", "drift", "--json").document["drifts"][0]["kind"] == "order_missing"
    assert "1" in run("stock", "drift", "--reports").out


def test_tracking_goes_on_and_a_number_is_corrected_only_with_a_yes(run: Run, memory: Memory) -> None:
    order_id = held(memory)
    memory.shop()
    package_id = memory.fulfillment.orders[order_id].shipments[0].packages[0].package_id
    assert run("orders", "resume-tracking", "Emberfold").exit_code == 3
    assert run("orders", "resume-tracking", "Emberfold", "--yes").out == "Tracking numbers are told again.\n"
    assert run("orders", "correct-tracking", package_id, "--yes").exit_code == 0
    assert run("orders", "correct-tracking", "../x", "--yes").exit_code == 3
    assert run("orders", "sync", "Emberfold").out == "Read 3 orders, 1 of them new.\n"
