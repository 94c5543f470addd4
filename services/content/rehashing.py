"""Makes the frame hashes of files that were kept before there were any, by looking into their bytes again.

It is a duty of every replica. Two of them may look into the same file: they find the same, and the first one writes it.
Whoever dies midway has written nothing, and the file's turn comes again.
"""

from __future__ import annotations

import structlog

from kit.db import ALL_WORKSPACES, Database
from services.content import store
from services.content.blobs import BlobKey, BlobMissing, BlobStore
from services.content.domain import MediaAsset
from services.content.media import MediaRefused
from services.content.probe import Prober

log = structlog.get_logger()


def rehash(database: Database, blobs: BlobStore, prober: Prober, *, at_most: int) -> int:
    """Makes the hashes of a few files, one after the other; says of how many.

    Raises ProbeUnavailable and BlobStoreUnavailable: what was done until then stays done.
    """
    with database.transaction(ALL_WORKSPACES) as tx:
        assets = store.assets_without_hashes(tx, at_most)
    for asset in assets:
        hashes = _look_again(asset, blobs, prober)
        with database.transaction(asset.workspace_id) as tx:
            store.set_frame_hashes(tx, asset.workspace_id, asset.media_asset_id, hashes)
    return len(assets)


def _look_again(asset: MediaAsset, blobs: BlobStore, prober: Prober) -> tuple[int, ...]:
    try:
        with blobs.local_path(BlobKey(asset.workspace_id, asset.sha256)) as path:
            return prober.probe(path).frame_hashes or ()
    except (BlobMissing, MediaRefused) as error:
        # It has none, then, and is not looked into for ever. Whoever publishes it is told what is wrong with it.
        log.warning("file cannot be looked into again", media_asset_id=str(asset.media_asset_id), reason=error.reason)
        return ()
