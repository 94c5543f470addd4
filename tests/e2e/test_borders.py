"""What one workspace may not see of another, and what bad input leaves behind: nothing. On the real services."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.conftest import Product


@pytest.fixture(scope="module")
def stranger(running: Product) -> Iterator[httpx.Client]:
    """A client of another workspace of the same installation, allowed everything there."""
    workspace = running.api.post("/v1/workspaces", json={"display_name": "Another brand"})
    assert workspace.status_code == 201, workspace.text
    scopes = ["POSTS_READ", "POSTS_WRITE", "MEDIA_READ", "MEDIA_WRITE", "ACCOUNTS_READ", "ACCOUNTS_WRITE"]
    scopes += ["ORDERS_READ", "ORDERS_WRITE", "RECIPIENTS_READ"]
    key = running.api.post(
        f"/v1/workspaces/{workspace.json()['workspace_id']}/keys",
        json={"display_name": "all", "scopes": [*scopes, "ACTIVITY_READ", "WORKSPACE_ADMIN"]},
    )
    assert key.status_code == 201, key.text
    headers = {"Authorization": f"Bearer {key.json()['key_text']}"}
    with httpx.Client(base_url=running.stack.gateway_url, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def test_s2_another_workspaces_things_look_like_missing_ones(running: Product, stranger: httpx.Client) -> None:
    post = running.schedule("emberfold.air", in_seconds=3600)
    delivery = post["deliveries"][0]
    mine = {
        "post": f"/v1/posts/{post['post_id']}",
        "cancel": f"/v1/posts/{post['post_id']}:cancel",
        "publication": f"/v1/deliveries/{delivery['delivery_id']}/publication",
        "media": f"/v1/media/{post['media'][0]['media_asset_id']}",
        "account": f"/v1/accounts/{delivery['account_id']}",
    }
    for name, path in mine.items():
        method = "POST" if name == "cancel" else "GET"
        foreign = stranger.request(method, path)
        missing = stranger.request(method, path.replace(path.split("/")[3].split(":")[0], str(uuid.uuid4())))
        assert foreign.status_code == missing.status_code == 404, (name, foreign.text)
        assert foreign.json()["reason"] == missing.json()["reason"]
    assert stranger.patch(mine["post"], json={"caption": "theirs"}).status_code == 404
    assert stranger.get("/v1/posts").json()["posts"] == []
    assert stranger.get("/v1/activities", params={"post_id": post["post_id"]}).json()["activities"] == []
    assert running.get(mine["post"])["caption"] == post["caption"]
    running.api.post(mine["cancel"]).raise_for_status()


def test_s2_another_workspaces_media_and_accounts_cannot_be_used(running: Product, stranger: httpx.Client) -> None:
    refused = stranger.post(
        "/v1/posts",
        json={
            "account_ids": [running.accounts["emberfold.air"]],
            "caption": "theirs",
            "media_asset_ids": [running.upload()],
            "local_time": "2027-01-04T18:00:00",
            "time_zone": "UTC",
            "options": {"tiktok": {"privacy_level": "SELF_ONLY"}},
        },
    )
    assert refused.status_code == 422
    assert {"account_ids[0]", "media_asset_ids[0]"} <= {item["field"] for item in refused.json()["field_violations"]}
    assert stranger.get("/v1/posts").json()["posts"] == []


def test_s2_another_workspaces_merchants_rules_and_mappings_cannot_be_seen_used_or_changed(
    running: Product, stranger: httpx.Client
) -> None:
    merchant = running.api.post(
        "/v1/merchants",
        json={
            "name": "Emberfold",
            "seller_id": "A2EXAMPLE",
            "marketplace": "US",
            "refresh_token": "Atzr|sandbox-emberfold",
        },
    ).raise_for_status()
    merchant_path = f"/v1/merchants/{merchant.json()['merchant_id']}"
    draft = {
        "name": "Dear",
        "priority": 100,
        "condition": {"fact": "total", "operator": "MORE_THAN", "values": ["250"]},
        "action": {"kind": "HOLD", "reason": "too_dear"},
    }
    rule = running.api.post("/v1/routing-rules", json=draft).raise_for_status().json()
    mapping = {"marketplace": "US", "seller_sku": "MAT", "parts": [{"amazon_sku": "MAT-FBA", "quantity": 1}]}
    kept = running.api.post("/v1/sku-mappings:batchSet", json={"mappings": [mapping]}).raise_for_status().json()
    assert stranger.get(merchant_path).status_code == 404
    assert stranger.post(f"{merchant_path}:disconnect").status_code == 404
    assert stranger.put(f"/v1/routing-rules/{rule['rule_id']}", json=draft | {"revision": 1}).status_code == 404
    stranger.delete(f"/v1/routing-rules/{rule['rule_id']}")
    ids = [each["mapping_id"] for each in kept["mappings"]]
    assert stranger.post("/v1/sku-mappings:batchDelete", json={"mapping_ids": ids}).json() == {"deleted": 0}
    assert stranger.get("/v1/merchants").json()["merchants"] == []
    assert stranger.get("/v1/sku-mappings").json()["mappings"] == []
    assert not [each for each in stranger.get("/v1/routing-rules").json()["rules"] if not each["is_built_in"]]
    assert running.get(merchant_path)["state"] == "CONNECTED"
    assert rule in running.get("/v1/routing-rules", page_size="200")["rules"]
    assert running.get("/v1/sku-mappings")["mappings"] == kept["mappings"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"local_time": "2020-01-01T00:00:00"}, "local_time"),
        ({"local_time": "2027-03-14T02:30:00", "time_zone": "America/New_York"}, "local_time"),
        ({"time_zone": "CET"}, "time_zone"),
        ({"account_ids": []}, "account_ids"),
        ({"media_asset_ids": [str(uuid.UUID(int=7))]}, "media_asset_ids[0]"),
        ({"options": {}}, "options.tiktok.privacy_level"),
        ({"caption": "é" * 2201}, "caption"),
        ({"channel": "Not a name"}, "channel"),
    ],
)
def test_bad_input_is_refused_by_the_name_of_its_field_and_nothing_is_kept(
    running: Product, change: dict[str, object], field: str
) -> None:
    before = len(running.get("/v1/posts", page_size="200")["posts"])
    refused = running.api.post(
        "/v1/posts",
        json={
            "account_ids": [running.accounts["emberfold.air"]],
            "caption": "never",
            "media_asset_ids": [running.upload()],
            "local_time": "2027-01-04T18:00:00",
            "time_zone": "UTC",
            "options": {"tiktok": {"privacy_level": "SELF_ONLY"}},
            **change,
        },
    )
    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert field in {item["field"] for item in refused.json()["field_violations"]}, refused.text
    assert len(running.get("/v1/posts", page_size="200")["posts"]) == before


def test_a_file_that_is_not_what_it_claims_is_refused_with_the_reason(running: Product) -> None:
    answer = running.api.post("/v1/media", files={"file": ("clip.mp4", b"<html>sign in first</html>", "video/mp4")})
    assert answer.status_code == 422
    assert answer.json()["reason"].startswith("MEDIA_")
    assert answer.json()["field_violations"][0]["field"] == "file"


def test_r13_fifty_equal_requests_at_once_make_one_post_and_another_body_is_refused(running: Product) -> None:
    body = {
        "account_ids": [running.accounts["emberfold.air"]],
        "caption": "once",
        "media_asset_ids": [running.upload()],
        "local_time": "2027-02-04T18:00:00",
        "time_zone": "UTC",
        "options": {"tiktok": {"privacy_level": "SELF_ONLY"}},
    }
    key = {"Idempotency-Key": str(uuid.uuid4())}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: running.api.post("/v1/posts", json=body, headers=key), range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["post_id"] for answer in answers}) == 1
    other = running.api.post("/v1/posts", json={**body, "caption": "twice"}, headers=key)
    assert (other.status_code, other.json()["reason"]) == (409, "REQUEST_ID_REUSED")
