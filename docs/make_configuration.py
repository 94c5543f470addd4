"""Writes docs/configuration.md from the settings classes: `python -m docs.make_configuration`.

A field's meaning is the comment above it or the docstring below it in its class. Where the class says nothing, or
speaks of several fields at once, `_MEANINGS` has the words.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from kit.config import ServiceSettings, VaultSettings
from vendors.amazon_sp.config import AmazonSpConfig
from vendors.bulletin.config import BulletinConfig
from vendors.tiktok_shop.config import TikTokShopConfig

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configuration.md"

_HEAD = """# Configuration

Written by `python -m docs.make_configuration` from the settings classes; a test compares. Change the class, not this
page.

Every variable begins with `REELROUTE_`. What has a default needs no value on one machine, and `make run` sets the rest
by itself. A value is taken from the environment, else from a file of the variable's name (upper or lower case) in
`/run/secrets` or the folder that `REELROUTE_SECRETS_DIR` names: use files for secrets. The
[sandbox](sandbox.md) reads `/run/secrets` only. Lists and tables are JSON. Where nothing else is said, times are in
seconds and sizes in bytes.

A service refuses to start on a wrong value. The refusal names the field and the rule, never the value.
"""

_MEANINGS = {
    "ServiceSettings.database_pool_size": "Connections that the service keeps.",
    "ServiceSettings.listen": "Host and port of the gRPC server; each service has its own default.",
    "ServiceSettings.metrics_listen": "Host and port of `/metrics`, for Prometheus.",
    "ServiceSettings.log_level": "`DEBUG`, `INFO`, `WARNING` or `ERROR`. Logs are JSON lines on standard output.",
    "IdentityConfig.first_workspace_name": "Name of the workspace that the first start makes.",
    "TikTokConfig.base_url": "Where TikTok's API is. The sandbox's address takes its place in `make run`.",
    "TikTokConfig.authorize_url": "TikTok's consent page.",
    "TikTokConfig.client_secret": "Secret of the same app.",
    "TikTokConfig.video_init_per_minute": "As above, for the start of an upload.",
    "TikTokConfig.display_per_minute": "As above, for a profile's data and for its videos, each.",
    "TikTokConfig.status_fetch_per_minute": "As above, for the question for a verdict.",
    "BulletinConfig.base_url": "The sandbox's address; `make run` sets it. Without it there is no Bulletin.",
    "BulletinConfig.max_connections": "Connections to Bulletin at once.",
    "BulletinSettings.outage": "`error`: everything is 503; `reset`: connections are reset.",
    "GatewayConfig.upload_seconds": "A whole upload.",
    "ContentConfig.media_parallel_uploads": "Files that may come in at once, half of them for one workspace.",
    "ContentConfig.media_parallel_downloads": "Files that may go out at once. A publisher reads one per delivery.",
    "ContentConfig.media_max_bytes": "Largest file. TikTok takes videos of up to 4 GB.",
    "ContentConfig.media_s3_bucket": "Files are kept in this bucket when it is named, else in the folder.",
    "ContentConfig.media_s3_region": "Region of the bucket.",
    "ContentConfig.media_s3_access_key_id": "Without keys the environment's own are taken (instance role).",
    "ContentConfig.media_s3_secret_access_key": "Goes with the access key id.",
    "ContentConfig.media_probe_parallel": "How many files are looked into at once.",
    "ContentConfig.media_probe_wait_seconds": "How long a file waits for its turn.",
    "ContentConfig.media_probe_image_pixels": "Largest picture, width times height.",
    "ContentConfig.media_probe_video_pixels": "Largest video frame, width times height.",
    "ContentConfig.media_probe_frames": "Most frames of one video.",
    "ContentConfig.media_probe_full_decode_seconds": "After so long only key frames of a video are decoded.",
    "ContentConfig.media_probe_wall_seconds": "After so long the look is ended and the file refused.",
    "ContentConfig.media_probe_memory_bytes": "Memory that the look at one file may take.",
    "ContentConfig.media_probe_decode_threads": "Threads that decode one file.",
    "TikTokSettings.processing_seconds": "From the last byte to the end of TikTok's checks of the file.",
    "TikTokSettings.access_token_seconds": "Life of a new access token.",
    "TikTokSettings.refresh_token_seconds": "Life of a new refresh token.",
    "TikTokSettings.code_seconds": "Life of a code.",
    "TikTokSettings.upload_url_seconds": "Life of an upload address.",
    "*.outage": "`error`: everything is 503; `reset`: connections are reset.",
    "GatewayConfig.max_json_bytes": "Largest JSON body.",
    "GatewayConfig.key_cache_entries": "Keys remembered at most.",
    "SchedulerConfig.retry_longest_seconds": "Longest wait between two attempts, seconds.",
    "*.listen": "Host and port of its server.",
    "*.metrics_listen": "Host and port of its `/metrics`.",
    "*.identity_address": "Host and port of identity.",
    "*.content_address": "Host and port of content.",
    "*.scheduler_address": "Host and port of the scheduler.",
    "*.publisher_address": "Host and port of the publisher.",
    "*.fulfillment_address": "Host and port of fulfillment.",
    "*.notification_address": "Host and port of notification.",
    "*.connect_timeout_seconds": "To connect, the wait for a free connection included.",
    "*.read_timeout_seconds": "Silence after the request was sent.",
    "*.max_answer_bytes": "An answer larger than this is refused unread.",
    "*.max_tries": "Tries of a call that may be repeated.",
    "*.log_level": "`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
}
# What a default is where its value depends on the machine.
_DEFAULTS = {"PublisherConfig.holder": "the machine's name"}


class Other(NamedTuple):
    """A variable that is read outside of a settings class; `source` is the file that reads it."""

    name: str
    default: str
    meaning: str
    source: str


OTHERS = [
    Other(
        "REELROUTE_URL",
        "what `make run` left, else `http://127.0.0.1:8080`",
        "`reelroute`: the gateway's address.",
        "cli/settings.py",
    ),
    Other("REELROUTE_API_KEY", "none", "`reelroute`: the key. It is never an argument.", "cli/settings.py"),
    Other(
        "REELROUTE_API_KEY_FILE",
        "what `make run` left",
        "`reelroute`: a file that holds the key.",
        "cli/settings.py",
    ),
    Other(
        "REELROUTE_SANDBOX_URL",
        "what `make run` left, else `http://127.0.0.1:8090`",
        "`reelroute replay`: the sandbox's address. Its control token, where it has one, is taken from"
        " `REELROUTE_SANDBOX_CONTROL_TOKEN`.",
        "cli/settings.py",
    ),
    Other(
        "REELROUTE_SECRETS_DIR",
        "`/run/secrets`",
        "Folder of secret files, for services and the gateway.",
        "kit/config.py",
    ),
    Other(
        "REELROUTE_DATA_DIR",
        "`.data`",
        "`make run`: folder of everything that it keeps, logs included. `reelroute` looks there for the key.",
        "deploy/local/settings.py",
    ),
    Other(
        "TEST_DATABASE_URL",
        "none",
        "`make test`: a superuser's address of the PostgreSQL server to test on.",
        "tests/database.py",
    ),
    Other(
        "TEST_DB",
        "whichever answers",
        "`make test`: `docker` or `embedded` forces that server.",
        "tests/database.py",
    ),
]


def classes() -> list[type[BaseSettings]]:
    """The settings classes: services in the order of their names, then vendors, then the sandbox."""
    files = [*sorted(ROOT.glob("services/*/config.py")), *sorted(ROOT.glob("vendors/*/config.py"))]
    found = []
    for path in [*files, ROOT / "sandbox" / "config.py"]:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = importlib.import_module(name)
        found += [
            kind
            for kind in vars(module).values()
            if inspect.isclass(kind) and issubclass(kind, BaseSettings) and kind.__module__ == name
        ]
    return found


def render() -> str:
    """The page."""
    parts = [_HEAD, "## Every service\n\nOf identity, content, scheduler, publisher, notification and fulfillment.\n"]
    parts.append(_table(ServiceSettings, "REELROUTE_"))
    parts += [
        "## Services that keep secrets\n\nOf the publisher and of fulfillment.\n",
        _table(VaultSettings, "REELROUTE_"),
    ]
    for kind in classes():
        title = kind.__module__.split(".")[-2].replace("tiktok", "TikTok").replace("_shop", " Shop").replace("_sp", "")
        reader = "fulfillment" if kind in (TikTokShopConfig, AmazonSpConfig) else "the publisher"
        where = f" (read by {reader})" if kind.__module__.startswith("vendors.") else ""
        where = ", the sandbox's own platform" + where if kind is BulletinConfig else where
        parts += [f"## {title[0].upper()}{title[1:]}{where}\n", _table(kind, str(kind.model_config["env_prefix"]))]
    parts.append("## Elsewhere\n")
    parts.append(_rows((each.name, each.default, each.meaning) for each in OTHERS))
    return "\n".join(parts)


def _table(kind: type[BaseModel], prefix: str) -> str:
    return _rows(_fields(kind, prefix))


def _rows(rows: Iterator[tuple[str, str, str]]) -> str:
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows]
    return "\n".join(lines) + "\n"


def _fields(kind: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each field that the class itself declares."""
    own, told = inspect.get_annotations(kind), _comments(kind)
    for name, field in kind.model_fields.items():
        if name not in own:
            continue
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name.upper()}__")
            continue
        place = f"{kind.__name__}.{name}"
        meaning = _MEANINGS.get(place) or told.get(name) or _meaning(place)
        yield f"{prefix}{name.upper()}", _default(kind, name, field), f"{meaning}{_limits(field)}"


