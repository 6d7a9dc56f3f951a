# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""
QEMU, a kernel and busybox out of Debian's packages, unpacked into a cache.

Nothing is installed and no right is needed: apt works in folders of its own, on the
package source that this machine's own apt uses. QEMU comes with all its libraries,
so that nothing depends on what else the machine has. Debian 12's QEMU has no igb
(that came with 8.0): there it is taken from the backports of the same source.
"""

import contextlib
import fcntl
import json
import lzma
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

FORMAT = 3  # of the cache; one more when what lies in it changes
QEMU_AT_LEAST = 8

# What a guest may load, with all that these depend on.
MODULES = """virtio_pci virtio_net virtio_rng virtio_console 9p 9pnet_virtio af_packet
    vfio-pci vfio_iommu_type1 tun sch_multiq sch_ingress cls_flower act_skbedit act_mirred 8021q
    veth bridge""".split()


class PackageError(Exception):
    """What could not be had, in words for who runs the tests."""


def folder():
    """Where the cache is: VMQ_GUEST_CACHE, or below the user's own cache folder."""
    named = os.environ.get("VMQ_GUEST_CACHE")
    if named:
        return pathlib.Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "vmq-guest"


def distribution():
    release = platform.freedesktop_os_release()
    codename = release.get("VERSION_CODENAME")
    if release.get("ID") != "debian" or not codename:
        raise PackageError("guests are built from Debian's packages: this is "
                           f"{release.get('PRETTY_NAME', 'another system')}")
    return codename


class Apt:
    """apt-get in folders of its own below one that is thrown away."""

    def __init__(self, place):
        self.place = pathlib.Path(place)
        for name in ("lists/partial", "cache/archives/partial", "parts"):
            (self.place / name).mkdir(parents=True)
        # As if nothing were installed: every library comes along.
        (self.place / "status").touch()
        self.sources = self.place / "sources.list"
        config = self.place / "apt.conf"
        config.write_text(
            f'Dir::Etc::sourcelist "{self.sources}";\n'
            f'Dir::Etc::sourceparts "{self.place / "parts"}";\n'
            f'Dir::State::status "{self.place / "status"}";\n'
            f'Dir::State::lists "{self.place / "lists"}";\n'
            f'Dir::Cache "{self.place / "cache"}";\n'
            # The folders are this user's, the other user of apt could not write there.
            'APT::Sandbox::User "root";\n'
            'Debug::NoLocking "true";\n'
            'Acquire::Retries "3";\n', encoding="utf-8")
        self.env = {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C",
                    "DEBIAN_FRONTEND": "noninteractive"}

    def run(self, *command, env=None):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False,
                              cwd=self.place, env=env or self.env, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise PackageError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def mirror(self, codename):
        """The address of the distribution's main archive in the machine's own apt."""
        ask = ("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)",
               "Created-By: Packages")
        lists = f"Dir::State::lists={self.place / 'lists'}"
        own = {**os.environ, "LC_ALL": "C"}
        # A machine whose apt was never updated has no targets yet: update beside it.
        for more in ((), ("-o", lists)):
            if more:
                self.run("apt-get", "update", "-q", *more, "-o", "Debug::NoLocking=true", env=own)
            for line in self.run(*ask, *more, env=own).splitlines():
                words = line.split()
                if len(words) == 3 and words[:2] == [codename, "main"]:
                    return words[2]
        raise PackageError(f"apt has no source of {codename} main: see /etc/apt/sources.list.d")

    def use(self, mirror, *suites):
        """Read the lists of these suites, the first of them with the ordinary priority."""
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        signed = f"[signed-by={keyring}] " if os.path.exists(keyring) else ""
        self.sources.write_text("".join(f"deb {signed}{mirror} {suite} main\n"
                                        for suite in suites), encoding="utf-8")
        self.run("apt-get", "update", "-q")

    def version(self, package):
        for line in self.run("apt-cache", "policy", package).splitlines():
            if line.strip().startswith("Candidate:"):
                return line.split()[1]
        raise PackageError(f"apt does not know {package}")

    def fetch(self, package, to, *options):
        """Download a package; with the option "install" all that it depends on too."""
        before = set((self.place / "cache/archives").glob("*.deb"))
        if "install" in options:
            words = [one for one in options if one != "install"]
            self.run("apt-get", "install", "-q", "-y", "--no-install-recommends",
                     "--download-only", *words, package)
            debs = set((self.place / "cache/archives").glob("*.deb")) - before
        else:
            self.run("apt-get", "download", "-q", package)
            debs = set(self.place.glob("*.deb"))
        if not debs:
            raise PackageError(f"apt downloaded nothing for {package}")
        to.mkdir(parents=True, exist_ok=True)
        for deb in sorted(debs):
            self.run("dpkg-deb", "-x", str(deb), str(to))
            deb.unlink()
        return sorted(deb.name for deb in debs)


def unpack_kernel(data):
    """
    The kernel without its compression where that is xz: an emulated CPU takes longer to
    unpack it than for all the rest of the start. QEMU starts an ELF kernel by its PVH note.
    """
    at = data.find(b"\xfd7zXZ\0")
    if at < 0:
        return data
    kernel = lzma.LZMADecompressor().decompress(data[at:])
    return kernel if kernel.startswith(b"\x7fELF") else data


def depends(data):
    """The modules that a module needs, out of its own information."""
    at = data.find(b"\0depends=")
    if at < 0:
        return []
    value = data[at + len(b"\0depends="):].split(b"\0", 1)[0].decode()
    return [one.replace("-", "_") for one in value.split(",") if one]


def take_modules(tree, to):
    """Copy MODULES and what they need as plain .ko files, and the order to load them in."""
    found = {}
    for path in tree.glob("**/lib/modules/*/kernel/**/*.ko*"):
        found[path.name.split(".ko")[0].replace("-", "_")] = path
    builtin = set()
    for path in tree.glob("**/lib/modules/*/modules.builtin"):
        builtin |= {pathlib.Path(line).name.split(".ko")[0].replace("-", "_")
                    for line in path.read_text(encoding="ascii").split()}
    to.mkdir()
    needs = {}

    def take(name):
        if name in needs or name in builtin:
            return
        if name not in found:
            raise PackageError(f"the kernel package has no module {name}")
        data = found[name].read_bytes()
        if found[name].suffix == ".xz":
            data = lzma.decompress(data)
        (to / f"{name}.ko").write_bytes(data)
        needs[name] = depends(data)
        for other in needs[name]:
            take(other)

    def order(name, into):
        for other in needs.get(name, []):
            order(other, into)
        if name in needs and name not in into:
            into.append(name)
        return into

    for wanted in MODULES:
        take(wanted.replace("-", "_"))
    for name in needs:
        (to / f"{name}.order").write_text("\n".join(order(name, [])) + "\n", encoding="ascii")
    # What is part of the kernel can be asked for as well.
    for wanted in MODULES:
        (to / f"{wanted.replace('-', '_')}.order").touch()


def build(to):
    """Fill the empty folder `to`."""
    codename = distribution()
    with tempfile.TemporaryDirectory(dir=to.parent, prefix="tmp-") as scratch:
        scratch = pathlib.Path(scratch)
        apt = Apt(scratch / "apt")
        mirror = apt.mirror(codename)
        apt.use(mirror, codename)
        kernel = apt.version("linux-image-amd64")
        names = [line.split()[-1] for line in apt.run(
            "apt-cache", "depends", "--important", f"linux-image-amd64={kernel}").splitlines()
            if line.strip().startswith("Depends: linux-image-")]
        if len(names) != 1:
            raise PackageError(f"linux-image-amd64 {kernel} names {names} as its kernel")
        apt.fetch(names[0], scratch / "kernel")
        apt.fetch("busybox-static", scratch / "busybox")
        options = []
        version = apt.version("qemu-system-x86")
        if int(version.split(":")[-1].split(".")[0]) < QEMU_AT_LEAST:
            apt.use(mirror, codename, f"{codename}-backports")
            options = ["-t", f"{codename}-backports"]
        used = apt.fetch("qemu-system-x86", to / "qemu", "install", *options)
        compressed = next((scratch / "kernel").glob("boot/vmlinuz-*")).read_bytes()
        (to / "vmlinuz").write_bytes(unpack_kernel(compressed))
        take_modules(scratch / "kernel", to / "modules")
        shutil.copy(next((scratch / "busybox").glob("**/bin/busybox")), to / "busybox")
    # Manuals and firmware of other machines are two thirds of it.
    for name in ("doc", "man", "locale", "info", "lintian"):
        shutil.rmtree(to / "qemu/usr/share" / name, ignore_errors=True)
    versions = {"kernel": f"{names[0]} {kernel}", "qemu": used}
    (to / "versions.json").write_text(json.dumps(versions, indent=1), encoding="utf-8")


@contextlib.contextmanager
def locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def get(refresh=False):
    """
    The folder with qemu/, vmlinuz, modules/ and busybox; built when it is not there.

    @param refresh  build it anew, with the versions that the package source has now
    """
    base = folder()
    place = base / f"{distribution()}-{FORMAT}"
    # Who only reads needs no lock: the folder appears at once, by a rename.
    if not refresh and (place / "versions.json").exists():
        return place
    with locked(base / "lock"):
        if not refresh and (place / "versions.json").exists():
            return place
        fresh = pathlib.Path(tempfile.mkdtemp(dir=base, prefix="new-"))
        try:
            build(fresh)
            fresh.chmod(0o755)
            shutil.rmtree(place, ignore_errors=True)
            fresh.rename(place)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return place


def qemu_command(place):
    """The words that start QEMU, with its own loader and libraries, and its environment."""
    root = place / "qemu"
    loader = next(one for one in (root / "lib64/ld-linux-x86-64.so.2",
                                  root / "usr/lib64/ld-linux-x86-64.so.2") if one.exists())
    libraries = [root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu"]
    words = [str(loader), "--library-path", ":".join(map(str, libraries)),
             str(root / "usr/bin/qemu-system-x86_64")]
    for data in ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"):
        words += ["-L", str(root / data)]
    # Modules of a QEMU that the machine may have of its own do not fit this one.
    env = {**os.environ, "QEMU_MODULE_DIR": str(root / "usr/lib/x86_64-linux-gnu/qemu")}
    return words, env
