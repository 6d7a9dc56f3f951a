# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""The tree keeps its own rules: includes go one way, headers stand alone, hardening."""

import os
import pathlib
import re
import subprocess

import pytest

from vmq_test.daemon import BUILD, TOP, VMQD

# What a folder may include besides its own headers; the rest of the arrows follow.
MAY_INCLUDE = {
    "base": [],
    "shmem": ["base"],
    "filter": ["base"],
    "port": ["base"],
    "backend": ["base"],
    "datapath": ["shmem", "filter", "port", "backend", "base"],
    "queue": ["datapath", "shmem", "filter", "port", "backend", "base"],
    "oid": ["queue", "datapath", "shmem", "filter", "port", "backend", "base"],
    "rpc": ["oid", "queue", "datapath", "shmem", "filter", "port", "backend", "base"],
}
LIBS = sorted(path.name for path in (TOP / "lib").iterdir() if path.is_dir())
KNOWS_JSON = ("rpc",)


def includes(path):
    text = path.read_text(encoding="utf-8")
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".c", ".h"))


def owners():
    """{header name: folder} of every header below lib/."""
    return {path.name: path.relative_to(TOP / "lib").parts[0]
            for path in sources(TOP / "lib") if path.suffix == ".h"}


@pytest.mark.parametrize("lib", LIBS)
def test_includes_go_one_way(lib):
    assert lib in MAY_INCLUDE, f"lib/{lib} has no place in the order of the folders"
    owner = owners()
    files = sources(TOP / "lib" / lib)
    assert files, f"lib/{lib} is empty"
    for path in files:
        for name in includes(path):
            base = os.path.basename(name)
            assert base != "jansson.h" or lib in KNOWS_JSON, f"{path} knows JSON"
            assert base not in ("document.h",), f"{path} includes a header of app/"
            folder = owner.get(base, lib)
            if folder == lib:
                continue
            assert folder in MAY_INCLUDE[lib], f"{path} includes {name} of lib/{folder}"
            assert base == f"vmq_{folder}.h", f"{path} includes the private header {name}"


def test_the_application_uses_public_headers_only():
    owner = owners()
    files = sources(TOP / "app")
    assert files
    for path in files:
        for name in includes(path):
            folder = owner.get(os.path.basename(name))
            if folder is not None:
                assert name == f"vmq_{folder}.h", f"{path} includes the private header {name}"


def cflags():
    out = subprocess.run(["pkg-config", "--cflags", "libdpdk"], capture_output=True, text=True,
                         check=True, timeout=60)
    return out.stdout.split()


@pytest.mark.parametrize("lib", LIBS)
def test_a_public_header_compiles_alone(lib, tmp_path):
    header = TOP / "lib" / lib / f"vmq_{lib}.h"
    assert header.exists(), f"{header} is missing: it is how others use lib/{lib}"
    for header in sorted(header.parent.glob("vmq_*.h")):  # its parts too
        check_that_it_compiles_alone(lib, header, tmp_path)


def check_that_it_compiles_alone(lib, header, tmp_path):
    # Twice: it must also guard itself.
    source = tmp_path / "alone.c"
    source.write_text(f"#include <{header.name}>\n#include <{header.name}>\n", encoding="ascii")
    folders = [f"-I{TOP / 'lib' / name}" for name in [lib, *MAY_INCLUDE[lib]]]
    done = subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-Wall",
                           "-Wextra", "-Werror", "-fsyntax-only", *cflags(), *folders, source],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{header}: {done.stderr}"


def test_sources_name_their_licence():
    bare = []
    for folder in ("app", "lib", "tests", "usertools", ".ci"):
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in (".json", ".pyc") or not path.is_file():
                continue
            head = path.read_text(encoding="utf-8", errors="replace")[:300]
            if "SPDX-License-Identifier: BSD-3-Clause" not in head:
                bare.append(str(path.relative_to(TOP)))
    assert not bare, f"no SPDX line in {bare}"


def check_hardening(need, path):
    try:
        from elftools.elf.dynamic import DynamicSection
        from elftools.elf.elffile import ELFFile
    except ImportError:
        need(False, "pyelftools is missing: apt-get install python3-pyelftools")
    with open(path, "rb") as file:
        elf = ELFFile(file)
        dynamic = next(part for part in elf.iter_sections() if isinstance(part, DynamicSection))
        tags = {tag.entry.d_tag: tag.entry.d_val for tag in dynamic.iter_tags()}
        flags, flags_1 = tags.get("DT_FLAGS", 0), tags.get("DT_FLAGS_1", 0)
        segments = list(elf.iter_segments())
        assert elf["e_type"] == "ET_DYN" and flags_1 & 0x08000000, f"{path} is not PIE"
        assert any(one["p_type"] == "PT_GNU_RELRO" for one in segments), f"{path} has no RELRO"
        assert flags & 0x8 or flags_1 & 0x1, f"{path} has no BIND_NOW: its RELRO is partial"
        stacks = [one for one in segments if one["p_type"] == "PT_GNU_STACK"]
        assert stacks and not stacks[0]["p_flags"] & 1, f"{path} has an executable stack"
        for one in segments:
            assert one["p_type"] != "PT_LOAD" or one["p_flags"] & 3 != 3, (
                f"{path} has a segment that is writable and executable")
        assert "DT_TEXTREL" not in tags and not flags & 0x4, f"{path} has text relocations"
        return tags


def test_the_built_binary_is_hardened(need):
    check_hardening(need, VMQD)


def test_the_installed_binary_is_hardened_and_has_no_path_of_the_build(need, tmp_path):
    done = subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--destdir",
                           str(tmp_path)], capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    binaries = [path for path in tmp_path.rglob("vmqd") if path.is_file()]
    assert len(binaries) == 1, f"installed: {sorted(map(str, tmp_path.rglob('*')))}"
    tags = check_hardening(need, binaries[0])
    assert "DT_RPATH" not in tags and "DT_RUNPATH" not in tags
    schemas = list(pathlib.Path(tmp_path).rglob("vmqd.schema.json"))
    assert len(schemas) == 1, "the schema of the document is not installed"
