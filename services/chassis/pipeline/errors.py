"""What can go wrong in the pipeline; each type says whether trying again can help."""


class PipelineError(Exception):
    """Base of all errors of the pipeline."""


class StoreUnavailable(PipelineError):
    """The database does not answer; nothing was half-written. Try again after `retry_after` seconds."""

    retry_after = 2


class OutboxFull(PipelineError):
    """Too many events wait for a broker that is away. Try again when it is back."""

    retry_after = 10


class KeyReused(PipelineError):
    """The idempotency key was used before, for another content. Trying again cannot help: take another key."""


class Erased(PipelineError):
    """What the command is about has been erased. Trying again cannot help."""


class WriteRefused(PipelineError):
    """The database refuses this document (too large, for example). Trying again cannot help."""


class LeaseLost(PipelineError):
    """Another process holds the lease now: stop, and compete for it again."""

    retry_after = 2


class UnknownDeadLetter(PipelineError):
    """There is no dead letter with that id."""
