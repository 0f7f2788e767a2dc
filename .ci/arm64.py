"""Tests on emulated Arm processors: aarch64 Python and packages under QEMU, without root, nothing installed.

python .ci/arm64.py                # makes build/arm64 once (2 GB, network), then runs tests/arm64
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "arm64"
ARCHITECTURE = {"x86_64": "amd64"}
TOOLS = ("apt-get", "dpkg")
DEBIAN = ("python3", "libgomp1", "libstdc++6")
# Without dependencies, because torch's Arm wheel asks for gigabytes of CUDA.
SAME = ("torch", "executorch", "torchao", "opencv-python-headless", "numpy", "click", "flatbuffers")
WHEELS = (
    "typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "filelock", "fsspec", "pyyaml",
    "ruamel.yaml", "packaging", "tabulate", "pandas", "python-dateutil", "six", "expecttest",
)  # fmt: skip
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
LIBRARIES = "usr/lib/aarch64-linux-gnu"
APT = """
Dir::State "{home}/state"; Dir::State::status "{home}/status"; Dir::Cache "{home}/cache";
Dpkg::Use-Pty "false"; APT::Install-Recommends "false"; APT::Sandbox::User ""; Debug::NoLocking "true";
APT::Architecture "{architecture}"; APT::Architectures {{"{architecture}";}};
"""


@dataclass(frozen=True)
class Processor:
    """One to emulate.

    Attributes:
        name: its folder's.
        qemu: as QEMU calls it.
        variant, part, revision: as Arm numbers them.
        features: beyond those of every ARMv8 core, as Linux calls them.
    """

    name: str
    qemu: str
    variant: int
    part: int
    revision: int
    features: str = ""

    @property
    def midr(self) -> int:
        """The main identification register."""
        return 0x41 << 24 | self.variant << 20 | 0xF << 16 | self.part << 4 | self.revision

    def cpuinfo(self, number: int) -> str:
        """What Linux tells of one core."""
        return (
            f"processor : {number}\nFeatures : {FEATURES} {self.features}\nCPU implementer : 0x41\n"
            f"CPU architecture: 8\nCPU variant : {self.variant:#x}\nCPU part : {self.part:#x}\n"
            f"CPU revision : {self.revision}\n\n"
        )


FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
NEWER = "atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
PROCESSORS = (
    Processor("cortex-a72", "cortex-a72", 0, 0xD08, 3),  # Raspberry Pi 4
    Processor("cortex-a76", "cortex-a76", 4, 0xD0B, 1, NEWER),  # Raspberry Pi 5
    # All that QEMU knows, i8mm among it. QEMU 7.2 computes SME wrongly.
    Processor("max", "max,sme=off", 0, 0xD4D, 0, f"{NEWER} i8mm bf16 sve sve2"),
)
# Programs that the guest starts run under QEMU too: they are these scripts for the host's shell.
FLATC = '#!/bin/sh\nexec "{qemu}" -L "{sysroot}" "{program}" "$@"\n'
PYTHON = """#!/bin/sh
export PYTHONPATH="{home}/site:{root}"
exec "{qemu}" -cpu "{processor.qemu}" -L "{sysroot}" "{sysroot}/usr/bin/python3" "$@"
"""
SITE = 'import sys\nsys.executable = "{python}"\n'


def obstacle() -> str | None:
    """Why the tests cannot run here; None if they can."""
    if platform.machine() not in ARCHITECTURE or not sys.platform.startswith("linux"):
        return "it is made for Linux on x86_64"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"it needs {', '.join(missing)} (Debian, Ubuntu)"
    return None


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """What a command says on both streams; CalledProcessError if it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=os.environ | environment, text=True, check=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


