"""Times in which posts could not go out: outages of our own, and incidents of platforms."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from reelroute.publisher.v1 import publisher_pb2
from reelroute.scheduler.v1 import scheduler_pb2

from services.gateway.models import examples
from services.gateway.models.deliveries import Delivery
from services.gateway.models.fields import AnswerModel, instant_of, shown, word_of, words_of


class Outage(AnswerModel):
    """A time in which no publisher asked for work."""

    outage_id: str
    start_time: datetime | None
    end_time: datetime | None
    deliveries: int = Field(description="How many deliveries of the workspace it made late.")

    @classmethod
    def of(cls, outage: scheduler_pb2.Outage) -> Outage:
        """From the scheduler."""
        return cls(
            outage_id=outage.outage_id,
            start_time=instant_of(outage, "start_time"),
            end_time=instant_of(outage, "end_time"),
            deliveries=outage.deliveries,
        )


class OutageList(AnswerModel):
    """A page of outages, newest first."""

    model_config = shown(examples.page("outages", examples.OUTAGE))

    outages: list[Outage]
    next_page_token: str = Field(description="Empty on the last page.")


class OutageDeliveryList(AnswerModel):
    """A page of the deliveries that an outage made late, as they stand now, by schedule time."""

    model_config = shown(examples.page("deliveries", examples.DELIVERY))

    deliveries: list[Delivery]
    next_page_token: str = Field(description="Empty on the last page.")


class Incident(AnswerModel):
    """A time in which a platform failed for many accounts, and nothing was sent to it."""

    incident_id: str
    platform: str | None = Field(json_schema_extra={"enum": [*words_of(publisher_pb2.Platform, "PLATFORM_"), None]})
    start_time: datetime | None
    end_time: datetime | None = Field(description="Null while it lasts.")
    cause: str = Field(description="What the platform answered.")
    probes: int = Field(description="How often was asked whether it works again.")
    next_probe_time: datetime | None = Field(description="Null when it is over.")

    @classmethod
    def of(cls, incident: publisher_pb2.Incident) -> Incident:
        """From the publisher."""
        return cls(
            incident_id=incident.incident_id,
            platform=word_of(publisher_pb2.Platform, "PLATFORM_", incident.platform),
            start_time=instant_of(incident, "start_time"),
            end_time=instant_of(incident, "end_time"),
            cause=incident.cause,
            probes=incident.probes,
            next_probe_time=instant_of(incident, "next_probe_time"),
        )


class IncidentList(AnswerModel):
    """A page of incidents, newest first."""

    model_config = shown(examples.page("incidents", examples.INCIDENT))

    incidents: list[Incident]
    next_page_token: str = Field(description="Empty on the last page.")
