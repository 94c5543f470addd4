"""The store of media bytes keeps its promises on disk and on S3 alike."""

import hashlib
import logging
import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import boto3
import pytest
from moto.server import ThreadedMotoServer

from services.content.blobs import (
    CHUNK_BYTES,
    BlobKey,
    BlobMissing,
    BlobStore,
    BlobStoreUnavailable,
    DiskBlobStore,
    TooLarge,
)
from services.content.blobs_s3 import S3BlobStore

WORKSPACE = UUID("0199aaaa-0000-7000-8000-000000000001")
ANOTHER = UUID("0199aaaa-0000-7000-8000-000000000002")
MIB = 1024 * 1024
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_address: str, request: pytest.FixtureRequest) -> str:
    name = "b" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    s3_client(s3_address).create_bucket(Bucket=name)
    return name


def s3_client(address: str):  # type: ignore[no-untyped-def]
    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="anyone",
        aws_secret_access_key="anything",
    )


def s3_store(address: str, bucket: str, staging: Path) -> S3BlobStore:
    return S3BlobStore(
        bucket,
        staging,
        endpoint_url=address,
        region="us-east-1",
        access_key_id="anyone",
        secret_access_key="anything",
        connect_timeout_seconds=1,
    )


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "disk":
        return DiskBlobStore(tmp_path)
    bucket = request.getfixturevalue("bucket")
    return s3_store(request.getfixturevalue("s3_address"), bucket, tmp_path / "staging")


def put(store: BlobStore, content: bytes, workspace: UUID = WORKSPACE) -> BlobKey:
    with store.stage([content], max_bytes=len(content)) as staged:
        key = staged.key(workspace)
        store.commit(staged, key)
        return key


def temporaries(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "staging").iterdir())


# ---- both stores


def test_what_was_committed_is_read_back_whole_and_in_part(store: BlobStore) -> None:
    content = os.urandom(2 * CHUNK_BYTES + 17)
    key = put(store, content)
    assert key.sha256 == hashlib.sha256(content).hexdigest()
    chunks = list(store.open(key))
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert b"".join(store.open(key, offset=5, length=CHUNK_BYTES)) == content[5 : 5 + CHUNK_BYTES]
    assert b"".join(store.open(key, offset=len(content) - 3)) == content[-3:]
    assert b"".join(store.open(key, offset=len(content) - 3, length=50)) == content[-3:]
    assert b"".join(store.open(key, length=0)) == b""
    assert b"".join(store.open(key, offset=len(content))) == b""


def test_an_empty_file_can_be_kept(store: BlobStore) -> None:
    assert list(store.open(put(store, b""))) == []


def test_staged_bytes_can_be_looked_into_and_are_not_stored_yet(store: BlobStore, tmp_path: Path) -> None:
    with store.stage([b"ab", b"", b"c"], max_bytes=3) as staged:
        assert staged.path.read_bytes() == b"abc"
        assert (staged.size, staged.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
        assert not store.exists(staged.key(WORKSPACE))
    assert temporaries(tmp_path) == []


def test_more_bytes_than_allowed_are_refused_at_once_and_leave_nothing(store: BlobStore, tmp_path: Path) -> None:
    asked: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            asked.append(1)
            yield b"x" * 1000

    with pytest.raises(TooLarge) as refused:
        store.stage(endless(), max_bytes=2500)
    assert len(asked) == 3  # the third chunk crosses the limit
    assert refused.value.metadata == {"limit_bytes": "2500"}
    assert temporaries(tmp_path) == []


def test_an_upload_that_breaks_off_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"first"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.stage(broken(), max_bytes=100)
    assert temporaries(tmp_path) == []


def test_the_same_bytes_twice_are_one_blob_per_workspace(store: BlobStore) -> None:
    assert put(store, b"abc") == put(store, b"abc")
    put(store, b"abc", ANOTHER)
    store.delete(BlobKey(ANOTHER, hashlib.sha256(b"abc").hexdigest()))
    assert store.exists(BlobKey(WORKSPACE, hashlib.sha256(b"abc").hexdigest()))


def test_what_is_not_there_is_missing_at_once_and_may_be_deleted(store: BlobStore) -> None:
    key = put(store, b"abc")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)
    for length in (None, 0, 1):
        with pytest.raises(BlobMissing):
            store.open(key, length=length)
    with pytest.raises(BlobMissing), store.local_path(key):
        pass


