"""`hulpketen audit`: checks the trail as a third party would, proves entries of it, and exports a part of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from hulpketen_contracts.trail import report
from hulpketen_contracts.trail.bundle import check_bundle, write_bundle
from hulpketen_contracts.trail.checkpoint import open_checkpoint
from hulpketen_contracts.trail.errors import HistoryRewritten, TrailError
from hulpketen_contracts.trail.part import Extent, Keys, check_part
from hulpketen_contracts.trail.proof import SUFFIX, check_proof

from cli.audit.tamper import tamper_test
from cli.begin_again import begin
from cli.options import DATA, Data
from cli.trail import ALARMED
from cli.trail.memory import Memory
from cli.trail.remote import Remote, remote
from deploy.local.errors import StackError

app = typer.Typer(help="Check the trail without trusting who keeps it, and prove what is in it.", no_args_is_help=True)
app.command("tamper-test")(tamper_test)
app.command("begin-again")(begin)

Url = Annotated[
    str | None,
    typer.Option(help="Address of the audit (token: TOKEN or TOKEN_FILE); else of the chain on the data folder."),
]
KeysFile = Annotated[
    Path | None,
    typer.Option("--keys", help="Public keys, one a line; else those that were remembered.", dir_okay=False),
]
MemoryFile = Annotated[
    Path | None,
    typer.Option("--memory", help="Where to remember; else in the data folder.", dir_okay=False),
]
Kept = Annotated[
    list[Path] | None,
    typer.Option("--kept", help="A signed checkpoint that somebody kept; may be given again.", dir_okay=False),
]


@app.command("verify")
def verify(
    bundle: Annotated[
        Path | None, typer.Option(help="Check this export instead, with no connection to anything.", show_default=False)
    ] = None,
    keys: KeysFile = None,
    kept: Kept = None,
    memory: MemoryFile = None,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Check the whole trail: its signature, every tile, every entry, and that it goes on from what was seen before.

    What it saw is remembered for the next time. Where history was rewritten both checkpoints, and what proves it, are
    kept in a file, and the exit code is 3.

    Example: [bold]hulpketen audit verify[/bold]
    """
    known = _memory(memory, data)
    with _checks(known):
        earlier = _earlier(known, kept)
        if bundle is not None:
            _print(report.of_bundle(check_bundle(bundle, known.known(keys), earlier)))
            return
        with remote(url, data) as service:
            given = known.known(keys)
            trusted = _trusted(given, service)
            raw = service.checkpoint()
            size = open_checkpoint(raw, trusted.trail).size
            checked = check_part(raw, trusted, service.read, Extent(0, size), earlier)
        _print(report.of_bundle(checked))
        if checked.cosigned and not (given and given.witnesses):
            print("who cosigned was checked with keys that the audit names: ask them for theirs, for --keys")
        known._replace(keys=str(Keys(trusted.trail)), checkpoint=raw).keep()


