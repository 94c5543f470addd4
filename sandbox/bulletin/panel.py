"""Bulletin's part of the control page, and its forms."""

from collections.abc import Mapping

from sandbox.bulletin.state import BulletinState
from sandbox.html import Cell, button, field, form, hidden, select, table, when

_NUMBERS = ("answer_seconds", "list_seconds", "posts_per_minute", "posts_per_second")


def render(state: BulletinState) -> str:
    """Accounts, the newest posts and settings as safe HTML."""
    now = state.settings.model_dump(mode="json")
    return (
        "<h2>Bulletin</h2><h3>Accounts</h3>"
        + table(
            ("account", "name", "connected", "posts", ""),
            (
                (
                    row["account"], row["display_name"], "yes" if row["connected"] else "no", str(row["posts"]),
                    Cell(form("bulletin/revoke", hidden("account", row["account"]) + button("disconnect"))),
                )
                for row in state.accounts()[:50]
            ),
        )
        + form("bulletin/add_account", field("account") + button("Add an account"))
        + "<h3>Posts</h3>"
        + table(
            ("time", "account", "text", "id", ""),
            (
                (
                    when(row["published"]), row["account"], row["text"][:80], str(row["id"]),
                    Cell("removed") if row["removed_time"] is not None
                    else Cell(form("bulletin/remove", hidden("id", str(row["id"])) + button("remove"))),
                )
                for row in state.newest(50)
            ),
        )
        + "<h3>Settings</h3>"
        + form(
            "bulletin/settings",
            "".join(field(name, f"{now[name]:g}") for name in _NUMBERS)
            + select("outage", ("off", "error", "reset"), now["outage"])
            + button("Change settings"),
        )
    )  # fmt: skip


def perform(state: BulletinState, operation: str, fields: Mapping[str, str]) -> None:
    """Carry out a form. Raises KeyError for an unknown one, ValueError with a sentence for bad fields."""
    given = {name: value for name, value in fields.items() if value != ""}
    match operation:
        case "add_account":
            state.add_accounts([given.get("account", "")])
        case "revoke":
            state.revoke_token(given.get("account", ""))
        case "remove":
            state.remove(int(given.get("id", "0")))
        case "settings":
            state.change_settings(given)
        case _:
            raise KeyError(operation)
