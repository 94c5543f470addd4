"""What several commands share: the connection, and the choices that an author makes of a TikTok post."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator
from typing import Annotated

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


def choose_privacy(given: Privacy | None, *, as_json: bool) -> Privacy:
    """The author's choice; asked for where a person is there. Raises typer.BadParameter elsewhere."""
    if given is not None:
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
    privacy: Privacy,
    *,
    allow_comment: bool,
    allow_duet: bool,
    allow_stitch: bool,
    brand_organic: bool,
    branded_content: bool,
    ai_generated: bool,
) -> Json:
    """The choices as REST takes them."""
    return {
        "privacy_level": privacy.value,
        "allow_comment": allow_comment,
        "allow_duet": allow_duet,
        "allow_stitch": allow_stitch,
        "brand_organic": brand_organic,
        "branded_content": branded_content,
        "is_ai_generated": ai_generated,
    }


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
