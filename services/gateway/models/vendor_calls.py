"""Calls to platforms, as they were recorded."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, JsonValue
from reelroute.vendorcalls.v1 import vendorcalls_pb2 as pb

from services.gateway.models import examples
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of

OutcomeWord = Literal[
    "OK", "UNAVAILABLE", "RATE_LIMITED", "QUOTA_REACHED", "ACCOUNT_PROBLEM", "REJECTED", "UNCERTAIN", "ABANDONED"
]
_PREFIX = "VENDOR_CALL_OUTCOME_"


class VendorCall(AnswerModel):
    """One try of one call to a platform's API."""

    vendor_call_id: str
    post_id: str | None = Field(description="What it was made for; null where it does not apply.")
    delivery_id: str | None
    account_id: str | None
    order_id: str | None
    shop_id: str | None
    vendor: str = Field(description="Whose API: `tiktok`, `tiktok_shop`, `amazon_sp`.")
    operation: str = Field(description="Our name of the call: `video_init`.")
    method: str
    path: str = Field(description="Without its query. Of an address that the vendor gave: its host.")
    attempt: int = Field(description="1 for the first try; later ones are further records.")
    start_time: datetime | None
    duration_ms: float
    outcome: str | None = Field(
        description="`UNAVAILABLE`: no usable answer. `QUOTA_REACHED`: a cap of hours or days. `ACCOUNT_PROBLEM`: the"
        " authorisation does not allow it. `REJECTED`: refused for good. `UNCERTAIN`: it may have taken effect."
        " `ABANDONED`: we gave up.",
        json_schema_extra={"enum": [*words_of(pb.VendorCallOutcome, _PREFIX), None]},
    )
    status: int | None = Field(description="HTTP status; null when there was no answer.")
    code: str = Field(description="The vendor's word for the error, or ours without an answer; empty when it worked.")
    log_id: str = Field(description="What the vendor's support asks for.")
    handle: str = Field(description="The vendor's name for the thing in work: a `publish_id`.")


class VendorCallList(AnswerModel):
    """A page of calls, by their start, newest first."""

    model_config = shown(examples.page("vendor_calls", examples.VENDOR_CALL))

    vendor_calls: list[VendorCall]
    next_page_token: str = Field(description="Empty on the last page.")


class WholeVendorCall(VendorCall):
    """A call with what was sent and answered, but for tokens, secrets and buyers' data."""

    model_config = shown(examples.WHOLE_VENDOR_CALL)

    request: dict[str, JsonValue] | None = Field(
        description="Besides the path: `query`, and of the body `json`, the names of its `form`, or its `bytes`."
        " What is left out reads `[redacted]` or `[cut]`."
    )
    answer: dict[str, JsonValue] | None = Field(
        description="`json`, or only its `bytes` where it was too large. Null: nothing came, or no JSON, or tokens."
    )


def call_of(call: pb.VendorCall) -> VendorCall:
    """From whoever made it."""
    return VendorCall(**_values(call))


def whole_of(answer: pb.GetVendorCallResponse) -> WholeVendorCall:
    """From whoever made it."""
    return WholeVendorCall(
        **_values(answer.vendor_call), request=_document(answer.request_json), answer=_document(answer.answer_json)
    )


def outcome_to(word: OutcomeWord) -> pb.VendorCallOutcome.ValueType:
    """The word as a message has it."""
    return pb.VendorCallOutcome.Value(f"{_PREFIX}{word}")


def _values(call: pb.VendorCall) -> dict[str, Any]:
    return {
        "vendor_call_id": call.vendor_call_id,
        "post_id": call.post_id or None,
        "delivery_id": call.delivery_id or None,
        "account_id": call.account_id or None,
        "order_id": call.order_id or None,
        "shop_id": call.shop_id or None,
        "vendor": call.vendor,
        "operation": call.operation,
        "method": call.method,
        "path": call.path,
        "attempt": call.attempt,
        "start_time": instant_of(call, "start_time"),
        "duration_ms": round(call.duration.ToMicroseconds() / 1000, 3),
        "outcome": word_of(pb.VendorCallOutcome, _PREFIX, call.outcome),
        "status": call.status or None,
        "code": call.code,
        "log_id": call.log_id,
        "handle": call.handle,
    }


def _document(text: str) -> dict[str, JsonValue] | None:
    found: dict[str, JsonValue] | None = json.loads(text) if text else None
    return found
