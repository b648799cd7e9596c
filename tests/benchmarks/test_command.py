"""No benchmark is left that nothing runs."""

from pathlib import Path

import pytest

import benchmarks

FOLDER = Path(benchmarks.__file__).parent


@pytest.mark.parametrize("path", sorted(FOLDER.glob("bench_*.py")), ids=lambda path: path.stem)
def test_a_benchmark_is_run_by_the_one_command_or_by_itself(path: Path) -> None:
    command = (FOLDER / "__main__.py").read_text(encoding="utf-8")
    by_itself = 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
    assert f"{path.stem}.measure(" in command or by_itself
