"""Bodies that many tests send."""

from __future__ import annotations

from typing import Any

import httpx

from tests.gateway.fakes import Memory

TIKTOK = {"privacy_level": "SELF_ONLY", "allow_comment": True, "cover_time_ms": 1500}


def content(memory: Memory, **changes: Any) -> dict[str, Any]:
    """What a post publishes, on a video and an account that exist."""
    return {
        "channel": "air",
        "account_ids": [memory.account()],
        "caption": "Déjà vu 🃏",
        "media_asset_ids": [memory.asset()],
        "options": {"tiktok": TIKTOK},
        "ref": "Q1-001",
    } | changes


def draft(memory: Memory, **changes: Any) -> dict[str, Any]:
    """A post at a time that comes twice."""
    timed = {"local_time": "2027-01-04T18:00", "time_zone": "Europe/Berlin", "ambiguous_time": "LATER"}
    return content(memory) | timed | changes


def fields(problem: httpx.Response) -> list[str]:
    """What is at fault."""
    return [each["field"] for each in problem.json()["field_violations"]]
