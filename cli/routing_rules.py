"""`reelroute routing rules`: what is done with orders of a certain kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import display, options, rule_text
from cli.client import Api, ClientError, Json
from cli.display import failures, moment

app = typer.Typer(no_args_is_help=True, help="Rules: which orders are held, left, routed, split, sent faster.")

Named = Annotated[str, typer.Argument(help="Its name or id.", show_default=False)]
# What REST takes of a rule when it is set.
_FIELDS = ("shop_id", "name", "priority", "is_on", "start_time", "end_time", "condition", "action")


@app.command("list")
def list_rules(
    shop: Annotated[str, typer.Option(help="Only those that hold for this shop.")] = "",
    own: Annotated[bool, typer.Option("--own", help="Without the built-in ones.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Lists rules in the order in which they are looked at."""
    with failures(as_json=as_json), options.api() as api:
        shop_id = options.shop(api, shop)["shop_id"] if shop else ""
        rules = [
            each
            for each in api.pages("/v1/routing-rules", "rules", shop_id=shop_id)
            if not (own and each["is_built_in"])
        ]
        if as_json:
            display.document({"rules": rules})
            return
        display.table(
            ["Place", "Rule", "When", "Then", "From", "Until", ""],
            [
                (
                    each["priority"],
                    each["name"],
                    rule_text.condition_text(each["condition"]),
                    rule_text.action_text(each["action"]),
                    moment(each["start_time"]),
                    moment(each["end_time"]),
                    ", ".join([*(["built in"] if each["is_built_in"] else []), *([] if each["is_on"] else ["off"])]),
                )
                for each in rules
            ],
            whole=["Place", "From", "Until"],
        )


@app.command("show")
def show(rule: Named) -> None:
    """Writes a rule as JSON, for --file."""
    with failures(), options.api() as api:
        display.document(_rule(api, rule))


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What people know it by.")] = "",
    when: rule_text.When = None,
    hold: rule_text.Hold = "",
    leave: rule_text.Leave = "",
    route: rule_text.Route = False,
    split: rule_text.Split = False,
    ship_as: rule_text.ShipAs = "",
    feature: rule_text.Feature = None,
    text: rule_text.Text = "",
    priority: Annotated[
        int, typer.Option(help="Rules are looked at from the lowest on; built-in ones from 1,000.")
    ] = 100,
    shop: Annotated[str, typer.Option(help="Only for this shop.")] = "",
    from_time: Annotated[str, typer.Option("--from", help="It holds from this instant on.")] = "",
    until_time: Annotated[str, typer.Option("--until", help="It holds until this instant.")] = "",
    file: rule_text.File = None,
    as_json: options.AsJson = False,
) -> None:
    """Adds a rule. Try it first: reelroute routing test ORDER, with the same options."""
    with failures(as_json=as_json), options.api() as api:
        if file:
            draft = settable(rule_text.in_file(file))
        else:
            if not name:
                raise typer.BadParameter("Name the rule, or give it with --file.")
            draft = rule_text.draft(
                name=name,
                priority=priority,
                when=when,
                hold=hold,
                leave=leave,
                route=route,
                split=split,
                ship_as=ship_as,
                feature=feature,
                text=text,
            ) | {
                "shop_id": options.shop(api, shop)["shop_id"] if shop else None,
                "start_time": from_time or None,
                "end_time": until_time or None,
            }
        _told(api.post("/v1/routing-rules", draft), as_json=as_json)


@app.command("change")
def change(
    rule: Named,
    file: Annotated[Path, typer.Option("--file", help="As `rules show` wrote it, changed.")],
    as_json: options.AsJson = False,
) -> None:
    """Sets a rule as a whole to what is in a file. Refused when it was changed since it was shown."""
    with failures(as_json=as_json), options.api() as api:
        wanted = rule_text.in_file(file)
        found = _own(api, rule)
        body = settable(wanted) | {"revision": wanted.get("revision", found["revision"])}
        _told(api.put(f"/v1/routing-rules/{found['rule_id']}", body), as_json=as_json)


@app.command("on")
def switch_on(rule: Named, as_json: options.AsJson = False) -> None:
    """Switches a rule on."""
    _switch(rule, is_on=True, as_json=as_json)


@app.command("off")
def switch_off(rule: Named, as_json: options.AsJson = False) -> None:
    """Switches a rule off. A built-in one is passed over by a --route rule of your own before it, where that may be."""
    _switch(rule, is_on=False, as_json=as_json)


@app.command("delete")
def delete(rule: Named, yes: options.Yes = False, as_json: options.AsJson = False) -> None:
    """Takes a rule away. Decisions that it made keep its name."""
    with failures(as_json=as_json), options.api() as api:
        found = _own(api, rule)
        options.confirm(f"Take {display.printable(found['name'])} away?", yes=yes, as_json=as_json)
        api.delete(f"/v1/routing-rules/{found['rule_id']}")
        if as_json:
            display.document({"deleted": found["rule_id"]})
        else:
            display.say("Taken away.")


def _switch(rule: str, *, is_on: bool, as_json: bool) -> None:
    with failures(as_json=as_json), options.api() as api:
        found = _own(api, rule)
        body = settable(found) | {"is_on": is_on, "revision": found["revision"]}
        _told(api.put(f"/v1/routing-rules/{found['rule_id']}", body), as_json=as_json)


def _rule(api: Api, wanted: str) -> Json:
    text = wanted.casefold()
    found = [
        each
        for each in api.pages("/v1/routing-rules", "rules")
        if text in (each["name"].casefold(), each["rule_id"].casefold())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each["rule_id"] for each in found)
        raise ClientError(f"Several rules are called {wanted}.", f"Name one by its id: {ids}")
    raise ClientError(f"There is no rule {wanted}.", "reelroute routing rules list shows those that there are.")


def _own(api: Api, wanted: str) -> Json:
    found = _rule(api, wanted)
    if found["is_built_in"]:
        raise ClientError(
            f"{found['name']} is built in and cannot be changed.",
            "Add a rule of your own before it: reelroute routing rules add --help",
        )
    return found


def settable(rule: Json) -> Json:
    """What REST takes of a rule that it has shown."""
    return {name: rule[name] for name in _FIELDS if name in rule}


def _told(rule: Json, *, as_json: bool) -> None:
    if as_json:
        display.document(rule)
        return
    display.facts(
        [
            ("rule", rule["rule_id"]),
            ("name", rule["name"]),
            ("place", rule["priority"]),
            ("when", rule_text.condition_text(rule["condition"])),
            ("then", rule_text.action_text(rule["action"])),
            ("from", moment(rule["start_time"])),
            ("until", moment(rule["end_time"])),
            ("state", "on" if rule["is_on"] else "off"),
        ]
    )
