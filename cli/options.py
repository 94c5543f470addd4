"""What several commands share: the connection, and the choices that an author makes of a post."""

from __future__ import annotations

import contextlib
import enum
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli import display, settings
from cli.client import Api, ClientError, Json, Refused


class Privacy(enum.StrEnum):
    """Who sees a TikTok post, in TikTok's words."""

    PUBLIC_TO_EVERYONE = "PUBLIC_TO_EVERYONE"
    MUTUAL_FOLLOW_FRIENDS = "MUTUAL_FOLLOW_FRIENDS"
    FOLLOWER_OF_CREATOR = "FOLLOWER_OF_CREATOR"
    SELF_ONLY = "SELF_ONLY"


class AmbiguousTime(enum.StrEnum):
    """Which of two equal wall-clock times is meant when the clock goes back."""

    EARLIER = "EARLIER"
    LATER = "LATER"


class LateAction(enum.StrEnum):
    """What becomes of a post that is later than its rule allows."""

    ASK = "ask"
    NEXT_SLOT = "next-slot"
    DROP = "drop"


AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Ambiguous = Annotated[
    AmbiguousTime | None,
    typer.Option("--ambiguous-time", case_sensitive=False, help="Which one, of times that a clock shows twice."),
]
PrivacyLevel = Annotated[
    Privacy | None,
    typer.Option("--privacy", case_sensitive=False, help="Who sees it. TikTok wants your own choice: no default."),
]
AllowComment = Annotated[bool, typer.Option("--allow-comment", help="People may comment.")]
AllowDuet = Annotated[bool, typer.Option("--allow-duet", help="People may make duets.")]
AllowStitch = Annotated[bool, typer.Option("--allow-stitch", help="People may stitch it.")]
BrandOrganic = Annotated[bool, typer.Option("--brand-organic", help="It promotes your own brand.")]
BrandedContent = Annotated[bool, typer.Option("--branded-content", help="It is a paid partnership.")]
AiGenerated = Annotated[bool, typer.Option("--ai-generated", help="Made or changed by AI so that viewers should know.")]
Draft = Annotated[
    bool, typer.Option("--draft", help="Into the owner's inbox at TikTok, who posts it in the app; needs no --privacy.")
]
MusicUsageConfirmed = Annotated[
    bool,
    typer.Option(
        "--music-usage-confirmed",
        help="You agree to TikTok's Music Usage Confirmation, and of a paid partnership to its Branded Content Policy.",
    ),
]
AutoAddMusic = Annotated[bool, typer.Option("--auto-add-music", help="TikTok adds music to the photos.")]
PhotoCover = Annotated[int, typer.Option("--photo-cover", min=1, max=35, help="Which photo is the cover.")]
PhotoTitle = Annotated[str, typer.Option("--photo-title", help="Above the caption of photos; up to 90 characters.")]

Product = Annotated[
    str,
    typer.Option("--product", help="Of a TikTok Shop creator's post: the product it links to, by TikTok Shop's id."),
]
ProductTitle = Annotated[
    str, typer.Option("--product-title", help="What that link says: fewer than 30 letters, digits and spaces.")
]
ProductCover = Annotated[
    int, typer.Option("--product-cover-ms", min=0, help="That video's cover: the frame at so many milliseconds.")
]
ProductMusic = Annotated[str, typer.Option("--product-music", help="That post's music, by its id at TikTok Shop.")]


Shop = Annotated[str, typer.Argument(help="Its name, code or id.", show_default=False)]
MaxLateness = Annotated[
    str, typer.Option("--max-lateness", help="It goes out when it is at most so late: 90s, 30m, 6h, 2d.")
]
Late = Annotated[
    LateAction | None,
    typer.Option("--late", case_sensitive=False, help="Afterwards: wait for a decision, take the next slot, or none."),
]


# The platform's app must know the address.
REDIRECT_PORT = 8765
RedirectPort = Annotated[int, typer.Option("--port", min=1, max=65535, help="Listens here for the redirect.")]
OpenBrowser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")]


