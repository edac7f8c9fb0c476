"""Where the server listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from vostrack.errors import InputError
from vostrack.studio.serve import LOOPBACK, check_host, default_folder


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_computer_is_allowed(host: str) -> None:
    check_host(host, allow_remote=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.com"])
def test_other_computers_only_on_request(host: str) -> None:
    with pytest.raises(InputError, match=r"can be reached from other computers.*allow_remote"):
        check_host(host, allow_remote=False)
    check_host(host, allow_remote=True)


def test_the_project_lies_beside_the_video(tmp_path: Path) -> None:
    assert default_folder(str(tmp_path / "clip.mp4")) == tmp_path / "clip.vostrack"
    assert default_folder(str(tmp_path / "frames")) == tmp_path / "frames.vostrack"
