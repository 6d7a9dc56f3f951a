# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Manual pages and bash's completion: made of the tables, so they say what the programs do."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from vmq_test.daemon import BUILD, TOP, VMQD

PAGES = {"vmqd": "vmqd.8", "vmqctl": "vmqctl.1", "document": "vmqd.json.5"}
VMQCTL = TOP / "usertools" / "vmqctl"


def commands():
    """vmqctl's own table."""
    sys.path.insert(0, str(TOP / "usertools"))
    try:
        from vmqctl_lib.commands import COMMANDS, GLOBALS
    finally:
        sys.path.pop(0)
    return COMMANDS, GLOBALS


def page_path(page):
    return BUILD / "usertools" / PAGES[page]


def shown(page):
    """The page as man shows it, without its line breaks."""
    done = subprocess.run(["man", "-l", str(page_path(page))], capture_output=True, text=True,
                          timeout=60, check=True,
                          env={**os.environ, "MANWIDTH": "2000", "MAN_KEEP_FORMATTING": "0",
                               "LC_ALL": "C.UTF-8"})
    # Bold and underlined: by striking twice, or as a terminal has it (groff 1.23).
    text = re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)
    return text.replace("\u2010", "-").replace("\u2212", "-")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_no_warnings(page, need):
    need(shutil.which("mandoc"), "mandoc is missing: apt-get install mandoc")
    need(shutil.which("man"), "man is missing: apt-get install man-db")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page_path(page))],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout
    done = subprocess.run(["man", "--warnings", "-l", str(page_path(page))],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_lint_finds_what_is_wrong(need, tmp_path):
    """The test above would prove little if the tools said nothing."""
    need(shutil.which("mandoc"), "mandoc is missing: apt-get install mandoc")
    bad = tmp_path / "bad.1"
    bad.write_text(".TH BAD 1\n.SH\n.RE\n.nonsense\n", encoding="ascii")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", bad], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode != 0


def test_the_page_of_vmqd_has_every_option(need):
    need(shutil.which("man"), "man is missing: apt-get install man-db")
    text = shown("vmqd")
    help_text = subprocess.run([VMQD, "--help"], capture_output=True, text=True, timeout=60,
                               check=True).stdout
    options = re.findall(r"^  -(\S), (--\S+)(?: (\S+))?  +(.*)$", help_text, re.MULTILINE)
    assert len(options) >= 9
    for letter, name, value, words in options:
        assert f"-{letter}, {name} {value}".strip() in text
        assert words[1:] in text


def test_the_page_of_vmqctl_has_every_command(need):
    need(shutil.which("man"), "man is missing: apt-get install man-db")
    text = shown("vmqctl")
    table, common = commands()
    for command in table:
        assert command.words in text and command.help[1:] in text, command.words
        for one in command.args:
            assert one.help[1:] in text, (command.words, one.names)
    for one in common:
        assert ", ".join(one.names) in text, one.names


def keys(node):
    """Names of all properties of the schema."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "properties":
                for key, inner in value.items():
                    if isinstance(inner, dict) and "const" not in inner:
                        yield key
            yield from keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from keys(value)


def descriptions(node):
    if isinstance(node, dict):
        if isinstance(node.get("description"), str):
            yield node["description"]
        for value in node.values():
            yield from descriptions(value)
    elif isinstance(node, list):
        for value in node:
            yield from descriptions(value)


def test_the_page_of_the_document_has_every_key(need):
    need(shutil.which("man"), "man is missing: apt-get install man-db")
    text = shown("document")
    schema = json.loads((TOP / "config" / "vmqd.schema.json").read_text(encoding="utf-8"))
    names = set(keys(schema)) - {"type"}
    assert len(names) > 30
    for name in names:
        assert re.search(rf"^ *{re.escape(name)} \(", text, re.MULTILINE), name
    squeezed = " ".join(text.split())
    missing = [words for words in descriptions(schema) if " ".join(words.split()) not in squeezed]
    # A description may be replaced by that of the place that refers to it.
    assert len(missing) <= 12, missing


def complete(words, need, env=None):
    """What bash offers behind a command line, given as words; the last one is being typed."""
    need(shutil.which("bash"), "bash is missing")
    script = BUILD / "usertools" / "vmqctl"
    line = " ".join(f"'{word}'" for word in words)
    program = (f". '{script}'\nCOMP_WORDS=({line})\nCOMP_CWORD={len(words) - 1}\n"
               "_vmqctl\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
    done = subprocess.run(["bash", "--norc", "-c", program], capture_output=True, text=True,
                          timeout=120, check=False, env=env)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split("\n")) - {""}


def test_completion_offers_commands_and_options(need, tmp_path):
    tool = str(VMQCTL)
    table, _ = commands()
    firsts = {command.words.split()[0] for command in table}
    assert complete([tool, ""], need) == firsts
    assert complete([tool, "q"], need) == {"queue"}
    assert complete([tool, "queue", ""], need) == {
        command.words.split()[1] for command in table if command.words.startswith("queue ")}
    assert complete([tool, "--json", "-s", "x", "filter", "m"], need) == {"move"}
    assert {"--filter", "-F", "--json"} <= complete([tool, "queue", "allocate", "-"], need)
    assert complete([tool, "capture", "--dr"], need) == {"--drops"}
    assert complete([tool, "top", "--sort", "w"], need) == {"waiting"}
    file = tmp_path / "document.json"
    file.write_text("{}", encoding="ascii")
    assert complete([tool, "config", "apply", f"{tmp_path}/doc"], need) == {str(file)}


def test_the_built_completion_is_what_vmqctl_prints():
    done = subprocess.run([VMQCTL, "completion"], capture_output=True, timeout=60, check=True)
    assert done.stdout == (BUILD / "usertools" / "vmqctl").read_bytes()


def test_every_file_is_installed_and_runs_from_there(tmp_path):
    done = subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--destdir",
                           str(tmp_path)], capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    installed = {path.name: path for path in tmp_path.rglob("*") if path.is_file()}
    for name in PAGES.values():
        assert name in installed, name
    library = {path.name for path in (TOP / "usertools" / "vmqctl_lib").glob("*.py")}
    assert library <= installed.keys(), library - installed.keys()
    tool = next(path for path in tmp_path.rglob("vmqctl") if path.parent.name == "bin")
    done = subprocess.run([tool, "--help"], capture_output=True, text=True, timeout=60,
                          check=False, cwd="/")
    assert done.returncode == 0 and "queue" in done.stdout, done.stderr
