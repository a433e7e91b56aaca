"""Finished spans wait here for an exporter, which works in a thread of its own: who ends a span never waits."""

from __future__ import annotations

from collections import deque
from threading import Event, Lock, Thread

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from services.chassis import metrics
from services.chassis.logs import get_logger

log = get_logger(__name__)
_INTERVAL_S = 0.25
_BATCH = 512
# How long the last spans may take at a stop.
_ENDING_S = 2.0


class SpanQueue(SpanProcessor):
    """Takes sampled spans, and hands them on four times a second.

    At most `most` wait: when they come faster than they go, or nobody takes them, the oldest are dropped, and counted.
    Instead of the SDK's own: that one writes a line to the log for each span that it drops, does not count them, and
    takes up to half a minute to stop while the collector is away.
    """

    def __init__(self, exporter: SpanExporter, most: int) -> None:
        self._exporter = exporter
        self._most = most
        self._queue: deque[ReadableSpan] = deque(maxlen=most)
        self._exporting, self._stop = Lock(), Event()
        self._away = False
        self._thread = Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is done at the start of a span."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take a finished span, if it is sampled."""
        context = span.context
        if context is not None and context.trace_flags & 1:
            if len(self._queue) == self._most:
                metrics.spans_dropped.inc()
            self._queue.append(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export all that has ended so far."""
        self._export()
        return True

    def shutdown(self) -> None:
        """Export all that has ended so far, for as long as that may take, and close the exporter."""
        self._stop.set()
        self._thread.join(_ENDING_S)
        self._exporter.shutdown()  # what is still under way gives up
        self._thread.join(_ENDING_S)
        metrics.spans_dropped.inc(len(self._queue))
        self._queue.clear()

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._export()
        self._export()

    def _export(self) -> None:
        with self._exporting:
            while self._queue:
                count = min(len(self._queue), _BATCH)
                self._hand_on([self._queue.popleft() for _ in range(count)])

    def _hand_on(self, spans: list[ReadableSpan]) -> None:
        try:
            taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001 - spans are not worth a thread that ends
            taken = False
            log.error("spans_failed", error=error)
        (metrics.spans_exported if taken else metrics.spans_dropped).inc(len(spans))
        if taken and self._away:
            log.info("spans_taken_again")
        elif not taken and not self._away:
            log.warning("spans_not_taken", spans=len(spans), outcome=getattr(self._exporter, "outcome", None))
        self._away = not taken
