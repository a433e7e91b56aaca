"""The ids of subjects in the processing log, as those who read it get them."""

from __future__ import annotations

import base64
import binascii

from services.chassis.keys import SealBroken, Sealer


class SubjectIds:
    """Pseudonyms as one organisation may have them: encrypted, and of no use to another."""

    def __init__(self, sealer: Sealer, organisation: str) -> None:
        self._sealer = sealer
        self._reader = organisation.encode()

    def encrypt(self, person: str) -> str:
        """Another text each time."""
        return base64.urlsafe_b64encode(self._sealer.seal(person.encode(), self._reader)).decode()

    def decrypt(self, text: str) -> str:
        """Whom a text that was given to this organisation stands for. Raises ValueError for any other."""
        try:
            return self._sealer.open(base64.urlsafe_b64decode(text.encode()), self._reader).decode()
        except (SealBroken, binascii.Error, ValueError) as error:
            raise ValueError("it was not given to this organisation") from error
