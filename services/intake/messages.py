"""The gateway that sends a message to a resident. A message says a code and nothing else."""

from __future__ import annotations

from typing import Literal, Protocol

import httpx

from services.chassis.logs import get_logger
from services.intake import metrics

log = get_logger(__name__)
Channel = Literal["sms", "email"]


class NotSent(Exception):
    """The gateway did not take the message. Trying again later can help."""


class Gateway(Protocol):
    """A way to send messages."""

    async def send(self, channel: Channel, to: str, text: str) -> None:
        """Hand over one message. Raises NotSent."""


class HttpGateway:
    """POST {to, channel, text} to the address of the settings; any 2xx means taken. Redirects are not followed."""

    def __init__(self, url: str, timeout_s: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False, transport=transport)

    async def send(self, channel: Channel, to: str, text: str) -> None:
        try:
            answer = await self._client.post(self._url, json={"to": to, "channel": channel, "text": text})
        except httpx.HTTPError as error:
            metrics.messages.labels("away").inc()
            raise NotSent from error
        if not answer.is_success:
            metrics.messages.labels("refused").inc()
            log.warning("message_refused", status=answer.status_code)
            raise NotSent
        metrics.messages.labels("sent").inc()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def code_text(code: str) -> str:
    """The text of the message: it must not tell a bystander what it is about."""
    return f"Uw code / your code: {code}"
