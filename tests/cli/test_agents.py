"""`reelroute agents`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.gateway import KEY, Answer, FakeGateway, Memory, Request, page

AGENT = {
    "name": "tiktok_shop",
    "description": "Knows the shops.",
    "skills": [
        {
            "name": "sync_products",
            "description": "Reads the products.",
            "arguments_schema": {"properties": {"shop_id": {}, "everything": {}}, "required": ["shop_id"]},
        }
    ],
}


def answer(_memory: Memory, request: Request) -> Answer | None:
    match request.method, request.path:
        case "GET", "/v1/agents":
            return page("agents", [AGENT], request.query)
        case "POST", "/v1/agents:useSkill":
            return 200, {"result": request.body["arguments"]}
    return None


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    gateway = FakeGateway(answer)
    monkeypatch.setenv("REELROUTE_URL", gateway.url)
    monkeypatch.setenv("REELROUTE_API_KEY", KEY)
    yield gateway
    gateway.close()


def test_agents_are_listed_with_what_their_skills_need_to_be_told(run: Run, gateway: FakeGateway) -> None:
    out = run("agents", "list").out
    assert "sync_products" in out
    assert "shop_id [everything]" in out
    assert run("agents", "list", "--json").document == {"agents": [AGENT]}


def test_a_skill_is_told_words_numbers_and_truth_values_and_ids_stay_text(run: Run, gateway: FakeGateway) -> None:
    told = ("shop_id=0199-1", "everything=true", "count=5", "note=it is 5 = five", "order=576461413038785752")
    outcome = run("agents", "use", "tiktok_shop", "sync_products", *told)
    assert outcome.document == {
        "shop_id": "0199-1",
        "everything": True,
        "count": 5,
        "note": "it is 5 = five",
        "order": "576461413038785752",
    }
    (request,) = gateway.memory.sent("/v1/agents:useSkill")
    assert (request.body["agent"], request.body["skill"]) == ("tiktok_shop", "sync_products")


def test_arguments_can_come_from_a_file(run: Run, gateway: FakeGateway, tmp_path: Path) -> None:
    file = tmp_path / "told.json"
    file.write_text('{"shop_id": "x"}')
    assert run("agents", "use", "tiktok_shop", "sync_products", "--file", str(file)).document == {"shop_id": "x"}


@pytest.mark.parametrize("argument", ["words", "=x"])
def test_what_is_no_argument_is_refused_before_anything_is_sent(run: Run, gateway: FakeGateway, argument: str) -> None:
    outcome = run("agents", "use", "tiktok_shop", "sync_products", argument)
    assert outcome.exit_code != 0
    assert "name=value" in outcome.err + outcome.out
    assert not gateway.memory.requests