def test_a_local_path_lets_the_bytes_be_read_as_a_file(store: BlobStore, tmp_path: Path) -> None:
    key = put(store, b"abc")
    with store.local_path(key) as path:
        assert path.read_bytes() == b"abc"
    assert temporaries(tmp_path) == []
    assert store.exists(key)


def test_bytes_go_under_their_own_hash_or_nowhere(store: BlobStore) -> None:
    with store.stage([b"abc"], max_bytes=3) as staged, pytest.raises(ValueError, match="hash"):
        store.commit(staged, BlobKey(WORKSPACE, "0" * 64))


def test_abandoned_temporaries_are_swept_and_younger_ones_and_blobs_kept(store: BlobStore, tmp_path: Path) -> None:
    key = put(store, b"kept")
    abandoned = store.stage([b"abandoned"], max_bytes=100)
    running = store.stage([b"running"], max_bytes=100)
    hours_ago = datetime.now(UTC) - timedelta(hours=5)
    os.utime(abandoned.path, (hours_ago.timestamp(),) * 2)
    assert store.sweep(datetime.now(UTC) - timedelta(hours=1)) == 1
    assert temporaries(tmp_path) == [running.path]
    assert store.exists(key)


def test_a_large_file_passes_through_without_being_held_in_memory(store: BlobStore) -> None:
    block = bytes(MIB)
    tracemalloc.start()
    try:
        with store.stage((block for _ in range(64)), max_bytes=64 * MIB) as staged:
            key = staged.key(WORKSPACE)
            if isinstance(store, DiskBlobStore):  # the S3 server of these tests lives in this process
                store.commit(staged, key)
                assert sum(map(len, store.open(key))) == 64 * MIB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MIB  # about 2 on its own; threads of the S3 server allocate here too


# ---- keys


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 65, ""])
def test_nothing_but_a_hash_can_be_a_key(name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        BlobKey(WORKSPACE, name)


def test_a_workspace_in_a_key_is_a_uuid() -> None:
    with pytest.raises(ValueError, match="UUID"):
        BlobKey("../up", "a" * 64)  # type: ignore[arg-type]


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1)])
def test_a_range_counts_from_zero(store: BlobStore, offset: int, length: int | None) -> None:
    with pytest.raises(ValueError, match="zero"):
        store.open(put(store, b"abc"), offset=offset, length=length)


# ---- disk only


def test_only_the_service_itself_may_read_the_files(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path / "media")
    key = put(store, b"abc")
    with store.local_path(key) as path:
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_a_disk_that_fails_is_the_stores_trouble(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path / "media")
    (tmp_path / "media" / "staging").rmdir()
    with pytest.raises(BlobStoreUnavailable):
        store.stage([b"abc"], max_bytes=3)


# ---- S3 only


def test_a_large_object_goes_out_in_parts(s3_address: str, bucket: str, tmp_path: Path) -> None:
    content = os.urandom(MIB) * 17
    key = put(s3_store(s3_address, bucket, tmp_path), content)
    head = s3_client(s3_address).head_object(Bucket=bucket, Key=str(key))
    assert head["ETag"].strip('"').endswith("-3")  # 8 + 8 + 1 MiB
    assert b"".join(s3_store(s3_address, bucket, tmp_path).open(key)) == content


def test_parts_of_an_upload_that_died_are_swept(s3_address: str, bucket: str, tmp_path: Path) -> None:
    client = s3_client(s3_address)
    client.create_multipart_upload(Bucket=bucket, Key="unfinished")
    store = s3_store(s3_address, bucket, tmp_path)
    assert store.sweep(datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert store.sweep(FAR_FUTURE) == 1
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


def test_a_store_that_does_not_answer_or_has_no_bucket_is_unavailable(s3_address: str, tmp_path: Path) -> None:
    for store in (s3_store("http://127.0.0.1:1", "any", tmp_path), s3_store(s3_address, "nosuchbucket", tmp_path)):
        with pytest.raises(BlobStoreUnavailable) as refused:
            put(store, b"abc")
        assert "127.0.0.1" not in refused.value.message
