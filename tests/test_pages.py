"""What checks the pages of the documentation notices what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import Reader, blocks, same_lines

MET = "first\nsecond 1.0e-05 ± 3e-09\nthird\nfourth in 0.31s\n"


@pytest.mark.parametrize(
    "shown",
    [
        "first\n",
        "second 1.0e-05 ± 7e-08\nthird\n",  # an error bar is another on every machine
        "first\n...\nfourth in 2.00s\n",
        "...\nthird\n...\n",
    ],
)
def test_lines_that_were_met(shown: str) -> None:
    same_lines(shown, MET)


@pytest.mark.parametrize(
    "shown",
    ["fifth\n", "first\nthird\n", "third\n...\nfirst\n", "second 2.0e-05 ± 3e-09\n"],
)
def test_lines_that_were_not_met(shown: str) -> None:
    with pytest.raises(AssertionError, match="not met"):
        same_lines(shown, MET)


def follow(page: str, folder: Path) -> None:
    (folder / "page.md").write_text(page, encoding="utf-8")
    (folder / "work").mkdir(exist_ok=True)
    Reader(folder / "work").follow(blocks(folder / "page.md"))


GOOD = """
```python
# sums.py
def add(a, b):
    return a - b
```

```diff
-    return a - b
+    return a + b
```

```console
$ python -c "import sums; print(sums.add(1, 2))"
3
```

```python
import sums

print(sums.add(2, 2))
```

```text
4
```
"""


def test_a_page_that_is_right(tmp_path: Path) -> None:
    follow(GOOD, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("\n3\n", "\n4\n", AssertionError),  # what a command prints
        ("\n4\n", "\n5\n", AssertionError),  # what the page prints
        ("-    return a - b", "-    return a * b", ValueError),  # a change of what is not there
        ("print(sums.add(2, 2))", "assert sums.add(2, 2) == 5", AssertionError),
        ("```text", "```rust", AssertionError),  # that nobody would check
        ("```text", "```", AssertionError),
    ],
)
def test_a_page_that_is_wrong(old: str, new: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        follow(GOOD.replace(old, new), tmp_path)


def test_tests_of_a_page_are_counted(tmp_path: Path) -> None:
    page = "```python\ndef test_one():\n    assert 1 + 1 == {}\n```\n"
    follow(page.format(2), tmp_path)
    with pytest.raises(AssertionError, match="1 failed"):
        follow(page.format(3), tmp_path)
