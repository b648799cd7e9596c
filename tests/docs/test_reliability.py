"""Each situation that docs/reliability.md lists has the test that it names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_test_that_is_named_exists():
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| (?!situation|-)", line)]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(rows) > 10
    files = [re.findall(r"`(tests/[\w/]+\.py)[`:]", row) for row in rows]
    assert [row for row, paths in zip(rows, files, strict=True) if not paths] == []
    assert [path for paths in files for path in paths if not (ROOT / path).is_file()] == []
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []
