from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from reelroute.scheduler.v1 import scheduler_pb2 as pb
from sqlalchemy import Connection, text

from kit.db import ALL_WORKSPACES, Database
from kit.idempotency import KEEP_HOURS, RequestIdReused, forget, once
from services.scheduler import store
from services.scheduler.domain import Draft, NewPost, Schedule
from services.scheduler.tables import requests
from tests.services import service_database

WORKSPACE, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
def database(database_server: str) -> Iterator[Database]:
    with service_database(database_server, "scheduler") as opened:
        yield opened


def create(
    database: Database, request_id: str = "r", *, workspace: UUID = WORKSPACE, ref: str = "", cut_off: bool = False
) -> str:
    """What a creating RPC does; returns the id of what it made."""
    request = pb.CreatePostRequest(
        workspace_id=str(workspace), request_id=request_id, post=pb.PostDraft(ref=ref, channel="air")
    )
    with database.transaction(workspace) as tx:
        answer = once(
            tx,
            requests,
            workspace_id=workspace,
            request_id=request_id,
            request=request,
            response_type=pb.CreatePostResponse,
            make=lambda: make(tx, workspace, cut_off),
        )
    return answer.post.post_id


def make(tx: Connection, workspace: UUID, cut_off: bool) -> pb.CreatePostResponse:
    now = datetime.now(UTC)
    draft = Draft("air", (uuid4(),), "", (), Schedule(now.replace(tzinfo=None), "UTC", 0, now), {}, "")
    (post_id,) = store.insert_posts(tx, workspace, [NewPost(draft)])
    if cut_off:
        raise RuntimeError("cut off")
    return pb.CreatePostResponse(post=pb.Post(post_id=str(post_id)))


def count(database: Database, table: str) -> int:
    with database.transaction(ALL_WORKSPACES) as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_r13_of_fifty_equal_requests_at_once_one_creates_and_all_get_its_answer(database: Database) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(lambda _: create(database), range(50)))
    assert len(answers) == 1
    assert count(database, "posts") == 1


def test_another_request_under_a_used_id_is_refused(database: Database) -> None:
    create(database)
    with pytest.raises(RequestIdReused) as refusal:
        create(database, ref="another")
    assert refusal.value.reason == "REQUEST_ID_REUSED"
    assert count(database, "posts") == 1


def test_the_ids_of_another_workspace_are_its_own(database: Database) -> None:
    assert create(database) != create(database, workspace=OTHER)
    assert count(database, "posts") == 2


def test_a_creation_that_fails_leaves_nothing_and_may_be_repeated(database: Database) -> None:
    with pytest.raises(RuntimeError, match="cut off"):
        create(database, cut_off=True)
    assert (count(database, "posts"), count(database, "requests")) == (0, 0)
    assert create(database)


def test_old_answers_are_forgotten_and_young_ones_kept(database: Database) -> None:
    create(database, "old")
    create(database, "young")
    with database.transaction(ALL_WORKSPACES) as tx:
        tx.execute(
            text("UPDATE requests SET create_time = now() - make_interval(hours => :hours) WHERE request_id = 'old'"),
            {"hours": KEEP_HOURS + 1},
        )
    assert forget(database, requests) == 1
    assert forget(database, requests) == 0
    with database.transaction(ALL_WORKSPACES) as tx:
        assert tx.execute(text("SELECT request_id FROM requests")).scalars().all() == ["young"]
