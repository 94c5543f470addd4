"""A gateway with memory: the routes that the command uses, on a real port, and faults on demand."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

Json = dict[str, Any]
KEY = "rr_test_key"
PAGE = 2


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    key: str
    body: Json
    query: dict[str, str]
    if_match: str = ""


@dataclass
class Memory:
    """What the gateway has, saw, and does wrong next."""

    accounts: list[Json] = field(default_factory=list)
    media: list[Json] = field(default_factory=list)
    posts: list[Json] = field(default_factory=list)
    activities: list[Json] = field(default_factory=list)
    publications: dict[str, Json] = field(default_factory=dict)
    holds: list[Json] = field(default_factory=list)
    rules: dict[str, Json] = field(default_factory=dict)
    # Deliveries by the outage that made them late.
    outages: dict[str, list[Json]] = field(default_factory=dict)
    incidents: list[Json] = field(default_factory=list)
    vendor_calls: list[Json] = field(default_factory=list)
    answers: dict[str, Json] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    # By method and path: statuses for the next requests. 0 drops the connection before, 1 after the work is done.
    faults: dict[str, list[int]] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)
    # The content of files that are no media.
    not_media: set[bytes] = field(default_factory=set)
    plans: dict[str, Json] = field(default_factory=dict)
    duplicate_rules: list[Json] = field(default_factory=list)
    series: dict[str, Json] = field(default_factory=dict)
    foreseen: list[Json] = field(default_factory=list)
    shops: list[Json] = field(default_factory=list)
    products: list[Json] = field(default_factory=list)
    shop_orders: list[Json] = field(default_factory=list)
    # What the next changes of many posts answer, instead of what they would.
    broken_lines: list[list[Json]] = field(default_factory=list)

    def sent(self, path: str) -> list[Request]:
        """The requests to a path."""
        return [each for each in self.requests if each.path == path]

    def connect(self, *handles: str) -> None:
        """Adds accounts."""
        self.accounts += [
            {
                "account_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, handle)),
                "platform": "TIKTOK",
                "handle": handle,
                "state": "CONNECTED",
                "problem": "",
                "scopes": ["video.publish", "video.list"],
                "authorization_expire_time": None,
            }
            for handle in handles
        ]


def problem(status: int, reason: str, detail: str, violations: list[Json] | None = None) -> tuple[int, Json]:
    return status, {
        "title": "A title",
        "status": status,
        "detail": detail,
        "reason": reason,
        "field_violations": violations or [],
        "request_id": "req-1",
    }


Answer = tuple[int, Json | list[Json]]
# Some of the gateway's routes; None for another's.
Routes = Callable[[Memory, Request], Answer | None]


class FakeGateway:
    """Serves `memory` at `url` until it is closed."""

    def __init__(self, *more: Routes) -> None:
        self.memory = memory = Memory()
        routes: tuple[Routes, ...] = (*more, answer)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve("GET")

            def do_POST(self) -> None:
                self._serve("POST")

            def do_PUT(self) -> None:
                self._serve("PUT")

            def do_PATCH(self) -> None:
                self._serve("PATCH")

            def do_DELETE(self) -> None:
                self._serve("DELETE")

            def _serve(self, method: str) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                is_json = self.headers.get("Content-Type", "").startswith("application/json")
                request = Request(
                    method,
                    parts.path,
                    self.headers.get("Idempotency-Key", ""),
                    json.loads(raw) if is_json else {"raw": raw},
                    query={name: values[0] for name, values in parse_qs(parts.query).items()},
                    if_match=self.headers.get("If-Match", ""),
                )
                memory.requests.append(request)
                planned = memory.faults.get(f"{method} {parts.path}", [])
                fault = planned.pop(0) if planned else None
                if fault == 0:
                    self.close_connection = True
                    return
                if fault is not None and fault > 1:
                    self._answer(*problem(fault, "UNAVAILABLE", "Not now."))
                    return
                if parts.path != "/readyz" and self.headers.get("Authorization") != f"Bearer {KEY}":
                    self._answer(*problem(401, "API_KEY_INVALID", "The API key is unknown."))
                    return
                status, body = next(found for each in routes if (found := each(memory, request)) is not None)
                if fault == 1:
                    self.close_connection = True
                    return
                self._answer(status, body)

            def _answer(self, status: int, body: Json | list[Json]) -> None:
                if status == 204:
                    self.send_response(status)
                    self.end_headers()
                    return
                # A list is sent line by line.
                is_lines = isinstance(body, list)
                data = b"".join(json.dumps(each).encode() + b"\n" for each in (body if is_lines else [body]))
                self.send_response(status)
                self.send_header("Content-Type", "application/x-ndjson" if is_lines else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def one(rows: list[Json], key: str, value: str) -> Answer:
    found = [each for each in rows if each[key] == value]
    return (200, found[0]) if found else problem(404, "NOT_FOUND", "There is no such thing.")


def post_numbers(place: int) -> Json:
    return {
        "platform_post_id": f"74{place}",
        "url": f"https://www.tiktok.com/@emberfold.air/video/74{place}",
        "caption": "Fries",
        "publish_time": "2037-01-04T17:00:00Z",
        "views": 18230 + place,
        "likes": None,
        "comments": 0,
        "shares": 1,
        "post_id": "",
        "delivery_id": "",
    }


def answer(memory: Memory, request: Request) -> Answer:
    query = request.query
    match request.method, request.path.strip("/").split("/"):
        case "GET", ["readyz"]:
            services = {
                name: "unavailable" if name in memory.unready else "ready" for name in ("identity", "scheduler")
            }
            return (503 if memory.unready else 200), {
                "status": "unavailable" if memory.unready else "ready",
                "services": services,
            }
        case "GET", ["v1", "accounts"]:
            return page("accounts", memory.accounts, query)
        case "GET", ["v1", "accounts", account_id]:
            return one(memory.accounts, "account_id", account_id)
        case "GET", ["v1", "vendor-calls"]:
            return page("vendor_calls", memory.vendor_calls, query)
        case "GET", ["v1", "vendor-calls", vendor_call_id]:
            return one(memory.vendor_calls, "vendor_call_id", vendor_call_id)
        case "POST", ["v1", "accounts", verb]:
            account_id = verb.removesuffix(":disconnect")
            (account,) = (each for each in memory.accounts if each["account_id"] == account_id)
            account |= {"state": "DISCONNECTED", "problem": "It was disconnected."}
            return 200, account
        case "GET", ["v1", "accounts", _, "limits"]:
            return 200, {
                "handle": "emberfold.air", "display_name": "Air", "privacy_levels": ["SELF_ONLY"],
                "comment_disabled": False, "duet_disabled": True, "stitch_disabled": True,
                "longest_video_seconds": None, "read_time": None,
            }  # fmt: skip
        case "GET", ["v1", "accounts", _, "numbers"]:
            return problem(409, "SCOPE_NOT_GRANTED", "The owner has not allowed it.")
        case "GET", ["v1", "accounts", _, "posts", "numbers"]:
            return page("posts", [post_numbers(each) for each in range(30)], query)
        case "GET", ["v1", "media"]:
            return page("media", memory.media, query)
        case "POST", ["v1", "media"]:
            return upload(memory, request.body["raw"])
        case "GET", ["v1", "posts"]:
            first, state = query.get("from_time", ""), query.get("state")
            found = [
                each
                for each in memory.posts
                if each["schedule_time"] >= first
                and (not state or any(delivery["state"] == state for delivery in each["deliveries"]))
            ]
            return page("posts", found, query)
        case "POST", ["v1", "posts"]:
            post = saved(memory, request.body)
            memory.posts.append(post)
            return 201, post | {"warnings": [], "conflicts": []}
        case "POST", ["v1", "posts:batchCreate"]:
            return batch(memory, request)
        case "GET", ["v1", "posts", post_id]:
            found = [each for each in memory.posts if each["post_id"] == post_id]
            return (200, found[0]) if found else problem(404, "POST_NOT_FOUND", "There is no post with this id.")
        case "POST", ["v1", "posts", verb]:
            (post,) = (each for each in memory.posts if f"{each['post_id']}:cancel" == verb)
            for delivery in post["deliveries"]:
                delivery["state"] = "CANCELED"
            return 200, post
        case "POST", ["v1", "deliveries:decide"]:
            return 200, {"results": [decided(memory, each) for each in request.body["delivery_ids"]]}
        case "POST", ["v1", "deliveries", delivery_id, "publication:settle"]:
            if delivery_id not in memory.publications:
                return problem(409, "PUBLICATION_NOT_UNCERTAIN", "Nothing about it is uncertain.")
            return 200, memory.publications[delivery_id] | request.body
        case "GET", ["v1", "holds"]:
            return page("holds", memory.holds, query)
        case "POST", ["v1", "holds"]:
            hold = request.body | {"cause": "PAUSE", "create_time": "2037-01-04T17:00:00Z", "held_deliveries": 0}
            memory.holds.append(hold)
            return 201, hold
        case "POST", ["v1", "holds:lift"]:
            return lifted(memory, request.body)
        case "GET", ["v1", "channel-rules"]:
            return page("rules", list(memory.rules.values()), query)
        case "PUT", ["v1", "channel-rules"]:
            memory.rules[request.body["channel"]] = request.body
            return 200, request.body
        case "GET", ["v1", "outages"]:
            late = [
                {"outage_id": each, "start_time": None, "end_time": None, "deliveries": len(deliveries)}
                for each, deliveries in memory.outages.items()
            ]
            return page("outages", late, query)
        case "GET", ["v1", "outages", outage_id, "deliveries"]:
            return page("deliveries", memory.outages[outage_id], query)
        case "GET", ["v1", "incidents"]:
            return page("incidents", memory.incidents, query)
        case "GET", ["v1", "activities"]:
            return page("activities", memory.activities, query)
        case "GET", ["v1", "deliveries", delivery_id, "publication"]:
            if delivery_id in memory.publications:
                return 200, memory.publications[delivery_id]
            return problem(404, "PUBLICATION_NOT_FOUND", "Not begun.")
        case "POST", ["v1", "connections"]:
            return 201, {"consent_url": "https://platform.example/consent", "state": "s1", "expire_time": None}
        case "POST", ["v1", "connections:finish"]:
            return 200, {"account_id": str(uuid.uuid4()), "handle": "emberfold.air"}
        case "POST", ["v1", "keys"]:
            return 201, {"api_key_id": str(uuid.uuid4()), "key_text": "rr_new_key"} | request.body
    return problem(404, "ROUTE_NOT_FOUND", "There is nothing at this path.")


def page(name: str, items: list[Json], query: dict[str, str]) -> tuple[int, Json]:
    start = int(query.get("page_token") or 0)
    token = str(start + PAGE) if start + PAGE < len(items) else ""
    return 200, {name: items[start : start + PAGE], "next_page_token": token}


def decided(memory: Memory, delivery_id: str) -> Json:
    found = [each for post in memory.posts for each in post["deliveries"] if each["delivery_id"] == delivery_id]
    if not found or not found[0]["needs_person"]:
        refusal = {"reason": "DELIVERY_NOT_WAITING", "message": "It does not wait.", "field_violations": []}
        return {"delivery_id": delivery_id, "delivery": None, "refusal": refusal}
    found[0].update(state="SCHEDULED", needs_person=False)
    return {"delivery_id": delivery_id, "delivery": found[0], "refusal": None}


def lifted(memory: Memory, body: Json) -> tuple[int, Json]:
    found = [each for each in memory.holds if (each["scope"], each["target"]) == (body["scope"], body["target"])]
    if not found:
        return 200, {"held_deliveries": 0}
    if found[0]["held_deliveries"] and not body["due_action"]:
        return problem(409, "DUE_ACTION_REQUIRED", "3 deliveries became due meanwhile.")
    memory.holds.remove(found[0])
    return 200, {"held_deliveries": found[0]["held_deliveries"]}


def upload(memory: Memory, raw: bytes) -> tuple[int, Json]:
    head, _, rest = raw.partition(b"\r\n\r\n")
    content = rest.rpartition(b"\r\n--")[0]
    if content in memory.not_media:
        return problem(422, "MEDIA_NOT_RECOGNIZED", "The file is no video.")
    sha256 = hashlib.sha256(content).hexdigest()
    known = [each for each in memory.media if each["sha256"] == sha256]
    if known:
        return 201, known[0] | {"already_existed": True}
    asset = {
        "media_asset_id": str(uuid.uuid4()),
        "file_name": head.decode().partition('filename="')[2].partition('"')[0],
        "sha256": sha256,
        "mime_type": "video/mp4",
        "size_bytes": len(content),
        "width": 1080,
        "height": 1920,
        "duration_ms": 8000,
    }
    memory.media.append(asset)
    return 201, asset | {"already_existed": False}


def batch(memory: Memory, request: Request) -> tuple[int, Json]:
    fingerprint = json.dumps(request.body, sort_keys=True)
    if known := memory.answers.get(request.key):
        if known["fingerprint"] != fingerprint:
            return problem(409, "REQUEST_ID_REUSED", "This key was used for another request.")
        return 200, known["answer"]
    results = []
    for index, draft in enumerate(request.body["posts"]):
        refusal = refused(memory, draft)
        post = None if refusal else saved(memory, draft)
        results.append(
            {"index": index, "ref": draft["ref"], "post": post, "refusal": refusal, "warnings": [], "conflicts": []}
        )
    if not request.body["validate_only"]:
        memory.posts += [each["post"] for each in results if each["post"]]
        memory.posts.sort(key=lambda each: str(each["schedule_time"]))
        memory.answers[request.key] = {"fingerprint": fingerprint, "answer": {"results": results}}
    return 200, {"results": results}


def refused(memory: Memory, draft: Json) -> Json | None:
    known = {each["media_asset_id"] for each in memory.media}
    violations = [
        {"field": f"media_asset_ids[{index}]", "description": "No such asset.", "reason": "MEDIA_UNKNOWN"}
        for index, each in enumerate(draft["media_asset_ids"])
        if each not in known
    ]
    if "forbidden" in draft["caption"]:
        violations.append({"field": "caption", "description": "Not this word.", "reason": "CAPTION_FORBIDDEN"})
    if not violations:
        return None
    return {"reason": violations[0]["reason"], "message": "Refused.", "field_violations": violations}


def saved(memory: Memory, draft: Json) -> Json:
    local = datetime.fromisoformat(draft["local_time"]).replace(tzinfo=ZoneInfo(draft["time_zone"]))
    instant = local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sha256s = {each["media_asset_id"]: each["sha256"] for each in memory.media}
    return {
        "post_id": str(uuid.uuid4()),
        "channel": draft["channel"],
        "ref": draft["ref"],
        "caption": draft["caption"],
        "media": [
            {"media_asset_id": each, "sha256": sha256s[each], "mime_type": "video/mp4"}
            for each in draft["media_asset_ids"]
        ],
        "local_time": draft["local_time"],
        "time_zone": draft["time_zone"],
        "schedule_time": instant,
        "options": draft["options"],
        "lateness": draft.get("lateness"),
        "series_id": None,
        "occurrence_time": None,
        "approval": None,
        "etag": uuid.uuid4().hex[:8],
        "deliveries": [
            {
                "delivery_id": str(uuid.uuid4()),
                "post_id": "",
                "account_id": each,
                "state": "SCHEDULED",
                "schedule_time": instant,
                "due_time": instant,
                "attempt": 0,
                "failed_attempts": 0,
                "hold_cause": None,
                "needs_person": False,
                "remove_time": None,
                "platform_post_id": "",
                "url": "",
                "visibility": None,
                "publish_time": None,
                "failure_reason": "",
                "failure_message": "",
            }
            for each in draft["account_ids"]
        ],
    }
