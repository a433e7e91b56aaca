"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.local.folder import DEFAULT

Data = Annotated[
    Path, typer.Option(envvar="HULPKETEN_DATA", help="Data folder of the stack.", file_okay=False, show_default=True)
]
DATA = DEFAULT
