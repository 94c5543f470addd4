"""The routes of planning, on the memory of the gateway."""

from __future__ import annotations

import uuid

from tests.cli.gateway import Answer, Json, Memory, Request, page, problem, saved

_WARNING = "Clocks in America/New_York go forward 1 h on 14 March."


def answer(memory: Memory, request: Request) -> Answer | None:
    """None for what is no route of planning."""
    match request.method, request.path.strip("/").split("/"):
        case "GET", ["v1", "plans"]:
            return page("plans", list(memory.plans.values()), request.query)
        case "PUT", ["v1", "plans"]:
            plan: Json = {
                "slots": [],
                "quiet_hours": [],
                "min_gap_seconds": 0,
                "daily_cap": 0,
                "blackouts": [],
                "requires_approval": False,
            } | request.body
            memory.plans[plan["channel"]] = plan
            return 200, plan
        case "GET" | "DELETE" as method, ["v1", "plans", name]:
            channel = "" if name == "-" else name
            if method == "DELETE":
                memory.plans.pop(channel, None)
                return 204, {}
            if channel not in memory.plans:
                return problem(404, "PLAN_NOT_FOUND", f"The channel {channel!r} has no posting plan.")
            return 200, memory.plans[channel]
        case "GET", ["v1", "plans", channel, "slots"]:
            zones = memory.plans[channel]["time_zone"], request.query.get("other_time_zone", "")
            free, closed = ({"times": times(*zones), "post_id": None, "closed_by": None, "message": ""} for _ in "ab")
            closed |= {"closed_by": "BLACKOUT", "message": "Nothing goes out on Thanksgiving."}
            return page("slots", [free] if "only_free" in request.query else [free, closed], request.query)
        case "GET", ["v1", "duplicate-rules"]:
            return page("rules", memory.duplicate_rules, request.query)
        case "PUT", ["v1", "duplicate-rules"]:
            memory.duplicate_rules.append(request.body)
            return 200, request.body
        case "DELETE", ["v1", "duplicate-rules", _, _]:
            memory.duplicate_rules.clear()
            return 204, {}
        case "GET", ["v1", "forecast"]:
            status, found = page("failures", memory.foreseen, request.query)
            return status, found | {"deliveries": 84}
        case "POST", ["v1", "posts:queue"]:
            if request.body["channel"] not in memory.plans:
                return problem(404, "PLAN_NOT_FOUND", "The channel has no posting plan.")
            zone = memory.plans[request.body["channel"]]["time_zone"]
            post = saved(memory, request.body | {"local_time": "2037-01-05T08:00:00", "time_zone": zone})
            memory.posts.append(post)
            conflict = {"rule": "DUPLICATE_CAPTION", "message": "Water says the same.", "field": "caption"}
            return 201, post | {"warnings": [], "conflicts": [conflict]}
        case "POST", ["v1", "posts:approve"]:
            return 200, {"results": [_approved(memory, each, request) for each in request.body["posts"]]}
        case "POST", ["v1", "posts:batchChange"]:
            if memory.broken_lines:
                return 200, memory.broken_lines.pop(0)
            lines = [{"post": _changed(each, request.body)} for each in memory.posts]
            return 200, [*lines, {"summary": {"posts": len(lines)}}]
        case method, ["v1", "series:preview" | "series", *rest]:
            return _series(memory, request, method, rest)
    return None


def times(zone: str, other: str) -> Json:
    return {
        "time": "2037-03-10T18:00:00Z",
        "local_time": "2037-03-10T14:00:00",
        "time_zone": zone,
        "other_local_time": "2037-03-10T19:00:00" if other else "",
        "other_time_zone": other,
        "warning": _WARNING,
    }


def _approved(memory: Memory, wanted: Json, request: Request) -> Json:
    (post,) = (each for each in memory.posts if each["post_id"] == wanted["post_id"])
    if wanted["etag"] != post["etag"]:
        refusal = {"reason": "POST_CHANGED", "message": "It was changed since. Look again.", "field_violations": []}
        return {"post_id": wanted["post_id"], "post": None, "refusal": refusal}
    post["approval"] = "PENDING" if request.body["withdraw"] else "APPROVED"
    return {"post_id": wanted["post_id"], "post": post, "refusal": None}


def _changed(post: Json, body: Json) -> Json:
    """Those that have gone out do not change."""
    result: Json = {
        "post_id": post["post_id"],
        "ref": post["ref"],
        "schedule_time": post["schedule_time"],
        "changes": [],
        "refusal": None,
        "warnings": [],
        "conflicts": [],
    }
    if post["deliveries"][0]["state"] == "PUBLISHED":
        return result | {
            "refusal": {"reason": "POST_NOT_EDITABLE", "message": "It has gone out.", "field_violations": []}
        }
    if body.get("cancel") and not body["validate_only"]:
        post["deliveries"][0]["state"] = "CANCELED"
    return result | {"changes": [{"field": "local_time", "before": "Monday", "after": "Tuesday"}]}


def _series(memory: Memory, request: Request, method: str, rest: list[str]) -> Answer:
    occurrence = {
        "occurrence_time": "2037-03-10T14:00:00",
        "state": "POSTED",
        "times": times("America/New_York", request.query.get("other_time_zone", "")),
        "post_id": str(uuid.uuid4()),
        "reason": "",
        "message": "",
    }
    match method, rest:
        case "POST", [] if request.path.endswith("preview"):
            zones = request.body["recurrence"]["time_zone"], request.body["other_time_zone"]
            return 200, {"description": "every Tuesday at 14:00", "times": [times(*zones)]}
        case "POST", []:
            series = request.body | {
                "series_id": str(uuid.uuid4()),
                "state": "ACTIVE",
                "previous_series_id": None,
                "etag": "e1",
            }
            series["recurrence"] = {"until_time": None} | series["recurrence"]
            memory.series[series["series_id"]] = series
            return 201, series | {"occurrences": [occurrence], "warnings": []}
        case "GET", []:
            return page("series", list(memory.series.values()), request.query)
        case "GET", [series_id]:
            return 200, memory.series[series_id]
        case "PATCH", [series_id]:
            memory.series[series_id] |= request.body
            return 200, memory.series[series_id] | {"occurrences": [occurrence], "warnings": []}
        case "GET", [series_id, "occurrences"]:
            return page("occurrences", [occurrence], request.query)
        case "POST", [_, "occurrences", verb]:
            state = "SKIPPED" if verb.endswith(":skip") else "POSTED"
            return 200, occurrence | {"state": state, "post_id": None if state == "SKIPPED" else occurrence["post_id"]}
        case _:
            return 200, memory.series[rest[0].removesuffix(":end")] | {"state": "ENDED", "canceled_posts": 3}
