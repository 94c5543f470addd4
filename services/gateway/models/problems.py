"""The body of every refusal, for the reference; `services.gateway.errors` makes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from reelroute.scheduler.v1 import scheduler_pb2

from kit.errors import ReelrouteError
from services.gateway.errors import TITLES, in_rest_words
from services.gateway.models.fields import AnswerModel


class FieldViolation(BaseModel):
    """One field of the request that is at fault."""

    field: str = Field(description="Path in the body (`media_asset_ids[0]`), or the name of a parameter or header.")
    description: str = Field(description="What would be accepted there.")
    reason: str = Field(description="UPPER_SNAKE, for programs; may be empty.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/docs#problem-media-unknown",
                    "title": "Invalid values",
                    "status": 422,
                    "detail": "There is no media asset with this id. Upload the file first.",
                    "reason": "MEDIA_UNKNOWN",
                    "field_violations": [
                        {
                            "field": "media_asset_ids[0]",
                            "description": "There is no media asset with this id. Upload the file first.",
                            "reason": "MEDIA_UNKNOWN",
                        }
                    ],
                    "request_id": "0b0ff8b0-6bd5-4e3a-9ad6-1b3a9b0c6d7e",
                }
            ]
        }
    )

    type: str = Field(description="Where the reference speaks of it; relative to the API's address.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened and how to go on.")
    reason: str = Field(description="UPPER_SNAKE, stable, for programs.")
    field_violations: list[FieldViolation] = Field(description="The fields at fault; may be empty.")
    request_id: str = Field(description="Also in the header X-Request-Id; name it when you ask for help.")
    retry_after: int | None = Field(
        default=None, description="Seconds after which the same request may work. Only with 429 and 503."
    )


class RefusedField(AnswerModel):
    """One field of a draft that is at fault."""

    field: str
    description: str
    reason: str


class Refusal(AnswerModel):
    """Why one of a batch was not taken; as the problem that it would have got alone."""

    reason: str = Field(description="UPPER_SNAKE.")
    message: str
    field_violations: list[RefusedField]

    @classmethod
    def of(cls, refusal: scheduler_pb2.DraftRefusal) -> Refusal:
        """From the scheduler."""
        return cls(
            reason=refusal.reason,
            message=refusal.message,
            field_violations=[
                RefusedField(field=in_rest_words(each.field), description=each.description, reason=refusal.reason)
                for each in refusal.field_violations
            ],
        )

    @classmethod
    def by(cls, error: ReelrouteError) -> Refusal:
        """From a refusal of the gateway's own."""
        return cls(
            reason=error.reason,
            message=error.message,
            field_violations=[
                RefusedField(field=each.field, description=each.description, reason=each.reason)
                for each in error.violations
            ],
        )


_ALWAYS = (401, 403, 408, 422, 429, 500, 503, 504)
_WITH_BODY = (400, 413, 415)


def problems(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for the reference: those that every route may give, and the given ones."""
    everything = sorted({*_ALWAYS, *statuses, *(_WITH_BODY if body else ())})
    return {
        status: {
            "description": TITLES[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in everything
    }
