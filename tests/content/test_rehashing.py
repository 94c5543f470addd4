"""Files that were kept before there were hashes get theirs, whatever happens meanwhile."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from kit.db import Database
from services.content import store
from services.content.blobs import DiskBlobStore
from services.content.domain import MediaAsset
from services.content.media import ProbeLimits
from services.content.probe import Prober, ProbeUnavailable, probe
from services.content.rehashing import rehash
from tests.content.samples import ANOTHER, DEMO_VIDEO, MEDIA, STILL, WORKSPACE

PICTURE = MEDIA / "draw_boxes_1080x1350.jpg"
OLD = replace(STILL, frame_hashes=None)


@pytest.fixture
def blobs(tmp_path: Path) -> DiskBlobStore:
    return DiskBlobStore(tmp_path)


def keep_old(database: Database, blobs: DiskBlobStore, path: Path, workspace: UUID = WORKSPACE) -> MediaAsset:
    with blobs.stage([path.read_bytes()], max_bytes=10**9) as staged, database.transaction(workspace) as tx:
        blobs.commit(staged, staged.key(workspace))
        asset, _ = store.keep_asset(
            tx, workspace, file_name=path.name, sha256=staged.sha256, size_bytes=staged.size, facts=OLD
        )
    return asset


def hashes_of(database: Database, asset: MediaAsset) -> tuple[int, ...] | None:
    with database.transaction(asset.workspace_id) as tx:
        return store.read_asset(tx, asset.workspace_id, asset.media_asset_id).facts.frame_hashes


def test_older_files_of_every_workspace_get_their_hashes_a_few_at_a_time(
    database: Database, blobs: DiskBlobStore
) -> None:
    assets = [keep_old(database, blobs, path) for path in (PICTURE, DEMO_VIDEO)]
    assets.append(keep_old(database, blobs, PICTURE, ANOTHER))
    prober = Prober(ProbeLimits())
    assert [rehash(database, blobs, prober, at_most=2) for _ in range(3)] == [2, 1, 0]
    picture, video = probe(PICTURE).frame_hashes, probe(DEMO_VIDEO).frame_hashes
    assert [hashes_of(database, asset) for asset in assets] == [picture, video, picture]


def test_two_replicas_that_look_into_the_same_file_agree(database: Database, blobs: DiskBlobStore) -> None:
    asset = keep_old(database, blobs, PICTURE)
    prober = Prober(ProbeLimits())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: rehash(database, blobs, prober, at_most=4), range(2)))
    assert hashes_of(database, asset) == probe(PICTURE).frame_hashes


def test_hashes_that_are_there_stay(database: Database, blobs: DiskBlobStore) -> None:
    asset = keep_old(database, blobs, PICTURE)
    for hashes in ([], [5]):
        with database.transaction(WORKSPACE) as tx:
            store.set_frame_hashes(tx, WORKSPACE, asset.media_asset_id, hashes)
    assert hashes_of(database, asset) == ()


def test_a_file_that_is_lost_or_refused_now_is_not_looked_into_for_ever(
    database: Database, blobs: DiskBlobStore
) -> None:
    refused = keep_old(database, blobs, MEDIA / "truncated.jpg")
    with database.transaction(WORKSPACE) as tx:
        sha256 = hashlib.sha256(b"never stored").hexdigest()
        lost, _ = store.keep_asset(tx, WORKSPACE, file_name="lost.jpg", sha256=sha256, size_bytes=12, facts=OLD)
    prober = Prober(ProbeLimits())
    assert [rehash(database, blobs, prober, at_most=4) for _ in range(2)] == [2, 0]
    assert (hashes_of(database, refused), hashes_of(database, lost)) == ((), ())


def test_a_file_waits_while_nothing_can_be_looked_into(database: Database, blobs: DiskBlobStore) -> None:
    asset = keep_old(database, blobs, PICTURE)
    with pytest.raises(ProbeUnavailable):
        rehash(database, blobs, Prober(ProbeLimits(), worker=[os.devnull]), at_most=4)
    assert hashes_of(database, asset) is None
