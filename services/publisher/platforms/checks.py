"""What platforms would refuse, known without asking. Pure: the one check of drafts, forecasts and attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.publisher import domain
from services.publisher.platforms import tiktok_checks, tiktok_shop_checks
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
        case domain.Platform.TIKTOK_SHOP:
            return tiktok_shop_checks.problems(account, caption, media, options or {})


def notes(
    account: domain.Account, caption: str, media: Sequence[MediaFile], options: domain.Options | None
) -> list[Problem]:
    """What the platform leaves out of a post, and publishes the rest. Nothing to stop for, but to be told at save."""
    match account.platform:
        case domain.Platform.TIKTOK:
            return tiktok_checks.notes(caption, media, options or {}, account.limits)
        case domain.Platform.BULLETIN:
            return []
        case domain.Platform.TIKTOK_SHOP:
            return tiktok_shop_checks.notes(media, options or {})


def product_link(account: domain.Account, choices: Mapping[domain.Platform, domain.Options | None]) -> list[Problem]:
    """What becomes of a product link, which is a choice for TikTok Shop, on a TikTok account: TikTok has none."""
    wanted = (choices.get(domain.Platform.TIKTOK_SHOP) or {}).get("product_id")
    if account.platform is not domain.Platform.TIKTOK or not wanted:
        return []
    field = "options.tiktok_shop.product_id"
    if domain.is_draft(choices.get(domain.Platform.TIKTOK) or {}):
        return [
            Problem(
                field,
                "PRODUCT_LINK_NOT_SENT",
                f"TikTok takes no product link with a draft. @{account.handle} adds it in the app before posting.",
                blocking=False,
            )
        ]
    return [
        Problem(
            field,
            "PRODUCT_LINK_NOT_POSSIBLE",
            f"TikTok's Content Posting API has no product links, so @{account.handle} cannot post one. Choose a"
            " TikTok Shop creator account; or post a draft (options.tiktok.post_mode MEDIA_UPLOAD) and add the link in"
            " the app.",
        )
    ]


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
