"""Posts as people see them."""

from __future__ import annotations

from collections.abc import Iterable

from cli import display, options
from cli.client import Api, Json
from cli.display import moment


def read(api: Api, post_id: str) -> Json:
    """A post by its id. Raises ClientError."""
    return api.get(f"/v1/posts/{id_of(post_id)}")


def id_of(text: str) -> str:
    """The id of a post, safe in a path. Raises ClientError."""
    return options.path_id(text, "a post", "reelroute posts list shows the ids.")


def table(posts: Iterable[Json], handles: dict[str, str]) -> None:
    """Prints posts, one a line."""
    display.table(
        ["Time", "Zone", "State", "Channel", "Account", "Ref", "Caption", "Post"],
        [
            (
                moment(post["schedule_time"], post["time_zone"]),
                post["time_zone"],
                _state(post),
                post["channel"],
                ", ".join(handles.get(each["account_id"], each["account_id"]) for each in post["deliveries"]),
                post["ref"],
                display.first_line(post["caption"], 40),
                post["post_id"],
            )
            for post in posts
        ],
        whole=["Time", "State", "Post"],
    )


def _state(post: Json) -> str:
    states = ", ".join(dict.fromkeys(each["state"] for each in post["deliveries"]))
    return f"{states}, to be approved" if post["approval"] == "PENDING" else states


def show(post: Json, handles: dict[str, str]) -> None:
    """Prints a post with its deliveries."""
    occurrence = f"{post['series_id']} at {post['occurrence_time']}" if post["series_id"] else ""
    display.facts(
        [
            ("post", post["post_id"]),
            ("ref", post["ref"]),
            ("channel", post["channel"]),
            ("time", f"{post['local_time']} {post['time_zone']} ({post['schedule_time']})"),
            ("series", occurrence),
            ("approval", post["approval"]),
            ("caption", post["caption"]),
            ("media", "\n".join(f"{each['media_asset_id']} {each['mime_type']}" for each in post["media"])),
            ("privacy", _privacy(post["options"].get("tiktok") or {})),
            ("late", _lateness(post["lateness"])),
        ]
    )
    for each in post["deliveries"]:
        display.say()
        display.facts(
            [
                ("account", handles.get(each["account_id"], each["account_id"])),
                ("state", f"{each['state']} ({each['hold_cause']})" if each["hold_cause"] else each["state"]),
                ("delivery", each["delivery_id"]),
                ("due", each["due_time"] if each["state"] == "SCHEDULED" else ""),
                ("attempts", each["attempt"] or ""),
                ("failed", each["failed_attempts"] or ""),
                ("published", each["publish_time"]),
                ("removed", each["remove_time"]),
                ("seen by", each["visibility"]),
                ("platform id", each["platform_post_id"]),
                ("url", each["url"]),
                ("why", f"{each['failure_reason']} {each['failure_message']}".strip()),
                ("waits for", "you: reelroute posts waiting" if each["needs_person"] else ""),
            ]
        )


def _privacy(chosen: Json) -> str:
    return "a draft for its owner" if chosen.get("post_mode") == "MEDIA_UPLOAD" else chosen.get("privacy_level") or ""


def doubts(saved: Json) -> None:
    """Tells what is odd about a post, or a series, that was just saved."""
    for each in saved["warnings"]:
        display.note(display.printable(f"Warning: {each['field']}: {each['message']}"))
    for each in saved.get("conflicts", ()):
        display.note(display.printable(f"Conflict: {each['rule']}: {each['message']}"))


def _lateness(lateness: Json | None) -> str:
    if lateness is None:
        return ""
    return f"at most {display.span(lateness['max_lateness_seconds']) or '6 h'}, then {lateness['late_action']}"
