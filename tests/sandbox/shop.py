"""A client that plays an app of TikTok Shop; it signs by the reference, not with the code of the sandbox."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

KEY, SECRET, SERVICE = "sandbox-app-key", "sandbox-app-secret", "sandbox-service-id"
CALLBACK = "https://brand.example/tiktok-shop/callback"


def sign(secret: str, path: str, params: dict[str, str], body: bytes = b"", multipart: bool = False) -> str:
    text = path + "".join(name + params[name] for name in sorted(params) if name not in ("sign", "access_token"))
    raw = text.encode() + (b"" if multipart else body)
    return hmac.new(secret.encode(), secret.encode() + raw + secret.encode(), hashlib.sha256).hexdigest()


@dataclass
class ShopApp:
    """An app of TikTok Shop with the tokens of sellers and creators."""

    http: httpx.Client
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    ciphers: dict[str, str] = field(default_factory=dict)

    def control(self, method: str, path: str, **body: Any) -> Any:
        """One call of the control API of the shop (or of the sandbox, from `/`) that must succeed."""
        address = path.replace("//", "/") if path.startswith("//") else f"/tiktok_shop{path}"
        response = self.http.request(method, f"/control{address}", json=body if method != "GET" else None)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def settings(self, **changes: Any) -> None:
        self.control("PATCH", "/settings", **changes)

    def advance(self, seconds: float) -> None:
        self.control("POST", "//clock/advance", seconds=seconds)

    def consent_url(self, kind: str = "seller", **changes: str) -> str:
        path, query = ("/open/authorize", {"service_id": SERVICE}) if kind == "seller" else (
            "/alliance/creator/auth", {"app_key": KEY})  # fmt: skip
        return f"{path}?{urlencode({**query, 'state': 's-1', **changes})}"

    def consent(self, subject: str = "emberfold", kind: str = "seller", decision: str = "allow") -> dict[str, str]:
        """What comes back to the callback when a person answers the consent page."""
        answer = self.http.post(self.consent_url(kind), data={kind: subject, "decision": decision})
        assert answer.status_code == 302, answer.text
        assert answer.headers["location"].startswith(CALLBACK)
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def token(self, call: str, **changes: str) -> dict[str, Any]:
        """The answer of a token call."""
        params = {"app_key": KEY, "app_secret": SECRET, **changes}
        answer: dict[str, Any] = self.http.get(f"/api/v2/token/{call}", params=params).json()
        return answer

    def exchange(self, code: str) -> dict[str, Any]:
        return self.token("get", auth_code=code, grant_type="authorized_code")

    def refresh(self, token: str) -> dict[str, Any]:
        return self.token("refresh", refresh_token=token, grant_type="refresh_token")

    def connect(self, subject: str = "emberfold", kind: str = "seller") -> None:
        """Consent and tokens; for a seller also the ciphers by the shops' regions."""
        self.tokens[subject] = self.exchange(self.consent(subject, kind)["code"])["data"]
        if kind == "seller":
            shops = self.ok("GET", "/authorization/202309/shops", by=subject, region=None)["shops"]
            self.ciphers |= {shop["region"]: shop["cipher"] for shop in shops}

    def call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        by: str = "emberfold",
        region: str | None = "US",
        **changes: Any,
    ) -> httpx.Response:
        """One signed call. `region` names the shop; `changes` override query parameters after signing, None drops."""
        params = {"app_key": KEY, "timestamp": str(int(time.time()))}
        params |= {name: str(value) for name, value in (query or {}).items()}
        if region is not None:
            params["shop_cipher"] = self.ciphers[region]
        content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        params["sign"] = sign(SECRET, path, params, content)
        params |= {name: str(value) for name, value in changes.items() if value is not None}
        for name in [name for name, value in changes.items() if value is None]:
            del params[name]
        headers = {"content-type": "application/json", "x-tts-access-token": self.tokens[by]["access_token"]}
        return self.http.request(method, path, params=params, content=content, headers=headers)

    def upload(self, path: str, name: str, data: bytes, by: str) -> httpx.Response:
        """A signed multipart call with one file."""
        params = {"app_key": KEY, "timestamp": str(int(time.time()))}
        params["sign"] = sign(SECRET, path, params, multipart=True)
        headers = {"x-tts-access-token": self.tokens[by]["access_token"]}
        return self.http.post(path, params=params, files={"data": (name, data)}, headers=headers)

    def ok(self, method: str, path: str, query: Any = None, body: Any = None, **more: Any) -> dict[str, Any]:
        """`data` of a call that must succeed."""
        answer = self.call(method, path, query, body, **more)
        assert (answer.status_code, answer.json()["code"]) == (200, 0), answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def code(self, method: str, path: str, query: Any = None, body: Any = None, **more: Any) -> int:
        """The code of a call."""
        number: int = self.call(method, path, query, body, **more).json()["code"]
        return number
