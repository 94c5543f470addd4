"""`reelroute posts approve`: posts that wait for approval, because their channel's plan asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from cli import display, options, post_view
from cli.client import Api, ClientError, Json
from cli.display import count, failures

_POSTS_PER_CALL = 500


def approve(
    post: Annotated[list[str] | None, typer.Argument(help="Ids; none: all that wait.")] = None,
    channel: Annotated[str, typer.Option(help="Only of this channel.")] = "",
    until: Annotated[str, typer.Option("--until", help="Only scheduled before this instant.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the approval of these posts back.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Approves posts as they stand now. An edit of what is published or when takes the approval back.

    Exit code 1 when one of them could not be approved.
    """
    with failures(as_json=as_json), options.api() as api:
        if withdraw and not post:
            raise ClientError("Which posts?", "Name those whose approval is taken back by their ids.")
        if post and (channel or until):
            raise ClientError("Name posts by their ids, or by --channel and --until.", "")
        found = [post_view.read(api, each) for each in post] if post else list(_waiting(api, channel, until))
        if not as_json:
            post_view.table(found, options.handles(api))
        verb = "Take the approval back of" if withdraw else "Approve"
        options.confirm(f"{verb} {count(len(found), 'post')}?", yes=yes or not found, as_json=as_json)
        results: list[Json] = []
        for start in range(0, len(found), _POSTS_PER_CALL):
            asked = [
                {"post_id": each["post_id"], "etag": each["etag"]} for each in found[start : start + _POSTS_PER_CALL]
            ]
            results += api.post("/v1/posts:approve", {"posts": asked, "withdraw": withdraw})["results"]
        refused = [each for each in results if each["refusal"]]
        if as_json:
            display.document({"results": results})
        else:
            for each in refused:
                message = f"{each['post_id']}: {each['refusal']['message']} ({each['refusal']['reason']})"
                display.note(display.printable(message))
            done = "Taken back" if withdraw else "Approved"
            display.say(f"{done}: {count(len(results) - len(refused), 'post')}.")
    if refused:
        raise typer.Exit(1)


def _waiting(api: Api, channel: str, until: str) -> Iterator[Json]:
    """Posts to be approved: those that wait for their time, and those that were kept back at it."""
    seen: set[str] = set()
    for state in ("HELD", "SCHEDULED"):
        for post in api.pages("/v1/posts", "posts", channel=channel, until_time=until, state=state, view="SUMMARY"):
            if post["approval"] == "PENDING" and post["post_id"] not in seen:
                seen.add(post["post_id"])
                yield post
