"""`reelroute posts create` and `queue`: one post, at a time of its own or in the next free slot."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import content, display, options, post_view
from cli.client import Api, Json
from cli.display import failures


def create(
    at: Annotated[str, typer.Option("--at", help="Wall-clock time: 2027-01-04T18:00")],
    zone: Annotated[str, typer.Option(help="Its IANA zone: Europe/Berlin")],
    account: content.Accounts,
    media: content.Media,
    caption: content.Caption = "",
    privacy: options.PrivacyLevel = None,
    channel: content.Channel = "",
    ref: content.Ref = "",
    ambiguous_time: options.Ambiguous = None,
    max_lateness: options.MaxLateness = "",
    late: options.Late = None,
    accept_conflicts: content.AcceptConflicts = False,
    allow_comment: options.AllowComment = False,
    allow_duet: options.AllowDuet = False,
    allow_stitch: options.AllowStitch = False,
    brand_organic: options.BrandOrganic = False,
    branded_content: options.BrandedContent = False,
    ai_generated: options.AiGenerated = False,
    draft: options.Draft = False,
    music_usage_confirmed: options.MusicUsageConfirmed = False,
    auto_add_music: options.AutoAddMusic = False,
    photo_cover: options.PhotoCover = 1,
    photo_title: options.PhotoTitle = "",
    product: options.Product = "",
    product_title: options.ProductTitle = "",
    product_cover_ms: options.ProductCover = 0,
    product_music: options.ProductMusic = "",
    as_json: options.AsJson = False,
) -> None:
    """Schedules one post."""
    with failures(as_json=as_json):
        choices = options.platforms(
            privacy,
            allow_comment=allow_comment,
            allow_duet=allow_duet,
            allow_stitch=allow_stitch,
            brand_organic=brand_organic,
            branded_content=branded_content,
            ai_generated=ai_generated,
            draft=draft,
            music_usage_confirmed=music_usage_confirmed,
            auto_add_music=auto_add_music,
            photo_cover=photo_cover,
            photo_title=photo_title,
            product=product,
            product_title=product_title,
            product_cover_ms=product_cover_ms,
            product_music=product_music,
            as_json=as_json,
        )
        with options.api() as api:
            wanted = content.content(
                api,
                accounts=account,
                media=media,
                caption=caption,
                channel=channel,
                ref=ref,
                choices=choices,
                lateness=options.lateness(max_lateness, late),
                accept_conflicts=accept_conflicts,
            )
            timed = {"local_time": at, "time_zone": zone, "ambiguous_time": ambiguous_time and ambiguous_time.value}
            _tell(api, api.post("/v1/posts", wanted | timed), as_json=as_json)


def queue(
    account: content.Accounts,
    media: content.Media,
    channel: Annotated[str, typer.Option(help="Whose next free slot is taken.")],
    caption: content.Caption = "",
    privacy: options.PrivacyLevel = None,
    not_before: Annotated[str, typer.Option(help="Not before this instant: 2027-01-04T00:00:00Z")] = "",
    ref: content.Ref = "",
    max_lateness: options.MaxLateness = "",
    late: options.Late = None,
    accept_conflicts: content.AcceptConflicts = False,
    allow_comment: options.AllowComment = False,
    allow_duet: options.AllowDuet = False,
    allow_stitch: options.AllowStitch = False,
    brand_organic: options.BrandOrganic = False,
    branded_content: options.BrandedContent = False,
    ai_generated: options.AiGenerated = False,
    draft: options.Draft = False,
    music_usage_confirmed: options.MusicUsageConfirmed = False,
    auto_add_music: options.AutoAddMusic = False,
    photo_cover: options.PhotoCover = 1,
    photo_title: options.PhotoTitle = "",
    product: options.Product = "",
    product_title: options.ProductTitle = "",
    product_cover_ms: options.ProductCover = 0,
    product_music: options.ProductMusic = "",
    as_json: options.AsJson = False,
) -> None:
    """Schedules one post in the next free slot of its channel. `reelroute plan slots` shows the slots."""
    with failures(as_json=as_json):
        choices = options.platforms(
            privacy,
            allow_comment=allow_comment,
            allow_duet=allow_duet,
            allow_stitch=allow_stitch,
            brand_organic=brand_organic,
            branded_content=branded_content,
            ai_generated=ai_generated,
            draft=draft,
            music_usage_confirmed=music_usage_confirmed,
            auto_add_music=auto_add_music,
            photo_cover=photo_cover,
            photo_title=photo_title,
            product=product,
            product_title=product_title,
            product_cover_ms=product_cover_ms,
            product_music=product_music,
            as_json=as_json,
        )
        with options.api() as api:
            wanted = content.content(
                api,
                accounts=account,
                media=media,
                caption=caption,
                channel=channel,
                ref=ref,
                choices=choices,
                lateness=options.lateness(max_lateness, late),
                accept_conflicts=accept_conflicts,
            )
            post = api.post("/v1/posts:queue", wanted | {"not_before_time": not_before or None})
            _tell(api, post, as_json=as_json)


def _tell(api: Api, post: Json, *, as_json: bool) -> None:
    if as_json:
        display.document(post)
        return
    post_view.show(post, options.handles(api))
    post_view.doubts(post)
