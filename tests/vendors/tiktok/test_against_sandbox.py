"""The client against the platform sandbox: two parts written from the same documents must agree."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from kit.vendor_errors import AccountRemedy, VendorAccountProblem, VendorUnavailable, VendorUncertain
from vendors.tiktok import oauth
from vendors.tiktok.chunks import ChunkPlan, ChunkSpan, plan_chunks
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.config import TikTokConfig
from vendors.tiktok.models import ChunkState, PublishState, PublishStatus, TokenGrant, VideoPost

pytestmark = pytest.mark.anyio
CALLBACK = "http://127.0.0.1:5000/callback"
POST = VideoPost(title="Air fryer & friends #emberfold", privacy_level="PUBLIC_TO_EVERYONE")
HEAD = b"\0\0\0\x18ftypisom"


@dataclass
class Scene:
    """A connected creator on a reset sandbox without delays, and the client that posts for it."""

    client: TikTokClient
    control: httpx.AsyncClient
    grant: TokenGrant

    async def fault(self, endpoint: str, mode: str, **more: Any) -> None:
        body = {"endpoint": f"tiktok.{endpoint}", "mode": mode} | more
        assert (await self.control.post("/control/faults", json=body)).status_code == 201

    async def effects(self) -> int:
        """Posts that exist, whoever knows of them."""
        return len((await self.control.get("/control/tiktok/posts")).json())

    async def verdict(self, publish_id: str) -> PublishStatus:
        async with asyncio.timeout(10):
            while True:
                status = await self.client.status_fetch(self.grant.access_token, publish_id)
                if status.state in (PublishState.PUBLISH_COMPLETE, PublishState.FAILED):
                    return status


@pytest.fixture
async def scene(address: str) -> AsyncIterator[Scene]:
    config = TikTokConfig(
        base_url=address,
        authorize_url=f"{address}/v2/auth/authorize/",
        client_key="sandbox-client-key",
        client_secret=SecretStr("sandbox-client-secret"),
    )
    async with httpx.AsyncClient(base_url=address, timeout=10, trust_env=False) as control:
        await control.post("/control/reset")
        delays = {"processing_seconds": 0, "moderation_seconds": 0}
        assert (await control.patch("/control/tiktok/settings", json=delays)).is_success
        async with TikTokClient(config) as client:
            key, state = oauth.new_proof_key(), oauth.new_state()
            page = oauth.authorize_url(config, redirect_uri=CALLBACK, state=state, code_challenge=key.challenge)
            answer = await control.post(page, data={"creator": "emberfold.air", "decision": "allow"})
            query = parse_qs(urlsplit(answer.headers["location"]).query)
            assert query["state"] == [state]
            grant = await client.exchange_code(code=query["code"][0], redirect_uri=CALLBACK, code_verifier=key.verifier)
            yield Scene(client, control, grant)


async def bytes_of(span: ChunkSpan) -> AsyncIterator[bytes]:
    piece = b"x" * 1_000_000
    for first in range(span.first, span.last + 1, len(piece)):
        part = piece[: min(len(piece), span.last + 1 - first)]
        yield HEAD + part[len(HEAD) :] if first == 0 else part


async def test_a_video_in_two_chunks_is_published_with_its_id(scene: Scene) -> None:
    access = scene.grant.access_token
    creator = await scene.client.creator_info(access)
    assert creator.username == "emberfold.air"
    assert POST.privacy_level in creator.privacy_level_options

    plan = ChunkPlan(15_000_001, 7_000_000, 2)
    upload = await scene.client.video_init(access, POST, plan)
    replies = [await scene.client.upload_chunk(upload.upload_url, span, bytes_of(span)) for span in plan.spans()]
    assert [reply.state for reply in replies] == [ChunkState.STORED, ChunkState.COMPLETE]

    status = await scene.verdict(upload.publish_id)
    assert (status.state, status.uploaded_bytes) == (PublishState.PUBLISH_COMPLETE, plan.video_size)
    page = await scene.client.video_list(access)
    assert status.post_ids == (page.videos[0].id,)
    assert (await scene.client.user_info(access)).open_id == scene.grant.open_id


async def test_a_final_chunk_whose_reply_is_lost_is_settled_by_the_status_alone(scene: Scene) -> None:
    plan = plan_chunks(1_000)
    upload = await scene.client.video_init(scene.grant.access_token, POST, plan)
    await scene.fault("upload", "lost_reply")
    with pytest.raises(VendorUncertain):
        await scene.client.upload_chunk(upload.upload_url, plan.span(0), bytes_of(plan.span(0)))
    assert (await scene.verdict(upload.publish_id)).state is PublishState.PUBLISH_COMPLETE
    assert await scene.effects() == 1


async def test_a_chunk_that_was_cut_off_is_sent_again_from_where_tiktok_stands(scene: Scene) -> None:
    plan = ChunkPlan(15_000_001, 7_000_000, 2)
    upload = await scene.client.video_init(scene.grant.access_token, POST, plan)
    await scene.fault("upload", "lost_reply")
    with pytest.raises(VendorUnavailable):
        await scene.client.upload_chunk(upload.upload_url, plan.span(0), bytes_of(plan.span(0)))
    again = await scene.client.upload_chunk(upload.upload_url, plan.span(0), bytes_of(plan.span(0)))
    assert again.state is ChunkState.OUT_OF_STEP
    assert again.range_end is not None
    assert plan.index_after(again.range_end) == 1
    last = await scene.client.upload_chunk(upload.upload_url, plan.span(1), bytes_of(plan.span(1)))
    assert last.state is ChunkState.COMPLETE


async def test_an_init_whose_reply_is_lost_is_repeated_and_publishes_nothing(scene: Scene) -> None:
    await scene.fault("video_init", "lost_reply")
    upload = await scene.client.video_init(scene.grant.access_token, POST, plan_chunks(1_000))
    status = await scene.client.status_fetch(scene.grant.access_token, upload.publish_id)
    assert status.state is PublishState.PROCESSING_UPLOAD


async def test_a_refresh_brings_a_token_that_works_and_a_revocation_ends_it(scene: Scene) -> None:
    assert scene.grant.refresh_token is not None
    renewed = await scene.client.refresh(scene.grant.refresh_token)
    assert (await scene.client.creator_info(renewed.access_token)).username == "emberfold.air"
    await scene.client.revoke(renewed.access_token)
    with pytest.raises(VendorAccountProblem) as refusal:
        await scene.client.creator_info(renewed.access_token)
    assert refusal.value.remedy is AccountRemedy.REFRESH
