"""Makes `ragstone.v1`, the messages of the wire API, out of `proto/` when a wheel is built or the package is installed in place.

Generated code is not committed: the .proto files are what is written by hand, a copy beside them can only be older, and a change
of the API would be reviewed twice. What is built is current by construction; `tests/test_package.py` compares what is *installed* with
the .proto files, for installations in place that outlive a change.

protoc's output begins with a check that the protobuf runtime is of its own major version, or the next. It keeps people from a wide range of
versions for no need of ours: what follows is a serialized descriptor, which all of them read. So the check is left out.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VERSION_CHECK = re.compile(
    r"^from google\.protobuf import runtime_version as _runtime_version\n"
    r"|^_runtime_version\.ValidateProtobufRuntimeVersion\([^)]*\)\n",
    re.MULTILINE,
)
INIT = '"""The messages of the wire API, made of proto/ragstone/v1 by the build: for what the client has no words of its own for."""\n'


class ProtoHook(BuildHookInterface[Any]):
    """Called by hatchling before it packs anything."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates the modules, or takes the .proto files along into an sdist."""
        root = Path(self.root)
        protos = next(folder for folder in (root / "proto", root / "../../proto") if (folder / "ragstone/v1").is_dir())
        if self.target_name == "sdist":
            build_data["force_include"][str((protos / "ragstone").resolve())] = "proto/ragstone"
            build_data["force_include"][str((protos.parent / "LICENSE").resolve())] = "LICENSE"
        else:
            generate(protos.resolve(), root / "src")


def generate(protos: Path, into: Path) -> None:
    """Generates `ragstone/v1` of the .proto files below `protos`."""
    import grpc_tools
    from grpc_tools import protoc

    package = into / "ragstone" / "v1"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    files = sorted(str(path) for path in (protos / "ragstone/v1").glob("*.proto"))
    arguments = [f"-I{protos}", f"-I{well_known}", f"--python_out={into}", f"--pyi_out={into}"]
    if protoc.main(["protoc", *arguments, *files]) != 0:
        raise RuntimeError("protoc failed")
    for module in package.glob("*_pb2.py"):
        module.write_text(VERSION_CHECK.sub("", module.read_text(encoding="utf-8")), encoding="utf-8")
    (package / "__init__.py").write_text(INIT + exports(package), encoding="utf-8")


def exports(package: Path) -> str:
    """Has every message and enum be had as `ragstone.v1.NAME`."""
    lines = []
    for stub in sorted(package.glob("*_pb2.pyi")):
        names = re.findall(r"^class (\w+)", stub.read_text(encoding="utf-8"), re.MULTILINE)
        lines += [f"from ragstone.v1.{stub.stem} import {name} as {name}\n" for name in names]
    return "\n" + "".join(lines)
