"""`hulpketen trace`: the way of a referral or signal through the chain, as a waterfall."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.options import DATA, Data
from cli.spans import Span, find, in_order, once
from deploy.local.errors import StackError

_SHORTEST = 40  # as a part of the whole: a bar must be seen
_COLOURS = {"intake": "cyan", "matching": "green", "notifications": "magenta", "audit": "yellow"}


def trace(
    id: Annotated[str, typer.Argument(help="Id of a referral, signal, case, event or trace.", show_default=False)],
    data: Data = DATA,
) -> None:
    """Show the traces of a referral, signal, case or event, from the spans that the embedded stack keeps.

    Example: [bold]hulpketen trace 0f8fad5b-d9cb-469f-a165-70867728950e[/bold]
    """
    if not (data / "traces").is_dir():
        raise StackError(f"no stack has run on {data}: start one with 'hulpketen up', or name its folder with --data")
    traces = find(data / "traces", id)
    if not traces:
        raise StackError(f"no trace in {data / 'traces'} names {id}: only sampled and recent ones are kept")
    console = Console()
    for trace_id, spans in traces.items():
        console.print(waterfall(trace_id, spans))


def waterfall(trace_id: str, spans: list[Span]) -> Table:
    """A line a span, below the span that caused it, with a bar from its start to its end.

    A record that came again, perhaps weeks later, would make all bars too short to be seen: those are counted.
    """
    spans, again = once(spans)
    first = min(span.start for span in spans)
    whole = max(max(span.end for span in spans) - first, 1)
    table = Table("span", "service", "ms", "took", "", title=f"trace {trace_id}", title_justify="left", box=None)
    table.columns[2].justify = table.columns[3].justify = "right"
    for column in table.columns[1:4]:
        column.no_wrap = True
    for depth, span in in_order(spans):
        colour = "red" if span.failed else _COLOURS.get(span.service, "white")
        begin = min(span.start - first, whole - whole / _SHORTEST)
        bar = Bar(whole, begin, max(span.end - first, begin + whole / _SHORTEST), color=colour)
        name = Text("  " * depth + span.label, "red" if span.failed else "")
        took = f"{(span.end - span.start) / 1e6:.1f}"
        table.add_row(name, Text(span.service, colour), f"{(span.start - first) / 1e6:.1f}", took, bar)
    if again:
        table.caption = f"{again} {'delivery' if again == 1 else 'deliveries'} of the same record left out"
        table.caption_justify = "left"
    return table