@contextlib.contextmanager
def api(*, needs_key: bool = True) -> Iterator[Api]:
    """The gateway that the environment names. Raises ClientError when there is no key."""
    found = settings.connection()
    if needs_key and not found.key:
        raise ClientError(
            "There is no API key.",
            "Put it into REELROUTE_API_KEY, or its file into REELROUTE_API_KEY_FILE. `make run` prints the first one.",
        )
    if needs_key and found.shows_key:
        display.note(f"Warning: {found.url} is not encrypted; others on the way can read the key. Use https.")
    client = Api(found.url, found.key, is_local=found.is_local)
    try:
        yield client
    finally:
        client.close()


def may_ask(*, as_json: bool = False) -> bool:
    """Whether there is a person to ask."""
    return not as_json and sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool, as_json: bool = False) -> None:
    """Goes on only with a yes; a no ends with exit code 3. Raises ClientError where nobody can be asked."""
    if yes:
        return
    if not may_ask(as_json=as_json):
        raise ClientError("Nobody is there to be asked, so nothing was changed.", "Add --yes.")
    if not typer.confirm(question, err=True):
        display.note("Nothing was changed.")
        raise typer.Exit(display.EXIT_NOT_DONE)


def choose_privacy(given: Privacy | None, *, draft: bool, as_json: bool) -> Privacy | None:
    """The author's choice; asked for where a person is there. Raises typer.BadParameter elsewhere. None of a draft: its
    owner chooses in the app.
    """
    if draft and given is not None:
        raise typer.BadParameter("Who sees a draft is chosen in the app when it is posted.", param_hint="--privacy")
    if given is not None or draft:
        return given
    words = [each.value for each in Privacy]
    if not may_ask(as_json=as_json):
        raise typer.BadParameter(
            f"Say who sees the posts: {', '.join(words)}. TikTok requires your own choice.", param_hint="--privacy"
        )
    for place, word in enumerate(words, start=1):
        display.note(f"  {place}  {word}")
    number: int = typer.prompt("Who sees the posts? TikTok requires your own choice", type=int, err=True)
    if not 1 <= number <= len(words):
        raise typer.BadParameter(f"Choose 1 to {len(words)}.", param_hint="--privacy")
    return list(Privacy)[number - 1]


def tiktok(
    privacy: Privacy | None,
    *,
    allow_comment: bool,
    allow_duet: bool,
    allow_stitch: bool,
    brand_organic: bool,
    branded_content: bool,
    ai_generated: bool,
    draft: bool = False,
    music_usage_confirmed: bool = False,
    auto_add_music: bool = False,
    photo_cover: int = 1,
    photo_title: str = "",
) -> Json:
    """The choices as REST takes them. Agreement is given now."""
    if not music_usage_confirmed and not draft:
        policy = " and Branded Content Policy" if branded_content else ""
        display.note(
            f"TikTok wants you to agree to its Music Usage Confirmation{policy} before a post is sent:"
            " --music-usage-confirmed records that you do."
        )
    return {
        "post_mode": "MEDIA_UPLOAD" if draft else "DIRECT_POST",
        "privacy_level": privacy.value if privacy else None,
        "music_usage_confirm_time": datetime.now(UTC).isoformat(timespec="seconds") if music_usage_confirmed else None,
        "auto_add_music": auto_add_music,
        "photo_cover_index": photo_cover - 1,
        "photo_title": photo_title,
        "allow_comment": allow_comment,
        "allow_duet": allow_duet,
        "allow_stitch": allow_stitch,
        "brand_organic": brand_organic,
        "branded_content": branded_content,
        "is_ai_generated": ai_generated,
    }


def tiktok_shop(product: str, title: str, *, cover_ms: int, music: str, ai_generated: bool) -> Json | None:
    """The choices of a TikTok Shop creator's post as REST takes them; None without a product. Raises
    typer.BadParameter for a link without its parts.
    """
    if not product:
        if title or cover_ms or music:
            raise typer.BadParameter("Name the product that the post links to.", param_hint="--product")
        return None
    if not title:
        raise typer.BadParameter("Say what the link to the product says.", param_hint="--product-title")
    return {
        "product_id": product,
        "product_title": title,
        "cover_time_ms": cover_ms,
        "music_id": music,
        "is_ai_generated": ai_generated,
    }


