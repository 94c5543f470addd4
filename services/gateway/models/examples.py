"""Examples for the reference: one brand, one video, one post, followed through every body and answer."""

from __future__ import annotations

from typing import Any

WORKSPACE_ID = "0199a8f0-1b1c-7d3e-8a4f-5b6c7d8e9f01"
ACCOUNT_ID = "0199a8f2-3c4d-7e5f-9a6b-7c8d9e0f1a02"
MEDIA_ASSET_ID = "0199a8f3-4d5e-7f6a-8b7c-8d9e0f1a2b03"
POST_ID = "0199a8f4-5e6f-7a7b-9c8d-9e0f1a2b3c04"
DELIVERY_ID = "0199a8f4-5e6f-7a7b-9c8d-9e0f1a2b3c05"
KEY_ID = "0199a8f1-2b3c-7d4e-8f5a-6b7c8d9e0f06"
USER_ID = "0199a8f1-2b3c-7d4e-8f5a-6b7c8d9e0f07"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CREATED = "2026-12-01T12:00:00Z"
DUE = "2027-01-04T17:00:00Z"

OPTIONS = {
    "tiktok": {
        "privacy_level": "PUBLIC_TO_EVERYONE",
        "allow_comment": True,
        "allow_duet": False,
        "allow_stitch": False,
        "brand_organic": True,
        "branded_content": False,
        "is_ai_generated": False,
        "cover_time_ms": 1500,
        "post_mode": "DIRECT_POST",
        "music_usage_confirm_time": CREATED,
        "auto_add_music": False,
        "photo_cover_index": 0,
        "photo_title": "",
    }
}
# Of another post, for a TikTok Shop creator.
SHOP_OPTIONS: dict[str, Any] = {
    "product_id": "1729587769570529799",
    "product_title": "River desk mat",
    "cover_time_ms": 1500,
    "music_id": "",
    "is_ai_generated": False,
}
CAPTION = "A river you can play on. 24 by 14 inches, stitched edge.\n\n#emberfold #deskaesthetic"

