"""The peer: llama-server from the source in the pinned llama-cpp-python, so that it and Remuda run the same engine."""

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from loadtests.cache import cache_folder

SERVER_VARIABLE = "REMUDA_BENCH_LLAMA_SERVER"
PACKAGE = "llama-cpp-python"
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
)


def llama_server() -> Path:
    """Returns the program that REMUDA_BENCH_LLAMA_SERVER names, else the cached build.

    A missing build is made, in about seven minutes on two cores; CMAKE_ARGS counts as for llama-cpp-python. Raises
    FileNotFoundError without cmake, CalledProcessError when the build fails.
    """
    if path := os.environ.get(SERVER_VARIABLE):
        return Path(path)
    program = _folder() / "build" / "bin" / "llama-server"
    if not program.exists():
        _build(_source(), program.parent.parent)
    return program


def vocabularies() -> Path:
    """Returns llama.cpp's folder of ggml-vocab-*.gguf files."""
    return _source() / "models"


def _folder() -> Path:
    return cache_folder() / f"llama.cpp-{version(PACKAGE)}"


def _source() -> Path:
    """Returns the folder of llama.cpp's source, and downloads it if it is missing."""
    release = f"llama_cpp_python-{version(PACKAGE)}"
    source = _folder() / release / "vendor" / "llama.cpp"
    if not source.exists():
        _download(_folder())
        with tarfile.open(_folder() / f"{release}.tar.gz") as archive:
            archive.extractall(_folder(), filter="data")
    return source


def _download(folder: Path) -> None:
    print(f"Downloading the source of {PACKAGE} {version(PACKAGE)} to {folder} ...")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE]
    subprocess.run([*pip, "--dest", str(folder), f"{PACKAGE}=={version(PACKAGE)}"], check=True)


def _build(source: Path, build: Path) -> None:
    if shutil.which("cmake") is None:
        raise FileNotFoundError(f"llama-server is built with cmake, which is not installed; or set {SERVER_VARIABLE}")
    print(f"Building llama-server in {build} (some minutes) ...")
    extra = shlex.split(os.environ.get("CMAKE_ARGS", ""))
    subprocess.run(["cmake", "-S", str(source), "-B", str(build), *OPTIONS, *extra], check=True)
    jobs = f"-j{os.cpu_count() or 1}"
    subprocess.run(["cmake", "--build", str(build), jobs, "--target", "llama-server"], check=True)
