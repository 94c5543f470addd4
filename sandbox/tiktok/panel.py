"""TikTok's part of the control page, and its forms."""

from collections.abc import Mapping

from pydantic import ValidationError

from sandbox.html import Cell, button, field, form, hidden, select, table, when
from sandbox.problems import first_problem
from sandbox.tiktok import control, people, progress
from sandbox.tiktok.answers import FAIL_REASONS
from sandbox.tiktok.state import TikTokState

_NUMBERS = ("processing_seconds", "moderation_seconds", "public_seconds", "posts_per_day", "pending_drafts")
_SWITCHES = ("client_audited", "rotate_refresh_tokens", "oauth_errors_as_200", "range_end_inclusive")


def render(state: TikTokState) -> str:
    """Creators, posts, verdicts and settings as safe HTML."""
    creators = [control.describe_creator(state, one) for one in people.creators(state)]
    names = [one["username"] for one in creators]
    return (
        "<h2>TikTok</h2><h3>Creators</h3>"
        + table(
            ("username", "nickname", "account", "posting", "connected", "posts today", "change"),
            (
                (
                    one["username"], one["nickname"], "private" if one["private"] else "public",
                    "banned" if one["banned"] else "allowed", "yes" if one["connected"] else "no",
                    str(one["posts_of_the_day"]), _creator_buttons(one["username"], one["private"], one["banned"]),
                )
                for one in creators
            ),
        )
        + form("tiktok/add_creator", field("username") + field("nickname") + button("Add a creator"))
        + "<h3>Posts</h3>"
        + table(
            ("time", "creator", "caption", "status", "reason", "privacy", "bytes", "effect", "verdict", "post id", ""),
            (
                (
                    when(post["create_time"]), post["username"],
                    post["caption"][:80] or ("draft" if post["draft"] else ""),
                    post["status"], post["fail_reason"], post["privacy_level"], f"{post['received']}/{post['size']}",
                    when(post["effect_time"]), when(post["end_time"]), post["post_id"] or "", _post_buttons(post),
                )
                for post in control.posts(state, limit=50)
            ),
        )
        + "<h3>Effects</h3>"
        + table(
            ("creator", "caption", "effects", "failed", "published", "drafts", "removed"),
            ([str(value)[:80] for value in row.values()] for row in control.effects(state)[:50]),
        )
        + "<h3>Verdicts to come</h3>"
        + table(
            ("fail reason", "creator", "posts left"),
            ((one["fail_reason"], one["creator"] or "any", str(one["remaining"])) for one in control.verdicts(state)),
        )
        + form(
            "tiktok/verdict",
            select("fail_reason", FAIL_REASONS) + select("creator", ("", *names)) + field("count", "1")
            + button("Let the next posts fail"),
        )
        + "<h3>Settings</h3>"
        + form("tiktok/settings", _setting_fields(state) + button("Change settings"))
        + "<h3>Webhooks</h3>"
        + table(
            ("time", "event", "outcome", "tries", "last answer"),
            (
                (when(one["create_time"]), one["event"], one["outcome"], str(one["attempts"]), one["last_answer"])
                for one in state.webhooks.entries("tiktok", 30)
            ),
        )
    )  # fmt: skip


def perform(state: TikTokState, operation: str, fields: Mapping[str, str]) -> None:
    """Carry out a form. Raises KeyError for an unknown one, ValueError with a sentence for bad fields."""
    given = {name: value for name, value in fields.items() if value != ""}
    try:
        match operation:
            case "add_creator":
                people.add_creator(state, people.NewCreator.model_validate(given))
            case "creator":
                username = given.pop("username", "")
                people.change_creator(state, username, people.CreatorFields.model_validate(given))
            case "revoke":
                people.remove_authorisation(state, given.get("username", ""), people.REMOVED_BY_USER)
            case "expire":
                people.expire_tokens(state, given.get("username", ""), "refresh_too" in given)
            case "remove":
                progress.remove_post(state, given.get("publish_id", ""))
            case "finish":
                progress.finish_draft(state, given.get("publish_id", ""), "", "PUBLIC_TO_EVERYONE")
            case "verdict":
                control.order_verdict(state, control.VerdictOrder.model_validate(given))
            case "settings":
                # An emptied callback means none; other empty fields are left as they are.
                control.change_settings(state, {"webhook_url": fields.get("webhook_url") or None} | given)
            case _:
                raise KeyError(operation)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def _creator_buttons(username: str, private: bool, banned: bool) -> Cell:
    me = hidden("username", username)
    return Cell(
        form(
            "tiktok/creator",
            me + hidden("private", str(not private)) + button("make public" if private else "make private"),
        )
        + form("tiktok/creator", me + hidden("banned", str(not banned)) + button("allow" if banned else "ban"))
        + form("tiktok/revoke", me + button("disconnect"))
        + form("tiktok/expire", me + button("expire access"))
        + form("tiktok/expire", me + hidden("refresh_too", "1") + button("expire all tokens"))
    )


def _post_buttons(post: Mapping[str, object]) -> Cell:
    me = hidden("publish_id", str(post["publish_id"]))
    if post["status"] == "PUBLISH_COMPLETE" and post["removed_time"] is None:
        return Cell(form("tiktok/remove", me + button("remove")))
    if post["status"] == "SEND_TO_USER_INBOX":
        return Cell(form("tiktok/finish", me + button("creator posts it")))
    return Cell("removed" if post["removed_time"] is not None else "")


def _setting_fields(state: TikTokState) -> str:
    now = state.settings.model_dump(mode="json")
    return (
        "".join(field(name, f"{now[name]:g}") for name in _NUMBERS)
        + "".join(select(name, ("True", "False"), str(now[name])) for name in _SWITCHES)
        + select("outage", ("off", "error", "reset"), now["outage"])
        + field("webhook_url", now["webhook_url"] or "")
    )
