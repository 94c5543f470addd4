"""The files of other tools, as they take them: their headers to the letter, one account per file, times in its zone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from services.gateway.calendars.formulas import guarded
from services.gateway.calendars.posts import Post, Remark
from services.gateway.calendars.tools import BUFFER, HOOTSUITE, METRICOOL, PUBLER

_BUFFER_PICTURES = (".jpg", ".jpeg", ".png")
_TITLE_CHARACTERS = 90


def rows(
    tool: str, posts: Iterable[Post], remarks: list[Remark], *, time_zone: str, media_prefix: str
) -> Iterator[Sequence[str]]:
    """Header, where the tool has one, and a row for each post."""
    columns, row = _LAYOUTS[tool]
    if columns is not HOOTSUITE:
        yield columns
    zone = ZoneInfo(time_zone)
    for post in posts:
        moment = post.schedule_time.astimezone(zone)
        lost = _lost(tool, post, moment)
        addresses = [media_prefix + quote(name) for name in post.media]
        cells = row(post, moment, addresses, lost)
        remarks += [Remark(post.post_id, post.ref, message) for message in lost]
        yield [cells.get(name, "") for name in columns]


def _lost(tool: str, post: Post, moment: datetime) -> list[str]:
    """What no file of such a tool can say, or says otherwise."""
    lost = []
    if moment.second and tool != "metricool":
        lost.append(f"{tool.title()} plans by the minute: {moment:%H:%M:%S} is written as {moment:%H:%M}.")
    if moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset():
        lost.append(f"{moment:%Y-%m-%d %H:%M} comes twice on that day; {tool.title()} may take the other one.")
    if len(post.handles) > 1:
        lost.append(f"One file is for one account: {', '.join(f'@{each}' for each in post.handles)} have the post.")
    if guarded(post.caption) != post.caption:
        lost.append(
            f"The caption begins as a formula does, so it has an apostrophe in front. Take it away in {tool.title()}."
        )
    if tool != "metricool" and post.tiktok.privacy_level:
        lost.append(f"{tool.title()} has no column for TikTok's privacy and interaction settings: choose them there.")
    if post.tiktok.cover_time_ms:
        lost.append("The cover's time cannot travel.")
    if post.tiktok.post_mode == "MEDIA_UPLOAD":
        lost.append(f"It is a draft for the owner's inbox: say so in {tool.title()}.")
    return lost


def _hootsuite(post: Post, moment: datetime, addresses: Sequence[str], lost: list[str]) -> dict[str, str]:
    if len(addresses) > 1:
        lost.append("Only the first file is named: Hootsuite has one link for each post.")
    return {"when": f"{moment:%m/%d/%Y %H:%M}", "text": post.caption, "link": next(iter(addresses), "")}


def _buffer(post: Post, moment: datetime, addresses: Sequence[str], lost: list[str]) -> dict[str, str]:
    pictures = [each for each in addresses if each.casefold().endswith(_BUFFER_PICTURES)]
    if len(pictures) < len(addresses):
        lost.append("Buffer takes JPEG and PNG pictures by address, no other files: add them there.")
    if len(pictures) > 1:
        lost.append("Only the first picture is named: Buffer has one for each post.")
    return {
        "Text": post.caption,
        "Image URL": next(iter(pictures), ""),
        "Tags": post.channel,
        "Posting Time": f"{moment:%Y-%m-%d %H:%M}",
    }


def _publer(post: Post, moment: datetime, addresses: Sequence[str], lost: list[str]) -> dict[str, str]:
    day, text, _, media, _, labels, *_ = PUBLER
    return {
        day: f"{moment:%Y/%m/%d %H:%M}",
        text: post.caption,
        media: ",".join(addresses),
        labels: post.channel,
    }


def _metricool(post: Post, moment: datetime, addresses: Sequence[str], lost: list[str]) -> dict[str, str]:
    if len(addresses) > 10:
        lost.append("Only the first ten files are named: Metricool has no more columns.")
    chosen = post.tiktok
    networks = METRICOOL[4:14]
    return {
        "Text": post.caption,
        "Date": f"{moment:%Y-%m-%d}",
        "Time": f"{moment:%H:%M:%S}",
        "Draft": "FALSE",
        **{network: "TRUE" if network == "TikTok" else "FALSE" for network in networks},
        **{f"Picture Url {number}": address for number, address in enumerate(addresses[:10], 1)},
        "TikTok Title": post.tiktok.photo_title or post.caption[:_TITLE_CHARACTERS],
        "TikTok disable comments": _word(chosen.allow_comment, turned=True),
        "TikTok disable duet": _word(chosen.allow_duet, turned=True),
        "TikTok disable stitch": _word(chosen.allow_stitch, turned=True),
        "TikTok Post Privacy": chosen.privacy_level or "",
        "TikTok Branded Content": _word(chosen.branded_content),
        "TikTok Your Brand": _word(chosen.brand_organic),
        "TikTok Auto Add Music": _word(chosen.auto_add_music or False),
        "TikTok Photo Cover Index": str(chosen.photo_cover_index or ""),
        "TikTok is AI generated content": _word(chosen.is_ai_generated),
    }


def _word(value: bool | None, *, turned: bool = False) -> str:
    return "" if value is None else "TRUE" if value != turned else "FALSE"


_LAYOUTS = {
    "hootsuite": (HOOTSUITE, _hootsuite),
    "buffer": (BUFFER, _buffer),
    "publer": (PUBLER, _publer),
    "metricool": (METRICOOL, _metricool),
}
