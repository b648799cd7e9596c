"""What holds for all tests: locks of their own, and no pauses before trying again to put back."""

from collections.abc import Iterator

import pytest

from stempilot import savepoint
from stempilot.lock import FOLDER_VARIABLE


@pytest.fixture(autouse=True, scope="session")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep away from the locks of the user and of other test processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("locks")))
        patch.setattr(savepoint, "PAUSES_S", (0.0, 0.0))
        yield
