"""What Bulletin answers, as frozen values. Its times are Unix seconds by its own clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.vendor_json import UnreadableAnswer, needed_text


@dataclass(frozen=True)
class Grant:
    """The token of an account. It lasts until it is revoked."""

    access_token: str = field(repr=False)
    account: str
    display_name: str


@dataclass(frozen=True)
class Profile:
    """Whose token it is."""

    account: str
    display_name: str


@dataclass(frozen=True)
class Post:
    """A post that is there."""

    id: str
    url: str
    published: float


@dataclass(frozen=True)
class ListedPost(Post):
    """A post with its text."""

    text: str


@dataclass(frozen=True)
class Page:
    """Posts of an account, newest first. `next`: where the next page begins; None on the last. `now`: Bulletin's time
    of the answer. Posts from before `complete_since` may be missing.
    """

    posts: tuple[ListedPost, ...]
    next: str | None
    now: float
    complete_since: float


def grant(body: Mapping[str, Any]) -> Grant:
    """The answer of the token call. Raises UnreadableAnswer, as all of these."""
    return Grant(needed_text(body, "access_token"), needed_text(body, "account"), needed_text(body, "display_name"))


def profile(body: Mapping[str, Any]) -> Profile:
    """The answer of `me`."""
    return Profile(needed_text(body, "account"), needed_text(body, "display_name"))


def post(body: Mapping[str, Any]) -> Post:
    """The answer to a new post."""
    return Post(needed_text(body, "id"), needed_text(body, "url"), _number(body, "published"))


def listed_post(body: Mapping[str, Any]) -> ListedPost:
    """A post of a list, or asked for by its id."""
    return ListedPost(
        needed_text(body, "id"), needed_text(body, "url"), _number(body, "published"), needed_text(body, "text")
    )


def page(body: Mapping[str, Any]) -> Page:
    """A page of posts."""
    posts, following = body.get("posts"), body.get("next")
    if not isinstance(posts, list) or not all(isinstance(each, Mapping) for each in posts):
        raise UnreadableAnswer("posts")
    if following is not None and not (isinstance(following, str) and following):
        raise UnreadableAnswer("next")
    return Page(
        tuple(listed_post(each) for each in posts), following, _number(body, "now"), _number(body, "complete_since")
    )


def _number(body: Mapping[str, Any], name: str) -> float:
    value = body.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnreadableAnswer(name)
    return float(value)
