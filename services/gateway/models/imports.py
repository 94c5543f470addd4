"""Imports: what the sender of a calendar says of it, and what becomes of each row."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from services.gateway.models import examples
from services.gateway.models.changes import FieldChange
from services.gateway.models.channels import Channel, Lateness
from services.gateway.models.conflicts import Conflict
from services.gateway.models.drafts import AmbiguousTimeWord, TikTokOptions
from services.gateway.models.fields import AnswerModel, IdText, RequestModel, Text, shown
from services.gateway.models.problems import Problem

FormatWord = Literal["csv", "hootsuite", "buffer", "publer", "metricool", "xlsx", "ics"]
OutcomeWord = Literal["CREATED", "UPDATED", "UNCHANGED", "REPLACED", "REFUSED"]
FileName = Annotated[Text, Field(max_length=500)]


class ImportOptions(RequestModel):
    """What holds for a whole file. Nothing is guessed that the file does not say for certain."""

    model_config = shown(examples.IMPORT_OPTIONS)

    validate_only: bool = Field(default=False, description="True: only say what would happen; nothing is saved.")
    format: FormatWord | None = Field(
        default=None, description="Null: recognised by content. `csv` is our own; see the guide for its columns."
    )
    columns: dict[str, Text] = Field(
        default_factory=dict,
        max_length=40,
        description='How the file calls our columns, where it calls them otherwise: `{"local_date": "Date"}`.',
    )
    account: Text = Field(
        default="", max_length=500, description="Handle, for rows that name none; several are separated by `|`."
    )
    time_zone: Text = Field(default="", max_length=64, description="IANA name, for rows that name none.")
    channel: Channel = ""
    encoding: Text = Field(default="", max_length=40, description="Of a text that is not UTF-8: `windows-1252`.")
    delimiter: Text = Field(default="", max_length=1, description="Of a table; empty: as its header shows.")
    date_order: Literal["dmy", "mdy", "ymd"] | None = Field(
        default=None, description="Of dates like 02.03.2027. Null: only dates that can be read in one way are taken."
    )
    sheet: Text = Field(default="", max_length=100, description="Of a workbook; empty: its only visible one.")
    include_hidden: bool = Field(
        default=False, description="True: a workbook's hidden and struck-through rows are taken too."
    )
    ambiguous_time: AmbiguousTimeWord | None = Field(
        default=None, description="Which one is meant of times that a clock shows twice. Null: such rows are refused."
    )
    tiktok: TikTokOptions | None = Field(
        default=None, description="The author's choices for rows that make none of their own."
    )
    lateness: Lateness | None = Field(default=None, description="Of all rows. Null: as their channels' rules say.")
    media: dict[FileName, IdText] = Field(
        default_factory=dict,
        max_length=10_000,
        description="The media assets that the file's names mean. Other names are looked up in the library.",
    )
    skus: list[Text] | None = Field(
        default=None, max_length=100_000, description="The SKUs that there are. Null: `product_skus` are not checked."
    )
    channels_of_accounts: dict[Text, Channel] = Field(
        default_factory=dict,
        max_length=1000,
        description="Channels that handles belong to, where their names say otherwise.",
    )
    accept_conflicts: bool = Field(
        default=False, description="True: rows are taken although they break rules of their channel's plan."
    )


class RowProblem(AnswerModel):
    """Why a row is not taken, or what is odd about it."""

    field: str = Field(description="The column, in our words; `*` for the whole row.")
    reason: str = Field(description="UPPER_SNAKE.")
    message: str


class ImportedRow(AnswerModel):
    """What became of a row."""

    line: int = Field(description="Where it stands in the file; of a workbook, in its sheet.")
    ref: str
    outcome: OutcomeWord = Field(
        description="`UPDATED`: the post that an earlier import made of it; `UNCHANGED`: it is as the row says already;"
        " `REPLACED`: its accounts differ, so the old post is canceled and a new one made."
    )
    post_id: str | None
    schedule_time: datetime | None
    changes: list[FieldChange]
    problems: list[RowProblem] = Field(description="Why it is refused.")
    warnings: list[RowProblem]
    conflicts: list[Conflict] = Field(description="Rules that it breaks, and that do not stand in its way.")


class ImportSummary(AnswerModel):
    """How many rows went which way."""

    format: FormatWord
    rows: int
    created: int
    updated: int
    unchanged: int
    replaced: int
    refused: int
    unknown_columns: list[str] = Field(description="Columns of the file that nothing is done with.")
    media_names: list[str] = Field(description="The files that it names; of more than 10,000 the first.")
    validate_only: bool


class ImportLine(AnswerModel):
    """One line of the answer: each has one of these. The last is the summary, or the problem that ended the import."""

    model_config = shown(examples.IMPORT_LINE)

    row: ImportedRow | None = None
    summary: ImportSummary | None = None
    problem: Problem | None = None
