"""Bulletin as an adapter: the sandbox's own platform, on which one call publishes and nothing may be repeated.

No call before it gives a handle, and there is no idempotency key. After a lost answer the list of the account's recent
posts decides: Bulletin's word is that what a call brought about is listed within `listed_within_seconds` of its being
given up, so what is not there by then never will be. See sandbox/bulletin for the whole of its word.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from kit.vendor_errors import VendorUncertain
from services.publisher import domain
from services.publisher.domain import Visibility
from services.publisher.platforms import checks
from services.publisher.platforms.base import (
    Absent,
    Answer,
    Complete,
    Found,
    Gone,
    Problem,
    Search,
    Taken,
    Tokens,
    Trace,
    Traits,
    Uncertain,
    Unsettled,
    Work,
)
from services.publisher.platforms.common import with_token
from services.publisher.quotas import Quotas
from vendors.bulletin.client import BulletinClient
from vendors.bulletin.errors import PostGone
from vendors.bulletin.models import ListedPost, Page, Post


class BulletinAdapter:
    """See platforms/base.py for what each method promises."""

    traits = Traits(can_find=True, tells_removal=True)
    quotas = Quotas()

    def __init__(self, client: BulletinClient) -> None:
        self._client = client

    def has_handle(self, work: Work) -> bool:
        """There is no call but the one that publishes."""
        return False

    def check(self, work: Work) -> list[Problem]:
        """See checks.bulletin."""
        return checks.bulletin(work.caption, work.media)

    async def read_limits(
        self, account: domain.Account, options: domain.Options, tokens: Tokens
    ) -> domain.AccountLimits | None:
        """All accounts may do the same."""
        return None

    async def begin(self, work: Work) -> domain.Handle:
        """There is no such call."""
        raise ValueError("Bulletin gives no handle before it publishes")

    async def stage(
        self, work: Work, handle: domain.Handle, from_byte: int, on_stored: Callable[[int], Awaitable[None]]
    ) -> None:
        """Nothing can be sent ahead of time."""

    async def send(
        self,
        work: Work,
        handle: domain.Handle | None,
        from_byte: int,
        on_stored: Callable[[int], Awaitable[None]],
        last_moment: Callable[[], None],
    ) -> Taken:
        """The call that publishes. A refusal did nothing; after it the same call may be made again."""
        try:
            post = await with_token(
                work.tokens,
                lambda token: self._client.create_post(token, work.caption, last_moment=last_moment),
            )
        except VendorUncertain as error:
            raise Uncertain(str(error)) from None
        return Taken(post.id, _verdict(post))

    async def ask(self, account: domain.Account, options: domain.Options, handle: str, tokens: Tokens) -> Answer:
        """Whether a post is still there."""

        async def read(token: str) -> ListedPost | None:
            try:
                return await self._client.post(token, handle)
            except PostGone:
                return None

        post = await with_token(tokens, read)
        return Gone() if post is None else Complete(_verdict(post), settled=True)

    async def find(self, search: Search, tokens: Tokens) -> Trace:
        """Reads the list from its newest post back to the time of sending. Of several that fit the oldest is taken."""
        grace = self._client.config.listed_within_seconds
        asked = datetime.now(UTC)
        page = await self._page(tokens)
        # Bulletin's clock is ahead of ours by something between these two.
        least = page.now - datetime.now(UTC).timestamp()
        most = page.now - asked.timestamp()
        first = search.sent_after.timestamp() + least
        last = search.sent_before.timestamp() + grace + most
        found: Post | None = None
        for _ in range(self._client.config.search_pages):
            fitting = [post for post in page.posts if _is_it(post, search, first, last)]
            found = fitting[-1] if fitting else found
            if page.next is None or page.posts[-1].published < first:
                break
            page = await self._page(tokens, first, page.next)
        else:
            if found is None:
                return Unsettled("The account has posted more since than can be looked through.", is_final=True)
        if found is not None:
            return Found(Taken(found.id, _verdict(found)))
        if page.complete_since > first:
            return Unsettled("Bulletin no longer has all posts of that time.", is_final=True)
        if asked < search.sent_before + timedelta(seconds=grace):
            return Unsettled("Bulletin does not list the post, and may still do so in a moment.")
        return Absent()

    async def _page(self, tokens: Tokens, since: float = 0.0, before: str | None = None) -> Page:
        return await with_token(tokens, lambda token: self._client.posts(token, since=since, before=before))

    async def stop(self, account: domain.Account, handle: str, tokens: Tokens) -> bool:
        """What it took is published."""
        return False

    async def probe(self, account: domain.Account, tokens: Tokens) -> None:
        """A read of the account."""
        await with_token(tokens, self._client.me)


def _verdict(post: Post) -> domain.Verdict:
    return domain.Verdict(Visibility.PUBLIC, post.id, post.url)


def _is_it(post: ListedPost, search: Search, first: float, last: float) -> bool:
    return post.text == search.caption and first <= post.published <= last and post.id not in search.others
