"""The application: routes, refusals, reference, and what surrounds them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from reelroute.identity.v1.identity_pb2 import Scope
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse

from services.gateway import errors, reference
from services.gateway.auth import ROUTE_SCOPES, Authenticator
from services.gateway.clients import Clients
from services.gateway.config import GatewayConfig
from services.gateway.edge import Edge
from services.gateway.models.changes import ChangeLine
from services.gateway.models.fields import AnswerModel, RequestModel, models_of
from services.gateway.models.imports import ImportLine, ImportOptions
from services.gateway.models.problems import Problem
from services.gateway.models.sku_mappings import SkuMapOptions
from services.gateway.route import Gateway
from services.gateway.routes import (
    accounts,
    activities,
    agents,
    changes,
    channels,
    deliveries,
    forecast,
    health,
    holds,
    imports,
    media,
    media_links,
    merchants,
    order_actions,
    orders,
    outages,
    plans,
    posts,
    products,
    recipients,
    routing_rules,
    series,
    shop_numbers,
    shop_routing,
    shops,
    sku_mappings,
    stock,
    vendor_calls,
    webhooks,
    workspaces,
)

_DESCRIPTION = """Plans, publishes and watches the content of brands that sell on TikTok Shop, and routes the orders to
Amazon Multi-Channel Fulfillment.

Send an API key as `Authorization: Bearer rr_…`; it acts for one workspace. Bodies and answers are JSON; instants are
RFC 3339 in UTC, wall-clock times name their IANA time zone. Enum values are upper case. Lists are paged: send
`next_page_token` of one page as `page_token` for the next.

Every POST, and the PATCH of a series, takes an `Idempotency-Key`: after a lost answer, send the same request with the
same key."""

_TAGS = [
    {"name": "Posts", "description": "What goes out, when, and for which accounts."},
    {
        "name": "Plans",
        "description": "When a channel posts: weekly slots, quiet hours, gaps, caps, blackouts; and duplicates.",
    },
    {"name": "Series", "description": "Posts that recur by a rule. Each occurrence is a post of its own."},
    {"name": "Forecast", "description": "What will fail in the next days, and what to do about it."},
    {"name": "Deliveries", "description": "One post for one account: its ledger, and what a person decides of it."},
    {
        "name": "Holds",
        "description": "What lets nothing of its scope go out: pauses, lost accounts, failing platforms.",
    },
    {"name": "Channels", "description": "How posts of a channel are tried again, and what becomes of late ones."},
    {"name": "Outages", "description": "Times in which posts could not go out, ours and the platforms'."},
    {"name": "Media", "description": "The files that posts are made of."},
    {"name": "Accounts", "description": "Connected profiles on the platforms."},
    {"name": "Agents", "description": "Helpers that know one field: what they can do, and having it done."},
    {"name": "Shops", "description": "Connected TikTok Shop sellers: their products, orders and numbers."},
    {"name": "Merchants", "description": "Connected Amazon sellers, whose warehouses send the orders."},
    {"name": "Orders", "description": "A shop's orders as we route them to Amazon, and what people do with them."},
    {"name": "Routing", "description": "Where orders go: a shop's settings, the map of its SKUs, and rules."},
    {
        "name": "Stock",
        "description": "What can be sold of Amazon's SKUs, what TikTok Shop is told, what does not agree.",
    },
    {"name": "Activity", "description": "What happened, and what people were told of it."},
    {"name": "Vendor calls", "description": "What was asked of the platforms' APIs, and what they answered."},
    {"name": "Workspace", "description": "The brand that the key acts for, its people and keys."},
    {"name": "Operator", "description": "For whoever runs the installation."},
    {"name": "Health", "description": "For whatever watches the process. No key is needed."},
]


def build_app(config: GatewayConfig) -> FastAPI:
    """The whole application. The services are connected to when it starts, and need not be there yet."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        clients = Clients(config)
        authenticator = Authenticator(clients, seconds=config.key_cache_seconds, entries=config.key_cache_entries)
        app.state.gateway = Gateway(config, clients, authenticator)
        yield
        await clients.close()

    app = FastAPI(
        title="Reelroute API",
        version="1",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        lifespan=lifespan,
    )
    if config.cors_allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.cors_allow_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-Id"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"],
        )
    app.add_middleware(Edge)
    errors.install(app)
    for router in (
        posts.router,
        changes.router,
        plans.router,
        series.router,
        forecast.router,
        imports.router,
        deliveries.router,
        holds.router,
        channels.router,
        outages.router,
        media.router,
        media_links.router,
        accounts.router,
        shops.router,
        products.router,
        shop_numbers.router,
        merchants.router,
        orders.router,
        order_actions.router,
        recipients.router,
        shop_routing.router,
        sku_mappings.router,
        routing_rules.router,
        stock.router,
        activities.router,
        agents.router,
        vendor_calls.router,
        workspaces.router,
        workspaces.operator_router,
        webhooks.router,
        health.router,
        _reference_router(app),
    ):
        app.include_router(router)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # FastAPI's own way to change the document
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once: FastAPI's, with keys, scopes and the body of refusals."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        separate_input_output_schemas=False,
    )
    components = document["components"]
    for kind in (*models_of(RequestModel), *models_of(AnswerModel)):
        extra = kind.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and kind.__name__ in components["schemas"]:
            # FastAPI leaves out what is null; what is null in an answer is part of its shape.
            components["schemas"][kind.__name__]["examples"] = extra["examples"]
    # FastAPI does not know them: bodies of refusals, parts of forms, lines of long answers.
    for model in (Problem, ImportOptions, ImportLine, ChangeLine, SkuMapOptions):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components["schemas"].update(schema.pop("$defs", {}))
        components["schemas"][model.__name__] = schema
    components["securitySchemes"] = {"ApiKey": {"type": "http", "scheme": "bearer", "description": "`rr_…`"}}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/v1"):
                scope = ROUTE_SCOPES[f"{method.upper()} {path}"]
                word = Scope.Name(scope).removeprefix("SCOPE_") if scope is not None else None
                operation["description"] += f"\n\nScope: `{word}`." if word else "\n\nScope: any."
                operation["security"] = [{"ApiKey": []}]
    app.openapi_schema = document
    return document


def _reference_router(app: FastAPI) -> APIRouter:
    router = APIRouter()
    headers = {"Content-Security-Policy": reference.CONTENT_SECURITY_POLICY}
    pages: list[str] = []

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """The reference."""
        if not pages:
            pages.append(reference.render(app.openapi()))
        return HTMLResponse(pages[0], headers=headers)

    return router
