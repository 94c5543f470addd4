"""`reelroute posts waiting`, `decide` and `settle`: what only a person can move on."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from cli import display, options
from cli.client import Api, ClientError, Json
from cli.display import count, failures, moment

_DECISIONS_PER_CALL = 500
# A pause may keep millions of posts HELD; those that were set aside are looked for among so many of the oldest.
_MOST_POSTS_READ = 2000


class Decision(enum.StrEnum):
    """What becomes of a post that was missed or set aside."""

    PUBLISH = "publish"
    NEXT_SLOT = "next-slot"
    DROP = "drop"


def waiting(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50, as_json: options.AsJson = False
) -> None:
    """Lists what waits for a person: missed, set aside, or published or not and nobody can tell."""
    with failures(as_json=as_json), options.api() as api:
        found = list(islice(_waiting(api, "MISSED", "HELD", "UNCERTAIN"), limit + 1))
        shown, more = found[:limit], len(found) > limit
        if as_json:
            display.document({"deliveries": shown, "more": more})
            return
        handles = options.handles(api)
        display.table(
            ["Planned", "State", "Account", "Why", "Delivery", "Post"],
            [
                (
                    moment(each["schedule_time"]),
                    each["state"],
                    handles.get(each["account_id"], each["account_id"]),
                    each["failure_message"],
                    each["delivery_id"],
                    each["post_id"],
                )
                for each in shown
            ],
            whole=["Planned", "State", "Delivery"],
        )
        if any(each["state"] != "UNCERTAIN" for each in shown):
            display.note("MISSED and HELD: reelroute posts decide publish|next-slot|drop DELIVERY…")
        if any(each["state"] == "UNCERTAIN" for each in shown):
            display.note("UNCERTAIN: look at the account, then reelroute posts settle DELIVERY --published|--absent")
        display.note(f"{count(len(shown), 'delivery', 'deliveries')}" + (", and more: --limit" if more else "") + ".")


def decide(
    decision: Annotated[
        Decision, typer.Argument(case_sensitive=False, help="Publish now, at its time on the next free day, or never.")
    ],
    delivery: Annotated[list[str] | None, typer.Argument(help="Ids, as `posts waiting` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were missed or set aside.")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Decides what was missed or set aside. Exit code 1 when one of them could not be decided."""
    with failures(as_json=as_json), options.api() as api:
        if bool(delivery) == everything:
            raise ClientError("Which deliveries?", "Give their ids, or --all. `reelroute posts waiting` lists them.")
        ids = list(dict.fromkeys(_delivery_id(each) for each in delivery or []))
        if everything:
            ids = [each["delivery_id"] for each in _waiting(api, "MISSED", "HELD")]
            question = f"{decision.value}: {count(len(ids), 'delivery', 'deliveries')}. Go on?"
            options.confirm(question, yes=yes or not ids, as_json=as_json)
        results: list[Json] = []
        for start in range(0, len(ids), _DECISIONS_PER_CALL):
            body = {
                "delivery_ids": ids[start : start + _DECISIONS_PER_CALL],
                "decision": options.word(decision),
            }
            results += api.post("/v1/deliveries:decide", body)["results"]
        refused = [each for each in results if each["refusal"]]
        if as_json:
            display.document({"results": results})
        else:
            for each in refused:
                message = f"{each['delivery_id']}: {each['refusal']['message']} ({each['refusal']['reason']})"
                display.note(display.printable(message))
            display.say(f"Decided: {count(len(results) - len(refused), 'delivery', 'deliveries')}.")
    if refused:
        raise typer.Exit(1)


def settle(
    delivery: Annotated[str, typer.Argument(help="The id of an UNCERTAIN delivery.")],
    published: Annotated[bool, typer.Option("--published/--absent", help="What you see on the account's profile.")],
    url: Annotated[str, typer.Option(help="Where it is seen.")] = "",
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Says whether a post is on the platform, where the platform gives no way to know. --absent publishes it again."""
    with failures(as_json=as_json), options.api() as api:
        path = f"/v1/deliveries/{_delivery_id(delivery)}/publication:settle"
        if not published:
            options.confirm("It is published again. Is it surely not there?", yes=yes, as_json=as_json)
        publication = api.post(path, {"is_published": published, "url": url})
        if as_json:
            display.document(publication)
        else:
            told = "It is PUBLISHED." if published else "It is published again."
            display.say(told)


def _waiting(api: Api, *states: str) -> Iterator[Json]:
    """Deliveries that wait for a person, by state and then by time."""
    for state in states:
        for post in islice(api.pages("/v1/posts", "posts", state=state), _MOST_POSTS_READ):
            yield from (each for each in post["deliveries"] if each["state"] == state and each["needs_person"])


def _delivery_id(text: str) -> str:
    return options.path_id(text, "a delivery", "reelroute posts waiting shows the ids.")
