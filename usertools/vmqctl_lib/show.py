# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Answers as text for people."""

import unicodedata


def plain(value):
    """A value in one word; without control characters, which a name must not smuggle in."""
    if value is None or value == "" or value == []:
        return "-"
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return " ".join(plain(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={plain(one)}" for key, one in value.items())
    return "".join(c if unicodedata.category(c)[0] != "C" else "?" for c in str(value))


def width(text):
    """Columns of a terminal that a text takes."""
    return sum(0 if unicodedata.combining(c) else
               2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(heads, rows, right=()):
    """Lines of a table; right: indices of columns of numbers."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max([width(head)] + [width(row[i]) for row in cells])
              for i, head in enumerate(heads)]

    def line(row):
        out = []
        for i, cell in enumerate(row):
            space = " " * (widths[i] - width(cell))
            out.append(space + cell if i in right else cell + space)
        return "  ".join(out).rstrip()
    return [line(heads)] + [line(row) for row in cells]


def tree(value, indent=0):
    """Lines of any answer: "key: value", with what is inside indented."""
    space = "  " * indent
    if isinstance(value, dict):
        for key, one in value.items():
            if isinstance(one, (dict, list)) and one and not flat(one):
                yield f"{space}{key}:"
                yield from tree(one, indent + 1)
            else:
                yield f"{space}{key}: {plain(one)}"
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, (dict, list)) and one:
                lines = list(tree(one, indent + 1))
                yield f"{space}- {lines[0].lstrip()}"
                yield from lines[1:]
            else:
                yield f"{space}- {plain(one)}"
    else:
        yield space + plain(value)


def flat(value):
    """Is it short enough for one line?"""
    inner = value.values() if isinstance(value, dict) else value
    return not any(isinstance(one, (dict, list)) for one in inner) and len(plain(value)) < 60


def count(number):
    """A count as people read it: 26412074 is 26.4 M."""
    if number is None:
        return "-"
    for unit in ("", " k", " M", " G", " T", " P"):
        if abs(number) < 1000 or unit == " P":
            return f"{number:.0f}" if unit == "" else f"{number:.1f}{unit}"
        number /= 1000
    return ""


def size(number):
    """Bytes, in binary units."""
    if number is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return ""


def share(part):
    return "-" if part is None else f"{100 * part:.1f} %"


def filter_text(one):
    """52:54:00:00:00:01/10, 52:54:00:00:00:01/untagged, */10."""
    mac = one.get("mac") or "*"
    vlan = one.get("vlan", "any")
    return mac if vlan in ("any", None) else f"{mac}/{vlan}"