def unpack(architecture: str, names: tuple[str, ...], into: Path, *, needed: bool) -> None:
    """Debian packages, `needed`: with all they depend on, unpacked and not installed."""
    home = HOME / f"apt-{architecture}"
    (home / "state" / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (home / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    (home / "apt.conf").write_text(APT.format(home=home, architecture=architecture))
    archives, config = home / "cache" / "archives", str(home / "apt.conf")
    run("apt-get", "--quiet", "update", APT_CONFIG=config)
    fetch = ("--yes", "--download-only", "install") if needed else ("download",)
    run("apt-get", "--quiet", *fetch, *names, cwd=archives, APT_CONFIG=config)
    for archive in archives.glob("*.deb"):
        run("dpkg", "-x", archive, into)


def install_wheels() -> None:
    """The packages of the host, of the same versions where results depend on them."""
    python = next((HOME / "root" / "usr" / "bin").glob("python3.[0-9]*")).name.removeprefix("python")
    same = [f"{name}=={version(name).partition('+')[0]}" for name in SAME]
    platforms = [f"--platform={name}" for name in PLATFORMS]
    options = ("--quiet", "--no-compile", "--no-deps", "--only-binary=:all:", f"--python-version={python}")
    run(sys.executable, "-m", "pip", "install", *options, *platforms, "--target", HOME / "site", *same, *WHEELS)


def stand_in_for_cuda() -> None:
    """Libraries that torch's wheel names: empty, but for one with a function that gives 0 for each missing one.

    An empty one loads that one, because the loader takes no versioned function from a library of the name itself
    that has no versions.
    """
    folder = HOME / "root" / LIBRARIES
    stubs, empty = folder / "libstubs.so", folder / "libempty.so"
    link(stubs, [])
    link(empty, [], stubs)
    for name in missing_libraries():
        (folder / name).symlink_to(empty.name)
    link(stubs, missing_functions())


def link(library: Path, functions: list[str], *needed: Path) -> None:
    """Make an aarch64 library of functions that do nothing."""
    tools, source = HOME / "host" / "usr", HOME / f"{library.stem}.s"
    own = {"LD_LIBRARY_PATH": str(tools / "lib" / f"{platform.machine()}-linux-gnu")}
    labels = "".join(f".globl {name}\n.type {name}, %function\n{name}:\n" for name in functions)
    source.write_text(f".text\n{labels}mov x0, 0\nret\n")
    run(tools / "bin" / "aarch64-linux-gnu-as", "-o", source.with_suffix(".o"), source, **own)
    options = ("-shared", "--no-as-needed", "-soname", library.name, "-o", library)
    run(tools / "bin" / "aarch64-linux-gnu-ld", *options, source.with_suffix(".o"), *needed, **own)


def missing_libraries() -> set[str]:
    return {line.split()[0] for line in loaded().splitlines() if line.endswith("=> not found")}


def missing_functions() -> list[str]:
    """Those of no library; Python's own are in the interpreter."""
    lines = loaded(LD_WARN="yes", LD_BIND_NOW="yes").splitlines()
    names = {line.split()[2].rstrip(",") for line in lines if line.startswith("undefined symbol:")}
    return sorted(name for name in names if not name.startswith(("Py", "_Py")))


def loaded(**environment: str) -> str:
    """What the guest's loader says about torch's libraries."""
    given = [word for pair in environment.items() for word in ("-E", "=".join(pair))]
    command = [qemu(), "-L", HOME / "root", "-E", "LD_TRACE_LOADED_OBJECTS=1", *given]
    loader, library = HOME / "root/lib/ld-linux-aarch64.so.1", HOME / "site/torch/lib/libtorch_python.so"
    return subprocess.run(
        [*map(str, command), loader, library],
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout


def wrap_flatc() -> None:
    """The compiler of ExecuTorch's schemas, which `veca-edge convert` starts."""
    flatc = HOME / "site" / "executorch" / "data" / "bin" / "flatc"
    program = flatc.rename(flatc.with_suffix(".aarch64"))
    write_script(flatc, FLATC.format(qemu=qemu(), sysroot=HOME / "root", program=program))


def write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def qemu() -> Path:
    return HOME / "host" / "usr" / "bin" / "qemu-aarch64-static"


def add(processor: Processor, cores: int) -> None:
    """A folder with the processor's own root and its interpreter, `python`.

    Libraries look below /proc and /sys for what the processor is. QEMU shows its guest the host's there, but looks
    below the root first.
    """
    folder = HOME / processor.name
    sysroot, python = folder / "root", folder / "python"
    shutil.copytree(HOME / "root", sysroot, symlinks=True, copy_function=os.link)
    (sysroot / "proc").mkdir()
    (sysroot / "proc" / "cpuinfo").write_text("".join(map(processor.cpuinfo, range(cores))))
    for number in range(cores):
        registers = sysroot / "sys/devices/system/cpu" / f"cpu{number}" / "regs" / "identification"
        registers.mkdir(parents=True)
        (registers / "midr_el1").write_text(f"{processor.midr:#018x}\n")
    hook = next((sysroot / "usr" / "lib").glob("python3.*")) / "sitecustomize.py"
    hook.unlink()  # Debian's, a link
    hook.write_text(SITE.format(python=python))
    write_script(python, PYTHON.format(home=HOME, root=ROOT, qemu=qemu(), processor=processor, sysroot=sysroot))


def make() -> None:
    """Everything in build/arm64, anew."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    host = ARCHITECTURE[platform.machine()]
    unpack(host, ("qemu-user-static", "binutils-aarch64-linux-gnu"), HOME / "host", needed=False)
    unpack("arm64", DEBIAN, HOME / "root", needed=True)
    install_wheels()
    wrap_flatc()
    stand_in_for_cuda()
    for processor in PROCESSORS:
        add(processor, os.cpu_count() or 1)


def main() -> int:
    if reason := obstacle():
        print(f"test-arm64 is skipped: {reason}")
        return 0
    if not (HOME / PROCESSORS[-1].name / "python").exists():
        try:
            make()
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "output", None) or str(error)).strip().splitlines()
            print(f"test-arm64 is skipped: its packages cannot be had here ({said[-1]})")
            return 0
    tests = [sys.executable, "-m", "pytest", "-m", "arm64", "tests/arm64", *sys.argv[1:]]
    return subprocess.run(tests, cwd=ROOT, env=os.environ | {"VECA_EDGE_ARM64": str(HOME)}).returncode


if __name__ == "__main__":
    sys.exit(main())