def platforms(
    privacy: Privacy | None,
    *,
    product: str,
    product_title: str,
    product_cover_ms: int,
    product_music: str,
    ai_generated: bool,
    draft: bool,
    as_json: bool,
    **tiktok_choices: Any,
) -> Json:
    """The choices of a new post by platform, as REST takes them. With a product and nothing chosen for TikTok, they are
    for TikTok Shop creators alone. Raises as `tiktok_shop` and `choose_privacy`.
    """
    linked = tiktok_shop(
        product, product_title, cover_ms=product_cover_ms, music=product_music, ai_generated=ai_generated
    )
    chosen: Json | None = None
    if linked is None or privacy is not None or draft:
        chosen = tiktok(
            choose_privacy(privacy, draft=draft, as_json=as_json),
            ai_generated=ai_generated,
            draft=draft,
            **tiktok_choices,
        )
    return {"tiktok": chosen, "tiktok_shop": linked}


def handles(client: Api) -> dict[str, str]:
    """@handles by account id; empty when the key may not read accounts."""
    try:
        return {each["account_id"]: f"@{each['handle']}" for each in client.pages("/v1/accounts", "accounts")}
    except Refused as refused:
        if refused.status == 403:
            return {}
        raise


def account_id(client: Api, wanted: str) -> str:
    """The id of the account with that handle or id. Raises ClientError."""
    handle = wanted.removeprefix("@").casefold()
    found = {
        each["account_id"]
        for each in client.pages("/v1/accounts", "accounts")
        if handle in (each["handle"].casefold(), each["account_id"])
    }
    if len(found) == 1:
        return str(found.pop())
    if found:
        raise ClientError(f"Several platforms have an account @{handle}.", "Name it by its id: reelroute accounts list")
    raise ClientError(f"@{handle} is not connected.", "reelroute accounts list shows those that are.")


def shop(client: Api, wanted: str) -> Json:
    """The shop with that name, code or id, ours or TikTok Shop's. Raises ClientError."""
    text = wanted.casefold()
    found = [
        each
        for each in client.pages("/v1/shops", "shops")
        if text in {each[name].casefold() for name in ("name", "code", "shop_id", "platform_shop_id")}
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ClientError(f"Several shops are called {wanted}.", "Name it by its code or id: reelroute shops list")
    raise ClientError(f"There is no shop {wanted}.", "reelroute shops list shows those that there are.")


def word(choice: enum.StrEnum) -> str:
    """A choice as REST names it: "next-slot" is NEXT_SLOT."""
    return choice.value.upper().replace("-", "_")


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str, hint: str) -> int | None:
    """The seconds of a span like 90s, 30m, 6h or 2d; None for none. Raises typer.BadParameter."""
    if not text:
        return None
    parts = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip().lower())
    if not parts:
        raise typer.BadParameter(f"{text}: give a number with s, m, h or d: 90s, 30m, 6h, 2d.", param_hint=hint)
    return int(parts[1]) * _UNITS[parts[2] or "s"]


def lateness(max_lateness: str, late: LateAction | None) -> Json | None:
    """Lateness as REST takes it; None when nothing is said of it."""
    longest = seconds(max_lateness, "--max-lateness")
    if longest is None and late is None:
        return None
    return {"max_lateness_seconds": longest, "late_action": word(late or LateAction.ASK)}


# What REST has in a path for the channel "": no channel can be called so.
NO_CHANNEL = "-"


def channel_path(channel: str) -> str:
    """A channel's name as it stands in a path; none is "-". Raises ClientError for what is no name."""
    if not re.fullmatch(r"([a-z0-9][a-z0-9_-]{0,63})?", channel):
        raise ClientError(
            f"{channel!r} is no name of a channel.",
            "Use lower-case letters, digits, - and _, at most 64; begin with a letter or digit.",
        )
    return channel or NO_CHANNEL


def path_id(text: str, noun: str, advice: str) -> str:
    """An id that is safe in a path. Raises ClientError for anything else."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ClientError(f"{text!r} is no id of {noun}.", advice) from None
