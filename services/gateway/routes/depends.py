"""What routes ask FastAPI for: who calls, the services, and the parameters that many routes share."""

from __future__ import annotations

import uuid
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Path, Query
from starlette.requests import Request

from kit.errors import FieldViolation
from services.gateway.auth import Caller
from services.gateway.clients import Clients
from services.gateway.errors import invalid
from services.gateway.models.fields import Text
from services.gateway.route import caller_of, gateway_of


def _clients(request: Request) -> Clients:
    return gateway_of(request).clients


def _request_id(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=64,
            pattern="^[!-~]+$",
            description="Chosen by you, 1 to 64 visible ASCII characters, another for each new request. The same"
            " request with the same key is done once, and answered as the first time, for 72 hours.",
        ),
    ] = None,
) -> str:
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise invalid([FieldViolation("Idempotency-Key", "Send this header once.", "REPEATED")])
    return idempotency_key or str(uuid.uuid4())


Caller_ = Annotated[Caller, Depends(caller_of)]
Clients_ = Annotated[Clients, Depends(_clients)]
RequestId = Annotated[str, Depends(_request_id)]
Id = Annotated[UUID, Path()]
PageSize = Annotated[
    int, Query(ge=0, le=2**31 - 1, description="At most so many; 0 means 50, more than 200 means 200.")
]
PageToken = Annotated[
    Text, Query(max_length=512, description="`next_page_token` of the page before; empty for the first.")
]
# Of lists that are read from a vendor.
VendorPageSize = Annotated[
    int, Query(ge=0, le=2**31 - 1, description="At most so many; 0 means 20, more than 100 means 100.")
]
# Where a vendor's own token, or a name of any script, is inside of ours.
LongPageToken = Annotated[
    Text, Query(max_length=2048, description="`next_page_token` of the page before; empty for the first.")
]
OtherTimeZone = Annotated[Text, Query(max_length=64, description="A second zone to show the times in.")]
PostIdFilter = Annotated[UUID | None, Query(description="Only about this post.")]

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^(\*|"[!#-~]{1,64}")$',
        description='The `etag` of the version that the change was made on, in quotes: `"3f9a1c2b"`. Without it the'
        " current version is changed.",
    ),
]


def etag_in(if_match: str | None) -> str:
    """The version that a change was made on; empty: whatever is current."""
    return "" if if_match in (None, "*") else if_match.strip('"')
