"""What a post publishes and for whom: the options of every command that makes one."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.client import Api, ClientError, Json

Accounts = Annotated[list[str], typer.Option("--account", help="@handle or id; once for each account.")]
Media = Annotated[list[str], typer.Option("--media", help="A file, or the id of one in the library; in order.")]
Caption = Annotated[str, typer.Option(help="The text.")]
Channel = Annotated[str, typer.Option(help="The content strategy that it belongs to.")]
Ref = Annotated[str, typer.Option(help="Your own key for it.")]
AcceptConflicts = Annotated[
    bool,
    typer.Option("--accept-conflicts", help="Even if it breaks rules of the channel's plan, or is a duplicate."),
]


def content(
    api: Api,
    *,
    accounts: list[str],
    media: list[str],
    caption: str,
    channel: str,
    ref: str,
    choices: Json,
    lateness: Json | None,
    accept_conflicts: bool,
) -> Json:
    """The same as REST takes it; `choices` are those by platform. Files are uploaded. Raises ClientError."""
    return {
        "channel": channel,
        "account_ids": [options.account_id(api, each) for each in accounts],
        "caption": caption,
        "media_asset_ids": [asset_id(api, each) for each in media],
        "options": choices,
        "ref": ref,
        "lateness": lateness,
        "accept_conflicts": accept_conflicts,
    }


def asset_id(api: Api, wanted: str) -> str:
    """The id of a file of the library; a file of this machine is uploaded. Raises ClientError."""
    try:
        return str(uuid.UUID(wanted))
    except ValueError:
        pass
    path = Path(wanted)
    if not path.is_file():
        raise ClientError(f"{wanted} is neither a file nor the id of one in the library.", "")
    try:
        return str(api.upload(path)["media_asset_id"])
    except OSError as error:
        raise ClientError(f"{wanted} cannot be read: {error.strerror}.") from None
