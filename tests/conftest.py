"""What all tests share: the real data beside the repository, a cache of their own, few threads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _cache_of_the_test(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def shared_data() -> Path:
    """The real data sets; the test is skipped where they are not at hand."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real data in ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 after two epochs of the bundled digits. Read it; `copied_run` is for those who write."""
    import convlens

    out = tmp_path_factory.mktemp("trained") / "digits"
    convlens.train("digits", model="lenet5", epochs=2, out=out, precision="fp32", threads=1)
    return out


@pytest.fixture
def copied_run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of the trained run for this test alone."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))
