"""`hulpketen topics`: what Kafka should hold, the difference to what it holds, and making it so."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from hulpketen_contracts.values import OrganisationId
from pydantic import BaseModel, TypeAdapter, ValidationError

from deploy.kafka.cluster import Cluster, DirectoryUnread, PasswordMissing
from deploy.kafka.desired import Desired, desired, profiles
from deploy.kafka.difference import Change, difference, remarks
from deploy.kafka.strimzi import resources
from deploy.local.errors import StackError
from services.chassis.settings import KafkaSettings, load

app = typer.Typer(
    help="Kafka's topics, users, rights and quotas, from deploy/kafka/topics.toml and the contracts' catalogue. "
    "Signs in as an administrator, by the same KAFKA_* variables as a service.",
    no_args_is_help=True,
)
USUAL = profiles()[0]
_NOT_DONE = "not done"
Profile = Annotated[str, typer.Option(help=f"How many copies: {' or '.join(profiles())}.")]
Organisations = Annotated[
    list[str] | None,
    typer.Option("--organisation", help="A partner on Kafka; without this option those of the topic `directory`."),
]
NewPassword = Annotated[
    list[str] | None, typer.Option("--new-password", help="A user who is there, to be given the password in its file.")
]
Delete = Annotated[bool, typer.Option(help="Take away rights, users and quotas that are no longer wanted.")]
DeleteTopics = Annotated[bool, typer.Option(help="Remove topics of partners that left, too, with all that is in them.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


class _Settings(BaseModel):
    kafka: KafkaSettings


@app.command()
def plan(profile: Profile = USUAL, organisation: Organisations = None, as_json: Json = False) -> None:
    """Show what would be done, and do nothing.

    Example: [bold]hulpketen topics plan --profile single[/bold]
    """
    cluster = _cluster()
    wanted, changes, said = _compared(cluster, profile, organisation)
    _show([(change, _waits(change)) for change in changes], said, wanted, as_json)


@app.command()
def apply(
    profile: Profile = USUAL,
    organisation: Organisations = None,
    passwords: Annotated[
        Path | None,
        typer.Option(help="Folder with a file for each user that is to be made, its password in it.", file_okay=False),
    ] = None,
    new_password: NewPassword = None,
    delete: Delete = False,
    delete_topics: DeleteTopics = False,
    as_json: Json = False,
) -> None:
    """Make the difference. Nothing is deleted that was not asked for.

    Example: [bold]hulpketen topics apply --passwords /run/secrets/kafka[/bold]
    """
    allowed = {"": True, "delete": delete, "delete-topics": delete_topics}
    cluster = _cluster(passwords)
    wanted, changes, said = _compared(cluster, profile, organisation, deletes=delete or delete_topics)
    changes += [Change("make-user", user, f"give user {user} another password") for user in new_password or ()]
    shown = [(change, _made(cluster, change) if allowed[change.deletes] else _waits(change)) for change in changes]
    _show(shown, said, wanted, as_json)
    if any(outcome.startswith(_NOT_DONE) for _, outcome in shown):
        raise StackError("not everything could be done: mend what is named above, and apply again")


@app.command()
def strimzi(profile: Profile = USUAL, organisation: Organisations = None) -> None:
    """Print the same as resources of the Strimzi operator (KafkaTopic, KafkaUser), without asking a broker.

    Example: [bold]hulpketen topics strimzi --organisation bakker | kubectl -n hulpketen apply -f -[/bold]
    """
    yaml.safe_dump_all(
        resources(desired(_known(profile), _organisations(organisation or []))), sys.stdout, sort_keys=False
    )


def _cluster(passwords: Path | None = None) -> Cluster:
    # It warns at each connection that a password without TLS can be read on the way; the page on topics says so.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    return Cluster(load(_Settings).kafka, passwords)


def _made(cluster: Cluster, change: Change) -> str:
    try:
        cluster.make(change)
    except PasswordMissing as error:
        return f"{_NOT_DONE}: {error}"
    except (KafkaException, KafkaError, TimeoutError) as error:
        return f"{_NOT_DONE}: {_told(error)}"
    return "done"


def _known(profile: str) -> str:
    if profile not in profiles():
        raise StackError(f"there is no profile {profile}: take {' or '.join(profiles())}")
    return profile


def _partners(cluster: Cluster, named: list[str] | None, deletes: bool) -> tuple[Sequence[str], list[str]]:
    """Who is a partner on Kafka, and what is to be said of it."""
    if named is not None:
        return _organisations(named), []
    try:
        return cluster.organisations(), []
    except DirectoryUnread as error:
        if deletes:
            raise StackError(f"{error}, so who left cannot be told: name all who stay with --organisation") from error
        return [], [f"{error}: who chose Kafka is not known, and no partner's topic was looked at"]


def _organisations(named: list[str]) -> list[str]:
    try:
        return TypeAdapter(list[OrganisationId]).validate_python(named)
    except ValidationError as error:
        wrong = error.errors()[0]["input"]
        raise StackError(f"{wrong} is no organisation: small letters, digits and hyphens, at most 40") from error


def _compared(
    cluster: Cluster, profile: str, named: list[str] | None, *, deletes: bool = False
) -> tuple[Desired, list[Change], list[str]]:
    _known(profile)
    try:
        organisations, said = _partners(cluster, named, deletes)
        wanted = desired(profile, organisations)
        copies = max(topic.replication for topic in wanted.topics.values())
        if (brokers := cluster.brokers()) < copies:
            raise StackError(f"the profile {profile} needs {copies} brokers, and there are {brokers}: see --profile")
        keys = {key for topic in wanted.topics.values() for key in topic.config}
        present = cluster.present(keys)
    except (KafkaException, KafkaError, TimeoutError) as error:
        raise StackError(
            f"Kafka: {_told(error)}; look at the KAFKA_ variables, and who the administrator is"
        ) from error
    return wanted, difference(wanted, present), said + remarks(wanted, present)


def _waits(change: Change) -> str:
    return f"waits for --{change.deletes}" if change.deletes else ""


def _told(error: Exception) -> str:
    found = error.args[0] if error.args else error
    return str(found.str() if hasattr(found, "str") else found or type(error).__name__)


def _show(changes: list[tuple[Change, str]], said: list[str], wanted: Desired, as_json: bool) -> None:
    if as_json:
        listed = [{"change": change.words, "outcome": outcome or "planned"} for change, outcome in changes]
        print(json.dumps({"changes": listed, "remarks": said}))
        return
    for change, outcome in changes:
        print(f"{change.words}{f'  ({outcome})' if outcome else ''}")
    for remark in said:
        print(f"remark: {remark}")
    if not changes:
        print(f"nothing to do: {len(wanted.topics)} topics, {len(wanted.users)} users are as wanted")
