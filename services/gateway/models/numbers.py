"""Numbers that platforms tell of accounts and their posts."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.message import Message
from pydantic import Field
from reelroute.publisher.v1 import publisher_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, instant_of, shown


class AccountNumbers(AnswerModel):
    """An account's numbers as its platform tells them now; null where it does not."""

    model_config = shown(examples.ACCOUNT_NUMBERS)

    followers: int | None
    following: int | None
    likes: int | None = Field(description="Of all its posts together.")
    posts: int | None
    read_time: datetime | None

    @classmethod
    def of(cls, numbers: pb.AccountNumbers) -> AccountNumbers:
        """From the publisher."""
        return cls(
            followers=_number(numbers, "followers"),
            following=_number(numbers, "following"),
            likes=_number(numbers, "likes"),
            posts=_number(numbers, "posts"),
            read_time=instant_of(numbers, "read_time"),
        )


class PostNumbers(AnswerModel):
    """One public post with its totals; null where its platform does not tell them."""

    model_config = shown(examples.POST_NUMBERS)

    platform_post_id: str
    url: str
    caption: str = Field(description="As far as the platform shows it.")
    publish_time: datetime | None
    views: int | None
    likes: int | None
    comments: int | None
    shares: int | None
    post_id: str = Field(description="Ours; empty for a post that was made past Reelroute.")
    delivery_id: str = Field(description="Ours; empty for a post that was made past Reelroute.")

    @classmethod
    def of(cls, post: pb.PostNumbers) -> PostNumbers:
        """From the publisher."""
        return cls(
            platform_post_id=post.platform_post_id,
            url=post.url,
            caption=post.caption,
            publish_time=instant_of(post, "publish_time"),
            views=_number(post, "views"),
            likes=_number(post, "likes"),
            comments=_number(post, "comments"),
            shares=_number(post, "shares"),
            post_id=post.post_id,
            delivery_id=post.delivery_id,
        )


class PostNumbersList(AnswerModel):
    """A page of an account's public posts, newest first, with their totals."""

    model_config = shown(examples.page("posts", examples.POST_NUMBERS) | {"read_time": examples.CREATED})

    posts: list[PostNumbers]
    next_page_token: str
    read_time: datetime | None

    @classmethod
    def of(cls, answer: pb.ListPostNumbersResponse) -> PostNumbersList:
        """From the publisher."""
        return cls(
            posts=[PostNumbers.of(each) for each in answer.posts],
            next_page_token=answer.next_page_token,
            read_time=instant_of(answer, "read_time"),
        )


def _number(message: Message, name: str) -> int | None:
    return int(getattr(message, name)) if message.HasField(name) else None