POST_DRAFT: dict[str, Any] = {
    "channel": "water",
    "account_ids": [ACCOUNT_ID],
    "caption": CAPTION,
    "media_asset_ids": [MEDIA_ASSET_ID],
    "local_time": "2027-01-04T18:00",
    "time_zone": "Europe/Berlin",
    "options": OPTIONS,
    "ref": "Q1-003",
    "lateness": {"max_lateness_seconds": 3600, "late_action": "NEXT_SLOT"},
}
QUEUED_DRAFT: dict[str, Any] = {
    "channel": "water",
    "account_ids": [ACCOUNT_ID],
    "caption": CAPTION,
    "media_asset_ids": [MEDIA_ASSET_ID],
    "options": OPTIONS,
    "ref": "Q1-003",
    "not_before_time": "2027-01-04T00:00:00Z",
}
POST_PATCH: dict[str, Any] = {"local_time": "2027-01-05T09:30", "time_zone": "Europe/Berlin"}
POST_BATCH: dict[str, Any] = {"posts": [POST_DRAFT], "validate_only": True}
DELIVERY: dict[str, Any] = {
    "delivery_id": DELIVERY_ID,
    "post_id": POST_ID,
    "account_id": ACCOUNT_ID,
    "platform": "TIKTOK",
    "state": "SCHEDULED",
    "schedule_time": DUE,
    "due_time": DUE,
    "attempt": 0,
    "failed_attempts": 0,
    "hold_cause": None,
    "needs_person": False,
    "platform_post_id": "",
    "url": "",
    "visibility": None,
    "publish_time": None,
    "remove_time": None,
    "failure_reason": "",
    "failure_message": "",
    "update_time": CREATED,
}
POST: dict[str, Any] = {
    "post_id": POST_ID,
    "channel": "water",
    "ref": "Q1-003",
    "caption": CAPTION,
    "media": [{"media_asset_id": MEDIA_ASSET_ID, "sha256": _SHA256, "mime_type": "video/mp4"}],
    "local_time": "2027-01-04T18:00:00",
    "time_zone": "Europe/Berlin",
    "schedule_time": DUE,
    "options": OPTIONS,
    "lateness": None,
    "deliveries": [DELIVERY],
    "series_id": None,
    "occurrence_time": None,
    "approval": "PENDING",
    "etag": "3f9a1c2b",
    "create_time": CREATED,
    "update_time": CREATED,
}
POST_SUMMARY: dict[str, Any] = {
    "post_id": POST_ID,
    "channel": "water",
    "ref": "Q1-003",
    "caption": CAPTION,
    "local_time": "2027-01-04T18:00:00",
    "time_zone": "Europe/Berlin",
    "schedule_time": DUE,
    "series_id": None,
    "occurrence_time": None,
    "approval": "PENDING",
    "etag": "3f9a1c2b",
    "deliveries": [
        {
            "delivery_id": DELIVERY_ID,
            "account_id": ACCOUNT_ID,
            "platform": "TIKTOK",
            "state": "SCHEDULED",
            "due_time": DUE,
            "needs_person": False,
            "url": "",
            "publish_time": None,
            "failure_reason": "",
        }
    ],
}
WARNING: dict[str, Any] = {
    "field": "account_ids[0]",
    "reason": "AUTHORIZATION_LOST",
    "message": "The account must be connected again before the post is due.",
}
CONFLICT: dict[str, Any] = {
    "rule": "DUPLICATE_CAPTION",
    "field": "caption",
    "message": "The channel air says nearly the same on 2027-01-04 08:00 (America/New_York). Change the words, or"
    " choose a time at least 1 d away.",
    "other_post_id": "0199a8f4-6f7a-7b8c-9d0e-1f2a3b4c5d13",
    "blocking": False,
}
POST_BATCH_ANSWER: dict[str, Any] = {
    "results": [
        {"index": 0, "ref": "Q1-003", "post": POST, "refusal": None, "warnings": [WARNING], "conflicts": [CONFLICT]},
        {
            "index": 1,
            "ref": "Q1-004",
            "post": None,
            "refusal": {
                "reason": "TIME_ZONE_UNKNOWN",
                "message": "CET+1 is no IANA time zone. Use a name like Europe/Berlin.",
                "field_violations": [
                    {"field": "time_zone", "description": "Use a name like Europe/Berlin.", "reason": ""}
                ],
            },
            "warnings": [],
            "conflicts": [],
        },
    ]
}
PUBLICATION: dict[str, Any] = {
    "publication_id": "0199a9c0-7a8b-7c9d-8e0f-1a2b3c4d5e08",
    "delivery_id": DELIVERY_ID,
    "post_id": POST_ID,
    "account_id": ACCOUNT_ID,
    "step": "PUBLISHED",
    "handle": "v_pub_file~v2-1.7400000000000000001",
    "platform_post_id": "7400000000000000002",
    "url": "https://www.tiktok.com/@emberfold.water/video/7400000000000000002",
    "needs_person": False,
    "publish_epoch": 1,
    "create_time": DUE,
    "update_time": "2027-01-04T17:00:41Z",
    "attempts": [
        {
            "attempt": 1,
            "holder": "publisher-0/4711",
            "start_time": DUE,
            "end_time": "2027-01-04T17:00:41Z",
            "outcome": "published",
            "entries": [
                {
                    "entry_time": "2027-01-04T17:00:01Z",
                    "step": "HANDLE",
                    "message": "TikTok gave the publish_id.",
                    "vendor_log_id": "20270104170001ABCDEF",
                }
            ],
        }
    ],
}
DECISION: dict[str, Any] = {"delivery_ids": [DELIVERY_ID], "decision": "NEXT_SLOT"}
DECISION_ANSWER: dict[str, Any] = {
    "results": [
        {
            "delivery_id": DELIVERY_ID,
            "delivery": DELIVERY | {"schedule_time": "2027-01-05T17:00:00Z", "due_time": "2027-01-05T17:00:00Z"},
            "refusal": None,
        }
    ]
}
SETTLEMENT: dict[str, Any] = {
    "is_published": True,
    "url": "https://www.tiktok.com/@emberfold.water/video/7400000000000000002",
}
HOLD_DRAFT: dict[str, Any] = {"scope": "CHANNEL", "target": "water", "reason": "The product is recalled."}
HOLD_LIFT: dict[str, Any] = {"scope": "CHANNEL", "target": "water", "cause": "PAUSE", "due_action": "BY_RULE"}
HOLD: dict[str, Any] = {
    "hold_id": "0199a9c2-0d1e-7f2a-8b3c-4d5e6f7a8b11",
    "scope": "CHANNEL",
    "target": "water",
    "cause": "PAUSE",
    "reason": "The product is recalled.",
    "create_time": CREATED,
    "held_deliveries": 3,
}
HOLD_LIFTED: dict[str, Any] = {"held_deliveries": 3}
CHANNEL_RULES: dict[str, Any] = {
    "channel": "water",
    "lateness": {"max_lateness_seconds": 7200, "late_action": "ASK"},
    "max_attempts": 10,
    "max_age_seconds": None,
}
OUTAGE: dict[str, Any] = {
    "outage_id": "0199a9c2-1e2f-7a3b-8c4d-5e6f7a8b9c12",
    "start_time": "2027-01-04T16:10:00Z",
    "end_time": "2027-01-04T17:25:00Z",
    "deliveries": 4,
}
INCIDENT: dict[str, Any] = {
    "incident_id": "0199a9c2-2f3a-7b4c-8d5e-6f7a8b9c0d13",
    "platform": "TIKTOK",
    "start_time": "2027-01-04T16:10:00Z",
    "end_time": None,
    "cause": "TikTok answered with HTTP status 503.",
    "probes": 4,
    "next_probe_time": "2027-01-04T16:12:30Z",
}
MEDIA_ASSET: dict[str, Any] = {
    "media_asset_id": MEDIA_ASSET_ID,
    "file_name": "vertical_8s.mp4",
    "mime_type": "video/mp4",
    "kind": "VIDEO",
    "size_bytes": 812345,
    "sha256": _SHA256,
    "width": 720,
    "height": 1280,
    "container": "mp4",
    "codec": "h264",
    "audio_codec": "aac",
    "frame_rate_millis": 30000,
    "duration_ms": 8000,
    "pixel_mode": "yuv420p",
    "has_location": False,
    "frame_hashes": ["96e141b0f8c5eba3", "b54a42b478f86b87"],
    "create_time": CREATED,
}
AGENT: dict[str, Any] = {
    "name": "tiktok_shop",
    "description": "Knows the connected TikTok Shops: their products, orders and numbers.",
    "skills": [
        {
            "name": "sync_products",
            "description": "Reads the products of a shop that changed, now instead of at the next turn. Gives how many"
            " were read.",
            "arguments_schema": {
                "type": "object",
                "properties": {"shop_id": {"type": "string", "format": "uuid"}},
                "required": ["shop_id"],
            },
        }
    ],
}
SKILL_USE: dict[str, Any] = {
    "agent": "tiktok_shop",
    "skill": "propose_posts",
    "arguments": {"shop_id": "0199d5d4-7a3e-7c54-9a0c-0c8f3c1f2a11", "channel": "air", "count": 1},
}
SKILL_RESULT: dict[str, Any] = {
    "result": {
        "proposals": [
            {
                "product_id": "0199d5d4-7a3e-7c54-9a0c-0c8f3c1f2a12",
                "platform_product_id": "1729592969712207008",
                "title": "Dragon Vault Deck Box",
                "channel": "air",
                "caption": "Dragon Vault Deck Box\nFrom 24.00 USD.\nBlack or Red.",
                "media_asset_ids": ["0199d5d4-7a3e-7c54-9a0c-0c8f3c1f2a13"],
                "reason": "12 sold in 28 days, 40 in stock.",
                "local_time": "2026-11-29T08:00:00",
                "time_zone": "America/New_York",
            }
        ],
        "notes": [],
    }
}
ACCOUNT: dict[str, Any] = {
    "account_id": ACCOUNT_ID,
    "platform": "TIKTOK",
    "platform_account_id": "act.a1b2c3",
    "handle": "emberfold.water",
    "display_name": "Emberfold Water",
    "scopes": ["user.info.basic", "video.publish"],
    "state": "CONNECTED",
    "problem": "",
    "authorization_expire_time": "2027-12-01T12:00:00Z",
    "create_time": CREATED,
    "update_time": CREATED,
}
ACCOUNT_LIMITS: dict[str, Any] = {
    "handle": "emberfold.water",
    "display_name": "Emberfold Water",
    "privacy_levels": ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"],
    "comment_disabled": False,
    "duet_disabled": True,
    "stitch_disabled": False,
    "longest_video_seconds": 600,
    "read_time": CREATED,
}
ACCOUNT_NUMBERS: dict[str, Any] = {
    "followers": 1204,
    "following": 12,
    "likes": 20931,
    "posts": 88,
    "read_time": CREATED,
}
POST_NUMBERS: dict[str, Any] = {
    "platform_post_id": "7400000000000000002",
    "url": "https://www.tiktok.com/@emberfold.water/video/7400000000000000002",
    "caption": CAPTION,
    "publish_time": DUE,
    "views": 18230,
    "likes": 911,
    "comments": 34,
    "shares": 12,
    "post_id": POST_ID,
    "delivery_id": DELIVERY_ID,
}
CONNECTION_START: dict[str, Any] = {"platform": "TIKTOK", "redirect_uri": "http://127.0.0.1:8765/callback"}
CONNECTION: dict[str, Any] = {
    "consent_url": "https://www.tiktok.com/v2/auth/authorize/?client_key=aw1&state=b2c3d4",
    "state": "b2c3d4",
    "expire_time": "2026-12-01T12:10:00Z",
}
CONNECTION_FINISH: dict[str, Any] = {"state": "b2c3d4", "code": "the-code-of-the-redirect"}
ACTIVITY: dict[str, Any] = {
    "activity_id": "0199a9c1-8b9c-7d0e-9f1a-2b3c4d5e6f09",
    "activity_time": "2027-01-04T17:00:41Z",
    "type": "delivery.published",
    "summary": "TikTok published it as 7400000000000000002.",
    "post_id": POST_ID,
    "delivery_id": DELIVERY_ID,
    "account_id": ACCOUNT_ID,
    "attributes": {"platform_post_id": "7400000000000000002"},
}
VENDOR_CALL: dict[str, Any] = {
    "vendor_call_id": "0199a9c1-5a6b-7c8d-9e0f-1a2b3c4d5e11",
    "post_id": POST_ID,
    "delivery_id": DELIVERY_ID,
    "account_id": ACCOUNT_ID,
    "order_id": None,
    "shop_id": None,
    "vendor": "tiktok",
    "operation": "status_fetch",
    "method": "POST",
    "path": "/v2/post/publish/status/fetch/",
    "attempt": 1,
    "start_time": "2027-01-04T17:00:40.812Z",
    "duration_ms": 184.2,
    "outcome": "OK",
    "status": 200,
    "code": "",
    "log_id": "202701041700408123456789",
    "handle": "v_pub_file~v2-1.7400000000000000001",
}
WHOLE_VENDOR_CALL: dict[str, Any] = {
    **VENDOR_CALL,
    "request": {"json": {"publish_id": "v_pub_file~v2-1.7400000000000000001"}},
    "answer": {
        "json": {
            "data": {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [7400000000000000002]},
            "error": {"code": "ok", "message": "", "log_id": "202701041700408123456789"},
        }
    },
}
MESSAGE: dict[str, Any] = {
    "message_id": "0199a9c1-9c0d-7e1f-8a2b-3c4d5e6f7a10",
    "activity_id": "0199a9c1-8b9c-7d0e-9f1a-2b3c4d5e6f09",
    "post_id": POST_ID,
    "severity": "INFO",
    "title": "Published on @emberfold.water",
    "body": "TikTok published it as 7400000000000000002.",
    "create_time": "2027-01-04T17:00:42Z",
    "sends": [
        {
            "target": "log",
            "state": "SENT",
            "attempts": 1,
            "last_error": "",
            "send_time": "2027-01-04T17:00:42Z",
        }
    ],
}
WORKSPACE: dict[str, Any] = {"workspace_id": WORKSPACE_ID, "display_name": "Emberfold", "create_time": CREATED}
USER: dict[str, Any] = {
    "user_id": USER_ID,
    "email": "ada@example.com",
    "display_name": "Ada",
    "create_time": CREATED,
}
KEY: dict[str, Any] = {
    "api_key_id": KEY_ID,
    "display_name": "Calendar import",
    "prefix": "rr_3f9a1c2b",
    "scopes": ["POSTS_WRITE", "MEDIA_WRITE"],
    "user_id": None,
    "create_time": CREATED,
    "expire_time": None,
    "revoke_time": None,
    "last_use_time": None,
}
NEW_KEY: dict[str, Any] = KEY | {"key_text": "rr_3f9a1c2b_Yq3…"}


IMPORT_OPTIONS: dict[str, Any] = {
    "validate_only": True,
    "format": "buffer",
    "account": "emberfold.air",
    "time_zone": "America/New_York",
    "channel": "air",
    "tiktok": OPTIONS["tiktok"],
}
IMPORT_LINE: dict[str, Any] = {
    "row": {
        "line": 2,
        "ref": "Q1-001",
        "outcome": "CREATED",
        "post_id": POST_ID,
        "schedule_time": DUE,
        "changes": [],
        "problems": [],
        "warnings": [],
        "conflicts": [],
    },
    "summary": None,
    "problem": None,
}


def page(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """A list's answer with one item, the last page."""
    return {name: [item], "next_page_token": ""}
