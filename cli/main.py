"""`hulpketen`: the commands of the chain. Each error is one clear line and an exit code that is not 0."""

from __future__ import annotations

import sys

import httpx
import typer

from cli import (
    audit,
    backup,
    bench,
    contracts,
    dead_letters,
    demo,
    migrate,
    republish,
    resident_code,
    restore,
    subscribe,
    token,
    topics,
    trace,
    up,
)
from deploy.local.errors import StackError

app = typer.Typer(
    name="hulpketen",
    help="Chain collaboration for debt prevention: run the chain, look into it, and keep it right.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("token")(token.token)
app.command("subscribe")(subscribe.subscribe)
app.command("trace")(trace.trace)
app.command("resident-code")(resident_code.resident_code)
app.command("migrate")(migrate.migrate)
app.command("republish")(republish.republish)
app.command("backup")(backup.backup)
app.command("backup-key")(backup.backup_key)
app.command("restore")(restore.restore)
app.add_typer(audit.app, name="audit")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(topics.app, name="topics")
app.add_typer(bench.app, name="bench")
app.add_typer(contracts.app, name="contracts")


def main() -> None:
    """Entry point of the command `hulpketen`."""
    try:
        app()
    except StackError as error:
        _fail(str(error))
    except httpx.HTTPStatusError as error:
        _fail(f"{error.request.url.path} answered {error.response.status_code}: {error.response.text[:300]}")
    except httpx.HTTPError as error:
        _fail(f"a service does not answer ({type(error).__name__}): is the stack still running?")


def _fail(line: str) -> None:
    print(f"hulpketen: {line}", file=sys.stderr)
    sys.exit(1)
