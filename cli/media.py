"""`reelroute media`: the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import display, options
from cli.client import Api, Json, Refused
from cli.display import failures, size

app = typer.Typer(no_args_is_help=True, help="The media library.")


@app.command("upload")
def upload(
    files: Annotated[list[Path], typer.Argument(help="Videos and pictures.", show_default=False)],
    as_json: options.AsJson = False,
) -> None:
    """Uploads files. What the library has already is not kept twice. Exit code 1 when a file was refused."""
    taken: list[Json] = []
    refused: list[Json] = []
    with failures(as_json=as_json), options.api() as api:
        for path in files:
            try:
                taken.append(_upload(api, path))
            except OSError as error:
                refused.append({"file": str(path), "reason": "FILE_UNREADABLE", "message": str(error.strerror)})
            except Refused as error:
                if error.status in (401, 403, 429) or error.status >= 500:
                    raise
                refused.append({"file": str(path), "reason": error.reason, "message": error.message})
        if as_json:
            display.document({"media": taken, "refused": refused})
        else:
            if taken:
                _table(taken)
            for each in refused:
                display.note(display.printable(f"{each['file']} was not taken ({each['reason']}): {each['message']}"))
    if refused:
        raise typer.Exit(display.EXIT_ROWS_REFUSED)


def _upload(api: Api, path: Path) -> Json:
    with display.progress(in_bytes=True) as bar:
        task = bar.add_task(display.printable(path.name), total=path.stat().st_size)
        return api.upload(path, lambda sent: bar.update(task, completed=sent))


@app.command("list")
def list_media(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50, as_json: options.AsJson = False
) -> None:
    """Lists the library, newest first."""
    with failures(as_json=as_json), options.api() as api:
        pages = api.pages("/v1/media", "media", page_size=min(limit, 200))
        assets = [asset for _, asset in zip(range(limit), pages, strict=False)]
        if as_json:
            display.document({"media": assets})
        else:
            _table(assets)


def _table(assets: list[Json]) -> None:
    display.table(
        ["Media asset", "File", "Type", "Size", "Pixels", "Seconds", ""],
        [
            (
                each["media_asset_id"],
                each["file_name"],
                each["mime_type"],
                size(each["size_bytes"]),
                f"{each['width']}x{each['height']}",
                f"{each['duration_ms'] / 1000:.1f}" if each["duration_ms"] else "",
                "was there" if each.get("already_existed") else "",
            )
            for each in assets
        ],
        whole=["Media asset"],
    )
