"""A strict stand-in of TikTok Shop's product calls that was not written with the sandbox: many products, and the limit
of 10,000 rows to a search.

It signs by the reference, refuses what is not documented, and hands out at most `LIMIT` rows to a search, whatever the
pages. Products can be added and taken away while they are read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

KEY, SECRET, CIPHER, SHOP_ID = "sandbox-app-key", "sandbox-app-secret", "ROW_fake/+=", "7495000000000000001"
LIMIT = 10_000
_FILTERS = {"create_time_ge", "create_time_le", "update_time_ge", "update_time_le"}


@dataclass
class FakeProduct:
    id: str
    title: str
    create_time: int
    update_time: int
    status: str = "ACTIVATE"

    def listed(self) -> dict[str, Any]:
        sku = {"id": f"9{self.id}", "seller_sku": f"SKU-{self.id}", "inventory": [{"warehouse_id": "1", "quantity": 3}]}
        price = {"currency": "USD", "tax_exclusive_price": "1.50", "sale_price": "9.99"}
        return {
            "id": self.id,
            "title": self.title,
            "status": self.status,
            "create_time": self.create_time,
            "update_time": self.update_time,
            "skus": [sku | {"price": price}],
        }


@dataclass
class FakeShop:
    """The stand-in: a server in threads. `during` is called with each search's page number (from 1)."""

    products: dict[str, FakeProduct] = field(default_factory=dict)
    searches: list[dict[str, Any]] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    during: Callable[[int], None] = lambda number: None
    access_token: str = "fake-access-1"

    def __enter__(self) -> Self:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["content-length"])))

            def _answer(self, body: bytes) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                answer = shop.answer(self.command, parts.path, query, body, self.headers["x-tts-access-token"] or "")
                content = json.dumps({"message": "", "request_id": "fake-1", "data": {}} | answer).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, token: str) -> dict[str, Any]:
        with self._lock:
            if path == "/api/v2/token/get":
                return {"code": 0, "data": self._tokens()}
            problem = self._signed(path, query, body) or ("" if token == self.access_token else "access token")
            if problem:
                self.problems.append(f"{method} {path}: {problem}")
                return {"code": 106001, "message": problem}
            if path == "/authorization/202309/shops":
                shop = {"id": SHOP_ID, "name": "Fake", "code": "F", "region": "US", "seller_type": "LOCAL"}
                return {"code": 0, "data": {"shops": [shop | {"cipher": CIPHER}]}}
            if query.get("shop_cipher") != CIPHER:
                return {"code": 106013, "message": "shop_cipher"}
            if (method, path) == ("POST", "/product/202502/products/search"):
                return self._search(query, json.loads(body))
            if method == "GET" and path.startswith("/product/202309/products/"):
                return self._get(path.rpartition("/")[2])
            return self.other(method, path, query, body)

    def other(self, method: str, path: str, query: dict[str, str], body: bytes) -> dict[str, Any]:
        """What is not about products; for stand-ins that know more."""
        self.problems.append(f"{method} {path}: unknown")
        return {"code": 36009009, "message": "unknown path"}

    def _signed(self, path: str, query: dict[str, str], body: bytes) -> str:
        told = path + "".join(name + query[name] for name in sorted(query) if name != "sign")
        wrapped = SECRET.encode() + told.encode() + body + SECRET.encode()
        if hmac.new(SECRET.encode(), wrapped, hashlib.sha256).hexdigest() != query.get("sign"):
            return "signature"
        return "" if abs(time.time() - int(query["timestamp"])) < 30 else "timestamp"

    def _tokens(self) -> dict[str, Any]:
        end = int(time.time()) + 7 * 86_400
        return {
            "access_token": self.access_token,
            "access_token_expire_in": end,
            "refresh_token": "fake-refresh-1",
            "refresh_token_expire_in": end + 300 * 86_400,
            "open_id": "fake-open-id",
            "seller_name": "Fake seller",
            "seller_base_region": "US",
            "user_type": 0,
            "granted_scopes": ["seller.authorization.info", "seller.product.basic"],
        }

    def _search(self, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        unknown = (set(query) - {"app_key", "timestamp", "sign", "shop_cipher", "page_size", "page_token"}) | (
            set(body) - _FILTERS
        )
        if unknown or not 1 <= int(query["page_size"]) <= 100:
            self.problems.append(f"search: {unknown or query['page_size']}")
        self.searches.append(body)
        first = int(query.get("page_token") or 0)
        self.during(len(self.searches))
        found = sorted(
            (
                one
                for one in self.products.values()
                if body.get("create_time_ge", 0) <= one.create_time <= body.get("create_time_le", 2**40)
                and body.get("update_time_ge", 0) <= one.update_time <= body.get("update_time_le", 2**40)
            ),
            key=lambda one: (-one.create_time, one.id),
        )
        last = first + int(query["page_size"])
        if last > LIMIT:
            return {"code": 12052180, "message": "More than 10,000 rows."}
        return {
            "code": 0,
            "data": {
                "products": [one.listed() for one in found[first:last]],
                "total_count": len(found),
                "next_page_token": str(last) if last < len(found) else "",
            },
        }

    def _get(self, product_id: str) -> dict[str, Any]:
        self.details.append(product_id)
        found = self.products.get(product_id)
        if found is None:
            return {"code": 12052032, "message": "product not found"}
        more = {"description": f"<p>About {found.title}</p>", "main_images": [{"urls": ["https://p.example/1.jpg"]}]}
        return {"code": 0, "data": found.listed() | more}

    def add(self, count: int, *, begin: int, every: int = 1) -> None:
        """So many products more, the first made at a time, the others so many seconds after each other."""
        for number in range(count):
            name, made = str(1_729_000_000_000_000_000 + len(self.products)), begin + number * every
            self.products[name] = FakeProduct(name, f"Card {len(self.products):06}", made, made)
