"""Looks for planted personal data, wherever bytes came out of the chain."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from cli.demo.people import BSN_MARK, MARK, PHONE_MARK, POSTCODE_MARK

_OVERLAP = 256
_CHUNK = 4_000_000
# Without a look behind: a pattern that begins with its mark is found at the speed of memory.
_NAME = re.compile(MARK.encode())
_BSN = re.compile(rb"%s\d{5}(?![0-9a-z])" % BSN_MARK.encode())
_PHONE = re.compile(rb"%s\d{4}(?![0-9a-z])" % PHONE_MARK.encode())
_POSTCODE = re.compile(rb"%s\d ?q[a-z](?![0-9a-z])" % POSTCODE_MARK.encode())
_BIRTH_DATE = re.compile(rb"19\d\d-?\d\d-?\d\d(?!\d)")
_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORD = re.compile(rb"[0-9a-z]", re.ASCII)
_BEFORE_PHONE = re.compile(rb"(0|31[ -]?|%2b31)6[ -]?$")


class Scanner:
    """`found`: where what kind of planted value was, each place and value once; no value is kept in it."""

    def __init__(self, planted: Iterable[str]) -> None:
        self._planted = {_plain(value.encode()) for value in planted}
        self._seen: set[tuple[str, bytes]] = set()
        self.found: list[str] = []

    def look(self, where: str, data: bytes) -> None:
        """Search these bytes, in any case of letters."""
        low = data.lower()
        for hit in _NAME.finditer(low):
            self._note(where, "a name, e-mail address or reference", low[hit.start() : hit.start() + 32].split(b'"')[0])
        for kind, pattern in (("a BSN", _BSN), ("a postcode", _POSTCODE), ("a birth date", _BIRTH_DATE)):
            for hit in pattern.finditer(low):
                if _plain(hit[0]) in self._planted and not _WORD.match(low[hit.start() - 1 : hit.start()]):
                    self._note(where, kind, hit[0])
        for hit in _PHONE.finditer(low):
            if _BEFORE_PHONE.search(low[max(0, hit.start() - 8) : hit.start()]):
                self._note(where, "a telephone number", hit[0])

    def look_in_files(self, folder: Path, pseudonyms: Collection[bytes] = ()) -> int:
        """Search all files under a folder, rotated ones too, for these pseudonyms as well; how many bytes that were."""
        size = 0
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                tail = b""
                while chunk := file.read(_CHUNK):
                    size += len(chunk)
                    where, bytes_ = f"{folder.name}/{path.name}", tail + chunk
                    self.look(where, bytes_)
                    for id in pseudonyms and set(_ID.findall(bytes_)).intersection(pseudonyms):
                        self._note(where, "a pseudonym", id)
                    tail = chunk[-_OVERLAP:]
        return size

    def _note(self, where: str, kind: str, value: bytes) -> None:
        if (where, value) not in self._seen:
            self._seen.add((where, value))
            self.found.append(f"{kind} in {where}")


def _plain(value: bytes) -> bytes:
    return value.lower().replace(b" ", b"").replace(b"-", b"")
