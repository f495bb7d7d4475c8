"""The file that a report is saved in: replaced whole or not at all, through links, with the rights of any new file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from appstream_frames.reports import save


def test_a_full_disk_leaves_the_old_report(tmp_path: Path) -> None:
    """When the new one cannot be written whole, the old one is as it was and nothing lies beside it."""
    path = tmp_path / "report.html"
    path.write_text("old")
    code = (
        "import resource, sys; from appstream_frames.reports import save; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999)); save.save('x' * 1000, sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert ("OSError" in done.stderr, path.read_text(), os.listdir(tmp_path)) == (True, "old", ["report.html"])


def test_a_link_keeps_leading_to_the_report(tmp_path: Path) -> None:
    """The file that a link leads to is replaced, not the link."""
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to("real.html")
    save.save("new", str(tmp_path / "link.html"))
    assert ((tmp_path / "real.html").read_text(), (tmp_path / "link.html").is_symlink()) == ("new", True)


def test_a_report_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    """A web server may read it where the umask lets it."""
    (tmp_path / "plain").write_text("x")
    save.save("x", str(tmp_path / "report"))
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "plain").stat().st_mode
