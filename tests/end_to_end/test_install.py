"""`cmake --install` of the build that is tested."""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest
from conftest import BINARY

BUILD = pathlib.Path(BINARY).resolve().parents[1]
NOBODY = 65534
INSTALLED = (
    "bin/joulery",
    "share/man/man1/joulery.1",
    "share/bash-completion/completions/joulery",
    "share/zsh/site-functions/_joulery",
    "share/fish/vendor_completions.d/joulery.fish",
)


def install(prefix, **options):
    return subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], capture_output=True, text=True, **options)


@pytest.fixture
def public_folder():
    """A folder that others can reach; pytest's own are for the user alone."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="joulery_install."))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_what_is_installed_works_and_is_complete(joulery, tmp_path):
    result = install(tmp_path / "usr")
    assert result.returncode == 0, result.stderr
    for name in INSTALLED:
        assert (tmp_path / "usr" / name).stat().st_size > 0, name
    joulery.binary = str(tmp_path / "usr/bin/joulery")
    assert joulery("--version").stdout.startswith("joulery ")
    assert (tmp_path / "usr/share/man/man1/joulery.1").read_text() == joulery("man").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_another_user_than_who_built_it_can_install(public_folder):
    for folder in BUILD.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            pytest.skip(f"{folder} is closed to others")
    before = sorted(path.name for path in BUILD.iterdir())
    result = install(public_folder / "usr", user=NOBODY, group=NOBODY, extra_groups=[], cwd=public_folder)
    assert result.returncode == 0, result.stderr
    for name in INSTALLED:
        assert (public_folder / "usr" / name).stat().st_uid == NOBODY, name
    assert sorted(path.name for path in BUILD.iterdir()) == before
