"""What platforms would refuse, known without asking. Pure: the one check of drafts, forecasts and attempts."""

from __future__ import annotations

from collections.abc import Sequence

from services.publisher import domain
from services.publisher.platforms import tiktok_checks
from services.publisher.platforms.base import MediaFile, Problem

BULLETIN_CHARACTERS = 2000


def problems(
    account: domain.Account,
    caption: str,
    media: Sequence[MediaFile],
    options: domain.Options | None,
    limits: domain.AccountLimits | None = None,
    *,
    serves_media: bool,
) -> list[Problem]:
    """The problems of a post of an account; with `limits`, also what the platform says that this account may not do.

    `options` None: the post has no choices for the platform. `serves_media`: the platform can fetch files from here.
    """
    match account.platform:
        case domain.Platform.TIKTOK:
            return tiktok_checks.problems(account, caption, media, options, limits, serves_media=serves_media)
        case domain.Platform.BULLETIN:
            return bulletin(caption, media)


def notes(
    account: domain.Account, caption: str, media: Sequence[MediaFile], options: domain.Options | None
) -> list[Problem]:
    """What the platform leaves out of a post, and publishes the rest. Nothing to stop for, but to be told at save."""
    match account.platform:
        case domain.Platform.TIKTOK:
            return tiktok_checks.notes(caption, media, options or {}, account.limits)
        case domain.Platform.BULLETIN:
            return []


def bulletin(caption: str, media: Sequence[MediaFile]) -> list[Problem]:
    """What Bulletin would refuse, known without asking it."""
    problems = []
    if not caption:
        problems.append(Problem("caption", "CAPTION_MISSING", "Bulletin publishes a text. Write one."))
    elif len(caption) > BULLETIN_CHARACTERS:
        text = f"Bulletin takes up to {BULLETIN_CHARACTERS} characters. Shorten the text."
        problems.append(Problem("caption", "CAPTION_TOO_LONG", text))
    if media:
        problems.append(
            Problem("media", "MEDIA_NOT_TAKEN", "Bulletin publishes a text alone. Make a post without media for it.")
        )
    return problems
