"""Fails where tests were skipped for a reason that names a word: `skipped.py TESTS.xml WORD`."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

if __name__ == "__main__":
    report, word = sys.argv[1:]
    skipped = [
        f"{case.get('classname')}.{case.get('name')}: {reason.get('message')}"
        for case in ElementTree.parse(report).iter("testcase")
        for reason in case.iter("skipped")
        if word in (reason.get("message") or "")
    ]
    if skipped:
        sys.exit(f"{len(skipped)} tests were skipped although ../{word} is there:\n" + "\n".join(skipped))
