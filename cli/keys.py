"""`reelroute keys`: API keys of the workspace."""

from __future__ import annotations

import enum
import uuid
from typing import Annotated

import typer

from cli import display, options
from cli.client import ClientError
from cli.display import failures, moment

app = typer.Typer(no_args_is_help=True, help="API keys of the workspace.")


class Scope(enum.StrEnum):
    """What a key may do."""

    POSTS_READ = "POSTS_READ"
    POSTS_WRITE = "POSTS_WRITE"
    MEDIA_READ = "MEDIA_READ"
    MEDIA_WRITE = "MEDIA_WRITE"
    ACCOUNTS_READ = "ACCOUNTS_READ"
    ACCOUNTS_WRITE = "ACCOUNTS_WRITE"
    ORDERS_READ = "ORDERS_READ"
    ORDERS_WRITE = "ORDERS_WRITE"
    RECIPIENTS_READ = "RECIPIENTS_READ"
    ACTIVITY_READ = "ACTIVITY_READ"
    WORKSPACE_ADMIN = "WORKSPACE_ADMIN"
    OPERATOR = "OPERATOR"


@app.command("list")
def list_keys(as_json: options.AsJson = False) -> None:
    """Lists keys, revoked ones too. None is shown whole."""
    with failures(as_json=as_json), options.api() as api:
        keys = list(api.pages("/v1/keys", "keys"))
        if as_json:
            display.document({"keys": keys})
            return
        display.table(
            ["Key", "Begins with", "Name", "Scopes", "Last used", "Ends"],
            [
                (
                    each["api_key_id"],
                    each["prefix"],
                    each["display_name"],
                    ", ".join(each["scopes"]),
                    moment(each["last_use_time"]),
                    f"revoked {moment(each['revoke_time'])}" if each["revoke_time"] else moment(each["expire_time"]),
                )
                for each in keys
            ],
            whole=["Key"],
        )


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[Scope], typer.Option(case_sensitive=False, help="What it may do; once for each.")],
    expire: Annotated[str, typer.Option(help="Refused from this instant on: 2027-12-31T00:00:00Z")] = "",
    as_json: options.AsJson = False,
) -> None:
    """Makes a key. Its text goes to standard output, once: keep it."""
    with failures(as_json=as_json), options.api() as api:
        body = {
            "display_name": name,
            "scopes": list(dict.fromkeys(each.value for each in scope)),
            "expire_time": expire or None,
        }
        made = api.post("/v1/keys", body)
        if as_json:
            display.document(made)
            return
        if not made["key_text"]:
            # The first answer was lost on the way and is not shown twice.
            raise ClientError(
                f"The key was made, and its text was lost with a broken connection: {made['api_key_id']}.",
                f"Revoke it and make another: reelroute keys revoke {made['api_key_id']}",
            )
        display.note(display.printable(f"{made['api_key_id']}; this is the only time that it is shown:"))
        display.say(display.printable(made["key_text"]))


@app.command("revoke")
def revoke(
    api_key_id: Annotated[str, typer.Argument(help="Its id.")],
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Ends a key for good. It may still work for 30 seconds."""
    with failures(as_json=as_json), options.api() as api:
        try:
            key_id = uuid.UUID(api_key_id)
        except ValueError:
            raise ClientError(f"{api_key_id!r} is no id of a key.", "reelroute keys list shows the ids.") from None
        options.confirm(f"Revoke {key_id} for good?", yes=yes, as_json=as_json)
        key = api.post(f"/v1/keys/{key_id}:revoke", {})
        if as_json:
            display.document(key)
        else:
            display.say(display.printable(f"Revoked {key['api_key_id']} ({key['display_name']})."))
