"""What platforms tell of accounts and of their posts, read as it is now: limits and numbers. Nothing is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from kit.errors import FailedPrecondition, InvalidArgument, ReelrouteError, ResourceExhausted, Unavailable
from services.publisher.domain import Account, AccountState, AttemptFailed, FailureKind, Platform
from services.publisher.platforms.base import Tokens
from services.publisher.platforms.common import with_token
from services.publisher.platforms.tiktok_checks import PUBLISH_SCOPE
from vendors.tiktok.client import TikTokClient
from vendors.tiktok.models import USER_FIELDS, CreatorInfo, UserInfo, Video

Answered = TypeVar("Answered")
STATS_SCOPE = "user.info.stats"
PAGE_SIZE = 20
# A post is public some time after it was let out: moderation takes a week at most, by our patience.
LET_OUT_BEFORE = timedelta(days=8)


class ScopeNotGranted(FailedPrecondition):
    """The account's owner has not allowed that."""


class NumbersNotTold(FailedPrecondition):
    """The account's platform has no such numbers, or does not tell them of this account now."""


class LimitsNotTold(FailedPrecondition):
    """The account's platform does not say what it may do, or the account may post nothing now."""


@dataclass(frozen=True, slots=True)
class PostPage:
    """Public posts, newest first; `cursor` asks for those after them, "" when there are none."""

    videos: Sequence[Video]
    cursor: str


def check(account: Account, scope: str) -> None:
    """Raises NumbersNotTold or ScopeNotGranted when there is no use in asking."""
    if account.platform is not Platform.TIKTOK:
        raise NumbersNotTold(f"{account.platform.title} tells no numbers.")
    if account.state is not AccountState.CONNECTED:
        raise NumbersNotTold(f"@{account.handle} cannot be asked about: {account.problem}")
    if scope not in account.scopes:
        raise ScopeNotGranted(
            f"@{account.handle} has not allowed reading this ({scope}). Add the scope to the app at TikTok and to"
            " REELROUTE_TIKTOK_SCOPES, and connect the account again.",
            metadata={"scope": scope},
        )


def check_poster(account: Account) -> None:
    """Raises LimitsNotTold when there is no use in asking what an account may do."""
    if account.platform is not Platform.TIKTOK or PUBLISH_SCOPE not in account.scopes:
        raise LimitsNotTold(f"{account.platform.title} does not say what @{account.handle} may do.")
    if account.state is not AccountState.CONNECTED:
        raise LimitsNotTold(f"@{account.handle} cannot be asked about: {account.problem}")


async def limits(client: TikTokClient, tokens: Tokens) -> CreatorInfo:
    """What a creator may do now. Raises as `_asked`, with LimitsNotTold for caps and bans."""
    return await _asked(tokens, client.creator_info, LimitsNotTold)


async def of_account(client: TikTokClient, tokens: Tokens) -> UserInfo:
    """The account's own numbers. Raises as `_asked`."""
    fields = ("open_id", *USER_FIELDS[STATS_SCOPE])
    return await _asked(tokens, lambda token: client.user_info(token, fields=fields))


async def of_posts(client: TikTokClient, tokens: Tokens, ids: Sequence[str], page_size: int, cursor: str) -> PostPage:
    """Posts by their ids, or a page of all. Raises as `_asked`; InvalidArgument for a cursor that is none."""
    if ids:
        return PostPage((await _asked(tokens, lambda token: client.video_query(token, ids))).videos, "")
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < PAGE_SIZE):
        raise InvalidArgument.of_field("page_token", "This is no token of a page. Begin with the first.")
    after = int(cursor) if cursor else None
    most = min(page_size or PAGE_SIZE, PAGE_SIZE)
    page = await _asked(tokens, lambda token: client.video_list(token, cursor=after, max_count=most))
    return PostPage(page.videos, str(page.cursor) if page.has_more and page.cursor is not None else "")


async def _asked(
    tokens: Tokens,
    call: Callable[[str], Awaitable[Answered]],
    not_told: type[FailedPrecondition] = NumbersNotTold,
) -> Answered:
    """Raises ResourceExhausted, Unavailable or `not_told` for what the platform does not answer."""
    try:
        return await with_token(tokens, call)
    except AttemptFailed as error:
        raise _refusal(error, not_told) from None


def _refusal(error: AttemptFailed, not_told: type[FailedPrecondition]) -> ReelrouteError:
    failure = error.failure
    wait = max(1.0, (failure.retry_time - datetime.now(UTC)).total_seconds()) if failure.retry_time else None
    match failure.kind:
        case FailureKind.RATE_LIMITED:
            return ResourceExhausted(failure.message, retry_after_seconds=wait)
        case FailureKind.TRANSIENT:
            return Unavailable(failure.message, retry_after_seconds=wait)
        case _:
            return not_told(failure.message, metadata={"reason": failure.reason})
