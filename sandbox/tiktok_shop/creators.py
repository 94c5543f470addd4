"""What creators post with product links: files, prechecks, posts and what becomes of them."""

import json
import sqlite3
from typing import Any

from sandbox.tiktok_shop import catalog, events, people, products
from sandbox.tiktok_shop.state import ShopState, dumps, new_id, stable_id

DAY_SECONDS = 86_400.0
_SEEDED_POSTS = (
    ("dice.goblin", "Amber dice under a desk lamp", "1729558652170587422", 21),
    ("dice.goblin", "Tray sounds, no talking", "1729561787706358824", 9),
    ("card.corner", "Sleeving 100 cards in ten minutes", "1729579864326162243", 14),
    ("card.corner", "Neun Karten an der Wand: Schönes für Sammler", "1729597598506774321", 4),
)
_MUSIC = ("Table Talk", "Rolling Home", "Paper and Ink", "Late Draft", "Seven Dice", "Quiet Shelf", "River Deck")


def seed(state: ShopState) -> None:
    """Fill the showcases, and add some posts of creators, where nothing is there."""
    if state.store.one("SELECT 1 FROM shop_showcase") is not None:
        return
    listed = [one.id for one in catalog.products(people.shop(state, people.US_SHOP_ID)) if one.status == "ACTIVATE"]
    for number, creator in enumerate(people.creators(state)):
        set_showcase(state, creator.username, listed[number : number + 6])
    now = state.clock.now()
    for username, title, product_id, days in _SEEDED_POSTS:
        at = int(now - days * DAY_SECONDS)
        state.store.run(
            "INSERT INTO shop_post VALUES (?, ?, 'video', ?, ?, '{}', 'SUCCESS', '', ?, ?)",
            *(stable_id("7400", title), username, title, dumps([product_id]), at, at),
        )


def set_showcase(state: ShopState, username: str, product_ids: list[str]) -> None:
    """What a creator shows; call it inside a transaction. Raises KeyError for an unknown product."""
    for product_id in product_ids:
        if products.product(state, product_id) is None:
            raise KeyError(product_id)
    state.store.run("DELETE FROM shop_showcase WHERE username = ?", username)
    for position, product_id in enumerate(dict.fromkeys(product_ids)):
        state.store.run("INSERT INTO shop_showcase VALUES (?, ?, ?)", username, product_id, position)


def showcase(state: ShopState, username: str) -> list[sqlite3.Row]:
    """The products of a creator's showcase, in order."""
    return state.store.all(
        "SELECT p.* FROM shop_showcase s JOIN shop_product p ON p.id = s.product_id WHERE s.username = ?"
        " ORDER BY s.position",
        username,
    )


def add_file(state: ShopState, username: str, kind: str, size: int, md5: str) -> str:
    """A file has arrived. Returns its id, or the URI of a photo."""
    file_id = new_id("v0") if kind == "video" else f"tos-useast5-i-photo/{new_id('7', 24)}"
    state.store.run(
        "INSERT INTO shop_file VALUES (?, ?, ?, ?, ?, ?)",
        *(file_id, username, kind, size, md5, int(state.clock.now())),
    )
    return file_id


def has_file(state: ShopState, username: str, kind: str, file_id: str) -> bool:
    """Whether a creator uploaded that file."""
    sql = "SELECT 1 FROM shop_file WHERE id = ? AND username = ? AND kind = ?"
    return state.store.one(sql, file_id, username, kind) is not None


def posts_of_the_day(state: ShopState, username: str) -> int:
    """Posts of a creator in the last 24 hours; failed ones do not count."""
    sql = "SELECT count(*) FROM shop_post WHERE username = ? AND status != 'FAIL' AND create_time > ?"
    return state.store.number(sql, username, state.clock.now() - DAY_SECONDS)


def prechecks_of_the_day(state: ShopState, username: str) -> int:
    """Prechecks of a creator in the last 24 hours, whatever came of them."""
    sql = "SELECT count(*) FROM shop_precheck WHERE username = ? AND create_time > ?"
    return state.store.number(sql, username, state.clock.now() - DAY_SECONDS)


