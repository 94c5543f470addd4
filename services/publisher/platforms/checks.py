"""What any platform would refuse, known without asking it: the one check of drafts, forecasts and attempts."""

from __future__ import annotations

from collections.abc import Sequence

from services.publisher import domain
from services.publisher.platforms import bulletin, tiktok
from services.publisher.platforms.base import MediaFile, Problem


def problems(
    platform: domain.Platform,
    caption: str,
    media: Sequence[MediaFile],
    options: domain.Options | None,
    limits: domain.AccountLimits | None = None,
) -> list[Problem]:
    """The problems of a post on a platform; with `limits`, also those that only this account has."""
    match platform:
        case domain.Platform.TIKTOK:
            return tiktok.check(caption, media, options, limits)
        case domain.Platform.BULLETIN:
            return bulletin.check(caption, media)
