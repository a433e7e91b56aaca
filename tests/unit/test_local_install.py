"""What is missing on a machine is named, with what installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import binaries
from deploy.local.errors import StackError

REPOSITORY = Path(__file__).parents[2]
OLD = "#!/bin/sh\nexit 1\n"
WITHOUT_VENV = '#!/bin/sh\ncase "$2" in *version_info\\[*) echo 3.11;; *ensurepip*) exit 1;; esac\n'


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def install(tmp_path: Path, python: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname", "uname", "cat", "cksum", "cut"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    program(tools / "python3", python)
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "install", tmp_path / "scripts")
    command = [tmp_path / "scripts" / "install"]
    return subprocess.run(command, env={"PATH": str(tools)} | environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="elsewhere another command installs it")
def test_too_old_a_python_is_named(tmp_path: Path) -> None:
    failed = install(tmp_path, OLD)
    assert failed.returncode == 1
    assert "Python 3.11 or later is needed: sudo apt-get install python3.11 python3.11-venv" in failed.stderr


def test_a_python_that_was_chosen_must_be_new_enough(tmp_path: Path) -> None:
    failed = install(tmp_path, OLD, PYTHON="python3")
    assert failed.stderr == "make install: PYTHON=python3 is not Python 3.11 or later\n"


def test_a_python_without_venv_is_named(tmp_path: Path) -> None:
    failed = install(tmp_path, WITHOUT_VENV)
    assert failed.stderr == "make install: the module venv is missing: sudo apt-get install python3.11-venv\n"


def test_a_library_that_the_database_misses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    broken = program(tmp_path / "mongod", f"#!/bin/sh\necho '{says}' >&2\nexit 127\n")
    monkeypatch.setattr(binaries, "mongod", lambda: broken)
    with pytest.raises(StackError, match=r"libcurl.so.4.*: sudo apt-get install libcurl4$"):
        binaries.check_mongod()
