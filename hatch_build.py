"""Makes the Python of protos/ at build time: messages, typed stubs, gRPC stubs. Nothing generated is committed.

Run by the build (editable or wheel), and by hand with `python hatch_build.py`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTOS = Path(__file__).resolve().parent / "protos"


def write_validate_descriptors(path: Path) -> None:
    """Writes the descriptors of buf/validate/validate.proto and its imports to `path`.

    The text of that file is in no package; its descriptor is inside protovalidate's wheel.
    """
    from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
    from protovalidate._gen.buf.validate import validate_pb

    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        files.file.append(descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    files.file.append(descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary()))
    path.write_bytes(files.SerializeToString())


def own_protos() -> list[str]:
    """Our proto files, as paths relative to protos/, sorted."""
    return sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "reelroute").rglob("*.proto"))


def protoc(*arguments: str) -> None:
    """Runs protoc on our files with validate.proto known; raises SystemExit with protoc's code on an error."""
    from grpc_tools import protoc as compiler

    # protoc finds its plugins on PATH; ours are beside the interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with tempfile.TemporaryDirectory() as folder:
        validate = Path(folder) / "validate.binpb"
        write_validate_descriptors(validate)
        well_known = str(resources.files("grpc_tools") / "_proto")
        code = compiler.main(
            ["protoc", f"--descriptor_set_in={validate}", f"-I{PROTOS}", f"-I{well_known}", *arguments]
        )
    if code:
        raise SystemExit(code)


def generate() -> None:
    """Writes *_pb2.py, *_pb2.pyi, *_pb2_grpc.py and *_pb2_grpc.pyi beside each proto."""
    protoc(
        f"--python_out={PROTOS}",
        f"--mypy_out=quiet:{PROTOS}",
        f"--grpc_python_out={PROTOS}",
        f"--mypy_grpc_out=quiet:{PROTOS}",
        *own_protos(),
    )
    protoc(f"--python_out={PROTOS}", f"--mypy_out=quiet:{PROTOS}", "buf/validate/validate.proto")


class ProtoBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch calls this before it packs or links the project."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates the messages."""
        generate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--image"]:
        # A descriptor image of all contracts, for lint and for the check of breaking changes.
        protoc(
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={Path(sys.argv[2]).resolve()}",
            *own_protos(),
        )
    else:
        generate()