def newest_post(state: ShopState, username: str) -> float:
    """When a creator last posted; 0 for never."""
    sql = "SELECT coalesce(max(create_time), 0) FROM shop_post WHERE username = ?"
    return float(state.store.number(sql, username))


def add_post(
    state: ShopState, username: str, kind: str, title: str, links: list[str], details: dict[str, Any], at: float
) -> str:
    """A creator posts; the outcome comes later. Returns the post's id."""
    post_id = new_id("7400")
    state.store.run(
        "INSERT INTO shop_post VALUES (?, ?, ?, ?, ?, ?, 'PROCESSING', '', ?, NULL)",
        *(post_id, username, kind, title, dumps(links), dumps(details), int(at)),
    )
    state.later(at + state.settings.post_seconds, "post_ends", post_id)
    return post_id


def end_post(state: ShopState, post_id: str, at: float) -> None:
    """A post is out, or refused when a verdict was ordered."""
    row = state.store.one("SELECT * FROM shop_post WHERE id = ? AND status = 'PROCESSING'", post_id)
    if row is None:
        return
    verdict = products.next_verdict(state, "post", row["username"])
    status, posted = ("FAIL", None) if verdict else ("SUCCESS", int(at))
    state.store.run(
        "UPDATE shop_post SET status = ?, reason = ?, post_time = ? WHERE id = ?", status, verdict, posted, post_id
    )
    if status == "SUCCESS":
        _tell_links(state, row, "ADD", at)


def remove_post(state: ShopState, post_id: str) -> None:
    """The creator removes a post. Raises KeyError when there is none that is out."""
    now = state.clock.now()
    with state.store.transaction():
        row = state.store.one("SELECT * FROM shop_post WHERE id = ? AND status = 'SUCCESS'", post_id)
        if row is None:
            raise KeyError(post_id)
        state.store.run("UPDATE shop_post SET status = 'REMOVED' WHERE id = ?", post_id)
        _tell_links(state, row, "REMOVE", now)


def _tell_links(state: ShopState, row: sqlite3.Row, kind: str, at: float) -> None:
    for product_id in json.loads(row["products"]):
        data = {"product_id": product_id, "event": {"type": kind, "scene": "VIDEO", "content_id": row["id"]}}
        events.tell_creator(state, "SHOPPABLE_CONTENT_POSTING", row["username"], data, at)


def add_precheck(state: ShopState, username: str, at: float) -> str:
    """A precheck begins. Returns the task's id."""
    task_id = new_id("7500")
    state.store.run(
        "INSERT INTO shop_precheck (id, username, status, create_time) VALUES (?, ?, 'PROCESSING', ?)",
        *(task_id, username, int(at)),
    )
    state.later(at + state.settings.precheck_seconds, "precheck_ends", task_id)
    return task_id


def end_precheck(state: ShopState, task_id: str, at: float) -> None:
    """A precheck has a result: a good one, unless a verdict was ordered."""
    row = state.store.one("SELECT * FROM shop_precheck WHERE id = ? AND status = 'PROCESSING'", task_id)
    if row is None:
        return
    verdict = products.next_verdict(state, "precheck", row["username"])
    status = "FAIL" if verdict else "SUCCESS"
    state.store.run("UPDATE shop_precheck SET status = ?, reason = ? WHERE id = ?", status, verdict, task_id)
    data = {
        "precheck_task_id": task_id,
        "result": "FAIL" if verdict else "PASS",
        "issues": [{"risk": verdict, "suggestions": "Change the video and try again."}] if verdict else [],
    }
    events.tell_creator(state, "VIDEO_PRECHECK_RESULT", row["username"], data, at)


def music(keyword: str) -> list[dict[str, Any]]:
    """The music library: a few dozen invented tracks, found by words of title or artist."""
    tracks = [
        {"id": stable_id("7577", f"{title}/{number}"), "title": f"{title} {number}", "author": f"The {title}s",
         "duration": str(90 + 15 * number)}
        for title in _MUSIC
        for number in range(1, 6)
    ]  # fmt: skip
    return [one for one in tracks if keyword.lower() in f"{one['title']} {one['author']}".lower()]
