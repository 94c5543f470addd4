"""The blob store on S3 and what speaks its language (MinIO, Ceph, R2, ...). Imported only when configured: boto3 is
slow.

Uploads wait on local disk, as in the disk store, because a file must be looked into before it is stored and its key is
its hash. From there they go out in parts; an object appears whole or not at all. Parts of a process that died cost
money and are seen by nobody: `sweep` aborts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.content.blobs import (
    CHUNK_BYTES,
    BlobKey,
    BlobMissing,
    BlobStoreUnavailable,
    StagedBlob,
    Staging,
    check_key,
    check_range,
    translated,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# S3 takes parts of 5 MiB and more, at most 10,000 of them: 8 MiB reach 78 GiB.
_PART_BYTES = 8 * 1024 * 1024
_GONE = frozenset({"404", "NoSuchKey", "NotFound"})


class S3BlobStore:
    """Objects `<workspace>/<sha256>` in one bucket, and a folder of temporary files on local disk.

    Without `access_key_id` boto3's own chain is used (environment, files, instance role). Time-outs are in seconds,
    for one connection and for one wait for bytes; a request is tried three times in all.
    """

    def __init__(
        self,
        bucket: str,
        staging: Path,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        connect_timeout_seconds: float = 5,
        read_timeout_seconds: float = 60,
    ) -> None:
        self._bucket = bucket
        self._staging = Staging(staging)
        self._client: S3Client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            config=Config(
                connect_timeout=connect_timeout_seconds,
                read_timeout=read_timeout_seconds,
                retries={"mode": "standard", "total_max_attempts": 3},
                # One's own host name seldom has a certificate for every bucket's name.
                s3={"addressing_style": "path" if endpoint_url else "auto"},
                # Many compatible stores refuse the checksum headers that boto3 sends since 1.36.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._transfer = TransferConfig(
            multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=2, use_threads=True
        )

    def stage(self, chunks: Iterable[bytes], *, max_bytes: int) -> StagedBlob:
        """As BlobStore.stage."""
        return self._staging.take(chunks, max_bytes=max_bytes)

    def commit(self, staged: StagedBlob, key: BlobKey) -> None:
        """As BlobStore.commit."""
        check_key(staged, key)
        with self._answering():
            self._client.upload_file(str(staged.path), self._bucket, str(key), Config=self._transfer)
        staged.discard()

    def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """As BlobStore.open. The request goes out at once, the bytes come as they are read."""
        check_range(offset, length)
        if length == 0:
            if not self.exists(key):
                raise BlobMissing
            return iter(())
        span = f"bytes={offset}-" if length is None else f"bytes={offset}-{offset + length - 1}"
        try:
            with self._answering():
                # An empty object satisfies no range at all, so a whole one is asked for without.
                wanted: dict[str, Any] = {"Range": span} if offset or length is not None else {}
                body = self._client.get_object(Bucket=self._bucket, Key=str(key), **wanted)["Body"]
        except _BehindTheEnd:
            return iter(())
        return self._read(body)

    def _read(self, body: Any) -> Iterator[bytes]:
        try:
            while True:
                with self._answering():
                    chunk: bytes = body.read(CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    def exists(self, key: BlobKey) -> bool:
        """As BlobStore.exists."""
        try:
            with self._answering():
                self._client.head_object(Bucket=self._bucket, Key=str(key))
        except BlobMissing:
            return False
        return True

    def delete(self, key: BlobKey) -> None:
        """As BlobStore.delete."""
        with self._answering():
            self._client.delete_object(Bucket=self._bucket, Key=str(key))

    @contextmanager
    def local_path(self, key: BlobKey) -> Iterator[Path]:
        """As BlobStore.local_path: a copy on local disk, removed afterwards."""
        path = self._staging.spare()
        try:
            with translated(), path.open("wb") as file:
                for chunk in self.open(key):
                    file.write(chunk)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def sweep(self, older_than: datetime) -> int:
        """As BlobStore.sweep: local temporaries, and parts of uploads that were never completed."""
        swept = self._staging.sweep(older_than)
        with self._answering():
            for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket):
                for upload in page.get("Uploads", []):
                    if upload["Initiated"] < older_than:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        swept += 1
        return swept

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turns the library's errors into ours by what is done next: it is not there, or try again later."""
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _GONE:
                raise BlobMissing from error
            if code == "InvalidRange":
                raise _BehindTheEnd from error
            raise BlobStoreUnavailable from error
        except (BotoCoreError, Boto3Error, OSError) as error:
            raise BlobStoreUnavailable from error


class _BehindTheEnd(Exception):
    """A read that starts behind the last byte: for us that is nothing to read, for S3 it is an error."""
