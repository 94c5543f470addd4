"""TikTok Shop as its reference describes it, strict: what is not documented is noted as a violation.

Written from the reference alone. Ids in answers are numbers here and there, as they may be; HTTP says 200 to most
refusals; every answer has fields of tomorrow.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.standin import shop_data as data
from tests.standin import shop_rules as rules
from tests.standin.journal import Call, Journal
from tests.standin.server import Body, Reply, StandIn
from tests.standin.shapes import misfits

_FIRST, _LAST = -300, 30  # seconds around the server's clock in which a timestamp is taken


@dataclass
class Owner:
    """A seller or creator with its tokens. `old`: refresh tokens that were replaced in an answer that arrived."""

    open_id: str
    kind: str
    scopes: tuple[str, ...]
    shops: list[data.Shop] = field(default_factory=list)
    left: bool = False
    access: str = ""
    access_end: float = 0.0
    refresh: str = ""
    before: str = ""
    old: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)  # digests of uploaded files, by id
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    quota: str = "3/day"


class Shop(StandIn):
    """`lifetime`: of access tokens, seconds."""

    app_key, app_secret, service_id = "standinkey1", "stand-in-shop-secret-0123456789", "7400000000000000001"

    def __init__(self) -> None:
        super().__init__(Journal(rules.LIMITS, 1.0))
        self.owners: dict[str, Owner] = {}
        self.lifetime = 7 * 86_400
        self.refused_versions: set[str] = set()
        self._codes: dict[str, str] = {}
        self._spent: set[str] = set()
        self._states: set[str] = set()
        self._lost: dict[str, Call] = {}
        self.refusals: dict[str, int] = {}  # codes by endpoint

    def seller(self, *shops: data.Shop) -> Owner:
        return self._owner(Owner(f"seller{len(self.owners)}", "seller", rules.SELLER_SCOPES, list(shops)))

    def creator(self) -> Owner:
        return self._owner(Owner(f"creator{len(self.owners)}", "creator", rules.CREATOR_SCOPES))

    def _owner(self, owner: Owner) -> Owner:
        self.owners[owner.open_id] = owner
        return owner

    def consent(self, url: str, owner: Owner) -> tuple[str, str]:
        """What a consenting owner's browser does; code and state of the callback."""
        address = urlsplit(url)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        call = Call(0, time.monotonic(), "GET", address.path, query, [], "authorize", owner.open_id)
        self.journal.calls.append(call)
        creator = owner.kind == "creator"
        app = {"app_key": self.app_key} if creator else {"service_id": self.service_id}
        path = "/alliance/creator/auth" if creator else "/open/authorize"
        if address.path != path or not query.get("state") or query != {**app, "state": query["state"]}:
            self.journal.breaks(call, f"the consent page is {path} with {sorted(app)} and state")
        if query.get("state", "") in self._states:
            self.journal.breaks(call, "a state was used twice")
        self._states.add(query.get("state", ""))
        code = f"TTP_{secrets.token_urlsafe(20)}"
        self._codes[code] = owner.open_id
        return code, query.get("state", "")

    def expire(self, owner: Owner) -> None:
        """The access token is over."""
        owner.access_end = 0

    def give(self, owner: Owner) -> None:
        """Tokens without a consent page."""
        owner.before, owner.refresh = owner.refresh, f"TTR_{secrets.token_urlsafe(20)}"
        owner.access, owner.access_end = f"TTP_{secrets.token_urlsafe(20)}", time.monotonic() + self.lifetime

    def webhook(self, number: int, **fields: Any) -> tuple[dict[str, str], bytes]:
        """Headers and body of an event; `secret`: another one signs."""
        secret = fields.pop("secret", self.app_secret).encode()
        event = {"type": number, "tts_notification_id": str(secrets.randbits(62)), "timestamp": int(time.time())}
        body = json.dumps({**event, **fields}).encode()
        signature = hmac.new(secret, self.app_key.encode() + body, hashlib.sha256).hexdigest()
        return {"Authorization": signature, "Content-Type": "application/json"}, body

    # ---- what arrives

    def endpoint(self, call: Call) -> str:
        if call.method == "GET" and call.path in rules.TOKEN_QUERIES:
            return "token"
        found = rules.endpoint_of(call.method, call.path)
        return found.name if found else ""

    def identify(self, call: Call) -> None:
        call.token = call.header("x-tts-access-token")
        owner = next((each for each in self.owners.values() if call.token and each.access == call.token), None)
        shop = (
            next((each for each in owner.shops if each.cipher == call.query.get("shop_cipher")), None)
            if owner
            else None
        )
        before = next(
            (each.who for each in reversed(self.journal.calls) if call.token and each.token == call.token), ""
        )
        call.who = shop.id if shop else owner.open_id if owner else before
        more = set() if call.endpoint == "token" else {"content-type", "x-tts-access-token"}
        for name, value in call.headers:
            if name.lower() not in rules.PLAIN_HEADERS | more:
                self.journal.breaks(call, f"the header {name} is not documented here")
            if self.app_secret in value:
                self.journal.breaks(call, "the app's secret in a header")
        if call.endpoint != "token" and (self.app_secret in call.target or (call.token and call.token in call.target)):
            self.journal.breaks(call, "a secret in the address")

    def answer(self, call: Call, body: Body) -> Reply:
        with self.journal.lock:
            if call.endpoint == "token":
                call.raw = body.all()
                return self._token(call)
        raw = body.all()
        with self.journal.lock:
            return self._call(call, raw)

    def _token(self, call: Call) -> Reply:
        journal, query = self.journal, call.query
        for problem in misfits(query, rules.TOKEN_QUERIES[call.path], "query"):
            journal.breaks(call, problem)
        if call.raw:
            journal.breaks(call, "a body where none is documented")
        if (query.get("app_key"), query.get("app_secret")) != (self.app_key, self.app_secret):
            journal.breaks(call, "key and secret are not this app's")
        call.body = dict(query)
        journal.arrived(call)
        if (instead := self.instead(call)) is not None:
            return instead
        if code := query.get("auth_code"):
            if code in self._spent:
                journal.breaks(call, "a code is exchanged twice")
            self._spent.add(code)
            owner = self.owners.get(self._codes.pop(code, ""))
            if owner is None:
                return envelope(36004004)
            self.give(owner)
            return envelope(data=self._grant(owner))
        given = query.get("refresh_token", "")
        for owner in self.owners.values():
            if given in owner.old:
                journal.breaks(call, "a refresh token is used again after a new one was given")
            elif given and given in (owner.refresh, owner.before):
                call.who = owner.open_id
                if owner.left:
                    return envelope(36004005)
                call.note = (owner, owner.access, given)
                self.give(owner)
                return envelope(data=self._grant(owner))
        return envelope(36004001)

    def _grant(self, owner: Owner) -> dict[str, Any]:
        now = int(time.time())
        return {
            "access_token": owner.access, "access_token_expire_in": now + self.lifetime, "open_id": owner.open_id,
            "refresh_token": owner.refresh, "refresh_token_expire_in": now + 365 * 86_400, "seller_name": "Ember & Co",
            "seller_base_region": "US", "user_type": 1 if owner.kind == "creator" else 0,
            "granted_scopes": [*owner.scopes, "a.scope.of.tomorrow"],
        }  # fmt: skip

    def _call(self, call: Call, raw: bytes) -> Reply:
        journal = self.journal
        endpoint = rules.endpoint_of(call.method, call.path)
        assert endpoint is not None
        self._judge_request(call, endpoint, raw)
        journal.arrived(call)
        if (lost := self._lost.pop(call.same, None)) is not None and endpoint.writes:
            journal.breaks(call, f"a call that commits again, after the lost answer of {lost}")
        owner = next((each for each in self.owners.values() if each.access == call.token), None)
        self._lost[call.same] = call
        if (instead := self.instead(call)) is not None:
            return instead
        refusal = self._refusal(call, endpoint, owner)
        if refusal or owner is None:
            return envelope(refusal)
        shop = next((each for each in owner.shops if each.id == call.who), None)
        return envelope(data=self._data(call, endpoint.name, owner, shop, raw))

    def _refusal(self, call: Call, endpoint: rules.Endpoint, owner: Owner | None) -> int:
        if any(version in call.path for version in self.refused_versions):
            return 36009014
        if owner is None or owner.left:
            return 105001
        if owner.access_end < time.monotonic():
            return 105002
        if owner.kind != endpoint.kind:
            self.journal.breaks(call, f"a {owner.kind}'s token where a {endpoint.kind}'s is needed")
            return 101000
        if endpoint.scope not in owner.scopes:
            return 105005
        if endpoint.cipher and call.query.get("shop_cipher") not in [each.cipher for each in owner.shops]:
            return 101000
        return self.refusals.get(endpoint.name, 0)

    def _judge_request(self, call: Call, endpoint: rules.Endpoint, raw: bytes) -> None:
        breaks, query, kind = self.journal.breaks, dict(call.query), call.header("content-type")
        now, stamp = time.time(), query.pop("timestamp", "")
        if not re.fullmatch(r"\d{10}", stamp) or not now + _FIRST <= int(stamp) <= now + _LAST:
            breaks(call, f"the timestamp is {stamp!r}")
        if query.pop("app_key", "") != self.app_key:
            breaks(call, "app_key is missing or another's")
        if query.pop("sign", "") != rules.sign(self.app_secret, call.target, b"" if endpoint.multipart else raw):
            breaks(call, "the signature is wrong")
        cipher = query.pop("shop_cipher", "")
        if bool(cipher) is not endpoint.cipher:
            breaks(call, "shop_cipher is " + ("missing" if endpoint.cipher else "not wanted here"))
        for problem in misfits(query, endpoint.query, "query"):
            breaks(call, problem)
        if endpoint.multipart:
            call.body = {"size": len(raw)}
            if not re.fullmatch(r"multipart/form-data; boundary=\S+", kind) or raw.count(b'name="data"') != 1:
                breaks(call, f"no form with one field data: {kind}")
            return
        if kind.lower() != "application/json":
            breaks(call, f"the content type is {kind!r}")
        call.body = json.loads(raw) if raw else None
        if endpoint.body is None and raw:
            breaks(call, f"a body where none is documented: {raw[:80]!r}")
        if endpoint.body is not None:
            for problem in misfits(call.body if raw else {}, endpoint.body):
                breaks(call, problem)

    # ---- what is answered

    def _data(self, call: Call, name: str, owner: Owner, shop: data.Shop | None, raw: bytes) -> dict[str, Any]:
        if name == "shops":
            return {"shops": [each.as_json() for each in owner.shops]}
        if shop is not None:
            return data.answer(name, call, shop)
        makes: Mapping[str, Callable[[], dict[str, Any]]] = {
            "video_upload": lambda: {"video_file": {"id": self._file(owner, raw)}},
            "photo_upload": lambda: {"photo_file": {"photo_uri": self._file(owner, raw)}},
            "showcase": lambda: {"products": [{"id": 1729500000000000001, "title": "Fries"}], "next_page_token": ""},
            "video_post": lambda: {"video": {"id": self._posted(call, owner)}, "quota": owner.quota},
            "photo_post": lambda: {"photo": {"photo_post_id": self._posted(call, owner)}, "quota": owner.quota},
            "video_status": lambda: self._status(call, owner),
        }
        return makes[name]() if name in makes else {}

    def _file(self, owner: Owner, raw: bytes) -> str:
        _head, _, rest = raw.partition(b"\r\n\r\n")
        content = rest[: rest.rindex(b"\r\n--")]
        name = f"v10{secrets.randbits(60)}"
        owner.files[name] = hashlib.sha256(content).hexdigest()
        return name

    def _posted(self, call: Call, owner: Owner) -> str:
        body = call.body
        files = [body["video_info"]["file_id"]] if "video_info" in body else [
            each["photo_file_uris"] for each in body["photos_info"]
        ]  # fmt: skip
        if unknown := [each for each in files if each not in owner.files]:
            self.journal.breaks(call, f"files {unknown} that were not uploaded by this creator")
        post_id = str(7_400_000_000_000_000_000 + secrets.randbelow(10**15))
        owner.posts[post_id] = {"body": body, "at": time.monotonic(), "status": ""}
        return post_id

    def _status(self, call: Call, owner: Owner) -> dict[str, Any]:
        post = owner.posts.get(call.path.split("/")[4])
        if post is None:
            self.journal.breaks(call, "a video that was never posted")
            return {}
        early = time.monotonic() - post["at"] < 0.3
        status = post["status"] or ("PROCESSING" if early else "SUCCESS")
        return {"video": {"post_status": status, "post_time": int(time.time())}}

    def answered(self, call: Call, reply: Reply) -> None:
        self._lost.pop(call.same, None)
        if reply.status == 429 or reply.code == "36009002":
            after = reply.headers.get("Retry-After")
            self.journal.asks_for_rest(call, float(after) if after else None)
        code = int(reply.code or 0)
        if code in (105001, 105002) or (code == 36009004 and b"access_token" in reply.content()):
            self.journal.token_is_over(call.token, f"it was answered as {code}")
        elif code in rules.PERMANENT or code in (36004001, 36004004, 36004005):
            self.journal.refuses_for_good(call)
        if call.note is not None and reply.status == 200:
            owner, access, refresh = call.note
            self.journal.token_is_over(access, "it was refreshed")
            owner.old.add(refresh)


def envelope(code: int = 0, data: Mapping[str, Any] | None = None, status: int = 200, message: str = "") -> Reply:
    """An answer. Where it is a refusal, data is null, or there at least."""
    body = {
        "code": code, "message": message or (f"It is {code}." if code else "Success"),
        "request_id": secrets.token_hex(16),
        "data": {**data, "a_field_of_tomorrow": {"n": [2**60]}} if data is not None else None, "extra": 1,
    }  # fmt: skip
    return Reply(status, body, code=str(code))
