#!/usr/bin/env python3
"""Whether every test that docs/checklist.md names is there: `file`: "words", "more words"; the words stand in the file."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = [("lua/tests", ".lua"), ("tests/e2e", ".py"), ("tests/clients", ".py")]


def missing(page):
    """@return what is named and is not there"""
    text, found, wrong = " ".join(page.split()), 0, []
    for name, sentences in re.findall(r'`(\w+)`: ((?:"[^"]+"(?:, )?)+)', text):
        files = [path for folder, end in FOLDERS if (path := ROOT / folder / (name + end)).exists()]
        # Both languages may have a file of that name.
        tests = "\n".join(path.read_text() for path in files)
        for sentence in re.findall(r'"([^"]+)"', sentences):
            found += 1
            if sentence not in tests:
                wrong.append(f"{name}: {sentence}")
    return wrong if found else ["nothing is named"]


if __name__ == "__main__":
    page = (ROOT / "docs" / "checklist.md").read_text()
    wrong = missing(page)
    # The check itself: a name that is changed is noticed.
    if not missing(page.replace("H2: eight jobs", "H2: nine jobs")):
        wrong.append("a changed name was not noticed")
    if wrong:
        sys.exit("docs/checklist.md names tests that are not there:\n" + "\n".join(wrong))