def _meaning(place: str) -> str:
    words = _MEANINGS.get(f"*.{place.partition('.')[2]}")
    if words is None:
        raise LookupError(f"{place} has neither a comment nor a docstring, and _MEANINGS does not know it.")
    return words


def _comments(kind: type[BaseModel]) -> dict[str, str]:
    """What the class's source says about each of its fields."""
    lines = textwrap.dedent(inspect.getsource(kind)).splitlines()
    body = ast.parse("\n".join(lines)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is one
    told: dict[str, str] = {}
    name = ""
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            said = _above(lines, node.lineno - 1) or lines[node.lineno - 1].partition("  # ")[2]
            told[name] = _sentence(said)
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told[name] = _sentence(str(node.value.value))
            name = ""
    return told


def _above(lines: Sequence[str], index: int) -> str:
    found: list[str] = []
    while index and lines[index - 1].lstrip().startswith("#"):
        index -= 1
        found.insert(0, lines[index].strip().removeprefix("#").strip())
    return " ".join(found)


def _sentence(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".:!)" else ".")


def _default(kind: type[BaseModel], name: str, field: FieldInfo) -> str:
    place = f"{kind.__name__}.{name}"
    if place in _DEFAULTS:
        return _DEFAULTS[place]
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "**required**" if name not in ("listen", "metrics_listen") else "see the service"
    shown = _plain(value)
    if shown in (None, "", [], {}):
        return "none"
    if isinstance(shown, str):
        return f"`{shown}`"
    return f"`{json.dumps(shown)}`"


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        # Defaults only, and those are in the source for everybody to read.
        return value.get_secret_value()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value if isinstance(value, bool | int | float | str | list | None) else str(value)


def _limits(field: FieldInfo) -> str:
    words = []
    for limit in field.metadata:
        match limit:
            case Ge(ge=least):
                words.append(f"at least {least}")
            case Gt(gt=least):
                words.append(f"more than {least}")
            case Le(le=most):
                words.append(f"at most {most}")
            case Lt(lt=most):
                words.append(f"less than {most}")
            case MinLen(min_length=least):
                words.append(f"length at least {least}")
    return f" ({', '.join(words)})" if words else ""


if __name__ == "__main__":
    PAGE.write_text(render())