@app.command("prove")
def prove(
    event_id: Annotated[str, typer.Argument(help="Id of the event.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=f"File to write; else the id with {SUFFIX}.", dir_okay=False)
    ] = None,
    keys: KeysFile = None,
    memory: MemoryFile = None,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Write a file that proves to anybody that this event is in the trail. It says nothing about a person.

    Example: [bold]hulpketen audit prove 0f8fad5b-d9cb-469f-a165-70867728950e -o entry.tlog-proof[/bold]
    """
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event_id):
        raise StackError(f"'{event_id}' is no id of an event: it is a UUID in small letters")
    known, file = _memory(memory, data), output or Path(f"{event_id}{SUFFIX}")
    with _checks(known), remote(url, data) as service:
        proof = service.proof(event_id)
        proven = check_proof(proof, _trusted(known.known(keys), service).trail)
        if proven.leaf.event_id != event_id:
            raise StackError(f"the service proves another event: {proven.leaf.event_id}")
        file.write_text(proof, encoding="utf-8")
    print(f"{file}: entry {proven.index} of {proven.checkpoint.size}")


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help=f"The proof ({SUFFIX}).", show_default=False)],
    keys: KeysFile = None,
    memory: MemoryFile = None,
    data: Data = DATA,
) -> None:
    """Check the proof of one entry, with no connection to anything.

    Example: [bold]hulpketen audit check entry.tlog-proof[/bold]
    """
    known = _memory(memory, data)
    with _checks(known):
        trusted = known.known(keys)
        if trusted is None:
            raise StackError("no key of the trail is known: name a file with the ones that you were given (--keys)")
        _print(report.of_proof(check_proof(_text(file), trusted.trail)))


@app.command("export")
def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write (zip).", dir_okay=False)],
    since: Annotated[str | None, typer.Option("--from", help="Begin: 2026-11-01, or with a time. UTC.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="End, which is not of the period any more.")] = None,
    *,
    keys: KeysFile = None,
    kept: Kept = None,
    memory: MemoryFile = None,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Write a part of the trail with all that proves it, for `audit verify --bundle`. It says nothing about a person.

    Without a period: the whole trail. With --kept it can be compared with that checkpoint, too.

    Example: [bold]hulpketen audit export --from 2026-11-01 --to 2026-12-01 -o november.zip[/bold]
    """
    begin, end = _moment(since), _moment(until)
    if begin and end and end < begin:
        raise StackError(f"the period ends ({until}) before it starts ({since})")
    known = _memory(memory, data)
    with _checks(known), remote(url, data) as service:
        trusted = _trusted(known.known(keys), service)
        raw = service.checkpoint()
        size = open_checkpoint(raw, trusted.trail).size
        extent = _within(service.period(begin, end), size) if begin or end else Extent(0, size)
        earlier = _earlier(known, kept)
        checked = write_bundle(output, service.read, trusted, raw, extent, earlier)
    print(f"{output}: {checked.entries} entries, {checked.in_period} of the period; checkpoint of {size} entries")


def _within(extent: Extent, size: int) -> Extent:
    """What of it is signed; what is not yet is said."""
    if extent.end > size:
        print(f"{extent.end - max(size, extent.first)} entries are not signed yet, and left out", file=sys.stderr)
    return Extent(min(extent.first, size), min(extent.end, size), extent.since, extent.until)


def _earlier(known: Memory, kept: list[Path] | None) -> list[str]:
    """The checkpoints from which the trail must go on."""
    return list(dict.fromkeys([*known.kept, *[_text(path) for path in kept or ()]]))


def _memory(file: Path | None, data: Path) -> Memory:
    return Memory.load(file or data / "audit-seen.json", "--memory")


def _trusted(known: Keys | None, service: Remote) -> Keys:
    """The keys to check with: at the first time those that the service names, which is said."""
    named = service.keys()
    if known is not None:
        return Keys(known.trail, known.witnesses or named.witnesses)
    for key in named.trail:
        print(f"the trail is signed with {key}: compare that with what its keeper told you", file=sys.stderr)
    return named


@contextmanager
def _checks(known: Memory) -> Iterator[None]:
    """A check that fails is one line; where history was rewritten what shows it is kept."""
    try:
        yield
    except HistoryRewritten as alarm:
        print(f"ALARM: {alarm}", file=sys.stderr)
        file = known.evidence(str(alarm), alarm.kept, alarm.shown, alarm)
        what = "they cannot both be true, and it proves that to anybody" if alarm.proven else "ask the keeper why"
        print(f"Both signed checkpoints are kept in {file}: {what}.", file=sys.stderr)
        raise typer.Exit(ALARMED) from None
    except TrailError as error:
        raise StackError(f"not right: {error}") from error
    except OSError as error:
        raise StackError(f"{error.filename}: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StackError(f"{path} is no text") from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise StackError(f"'{text}' is no time: write it as 2026-11-01 or 2026-11-01T10:00:00") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        print(line)
