"""Stores and spools on disks that are full, read-only or none."""

import contextlib
import os
import re
import subprocess

import pytest

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")


@contextlib.contextmanager
def mounted(folder, options):
    """A file system in memory at `folder`, while the context lasts."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("can't mount here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@as_root
def test_a_full_disk_costs_no_command_its_exit_code(joulery):
    with mounted(joulery.home / "disk", "size=64k") as disk:
        (disk / "filler").write_bytes(b"x" * 60_000)
        full = joulery("run", "--store", disk / "j.db", "--", "sh", "-c", "exit 7", code=7)
        assert "wall time" in full.stderr
        assert "safe in" in full.stderr
        joulery("run", "--", "sh", "-c", "exit 8", code=8, env={"JOULERY_SPOOL": str(disk / "spool")})
        (disk / "filler").unlink()
    assert "cut off" not in joulery("runs", code=None).stderr
    # The store's disk has room, so the run is there with its figures.
    shown = joulery.json("show", schema="show")
    assert shown["run"]["status"] == "FAILED" and shown["evidence"]


@as_root
def test_a_full_store_says_once_that_it_keeps_runs_back(joulery):
    with mounted(joulery.home / "disk", "size=2m") as disk:
        joulery("run", "-q", "--store", disk / "j.db", "--", "true")
        with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        for _ in range(3):
            joulery("run", "-q", "--store", disk / "j.db", "--", "true")
        said = joulery("runs", "--store", disk / "j.db", code=None).stderr
        assert len(re.findall("^note:", said, re.M)) == 1 and "3 runs are kept in" in said, said
        (disk / "filler").unlink()
        assert joulery("runs", "--store", disk / "j.db").stdout.count("FINISHED") == 4


@as_root
@pytest.mark.parametrize("kilobytes", [4, 32])
def test_a_spool_that_is_full_keeps_the_power_series_or_says_that_it_is_lost(joulery, kilobytes):
    with mounted(joulery.home / "disk", f"size={kilobytes}k") as disk:
        (disk / "filler").write_bytes(b"x" * (kilobytes // 8 * 4096))
        spool = {"JOULERY_SPOOL": str(disk / "spool")}
        run = joulery("run", "--hz", "200", "--", "sleep", "1", env=spool)
    shown = joulery.json("show", schema="show")
    assert shown["run"]["status"] == "FINISHED" and shown["evidence"]
    samples = joulery("export", "last", "--what", "power").stdout.count("\n") - 1
    assert samples > 100 or "power series of this run is lost" in run.stderr


@pytest.mark.parametrize("store", ["/proc/nowhere/x.db", ".", "/etc/passwd", "/dev/null/x.db", "/dev/null"])
def test_a_store_that_can_not_be_is_refused_before_the_command_runs(joulery, store):
    refused = joulery("run", "--store", store, "--", "echo", "ran", code=2)
    assert "--store: " in refused.stderr and "nothing was run" in refused.stderr
    assert "ran" not in refused.stdout
    assert "nothing was run" in joulery("run", "--versus", "true", "true", "--store", store, code=2).stderr


@as_root
def test_a_read_only_home(joulery):
    with mounted(joulery.home / "readonly", "ro") as home:
        result = joulery("run", "--", "sh", "-c", "exit 9", code=9, env={"HOME": str(home)})
        assert "wall time" in result.stderr and "safe in" in result.stderr
        assert "Read-only" in joulery("doctor", code=3, env={"HOME": str(home)}).stdout
    shown = joulery.json("show", schema="show", env={"HOME": str(home)})
    assert shown["run"]["status"] == "FAILED"
