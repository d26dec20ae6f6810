"""The messages of the Open Inference Protocol's gRPC form, built when they are needed.

Names, types and numbers are the protocol's. They stand here as a table, because code that a generator writes refuses
to run with any protobuf that is older than the generator. The pool is private: a client in the same process that has
the protocol's own file loaded does not meet ours.
"""

from __future__ import annotations

import re
from functools import cache
from types import SimpleNamespace
from typing import Any

PACKAGE = "inference"
SERVICE = "inference.GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")

_NAMED = "string name = 1; string version = 2"
_TENSOR = """string name = 1; string datatype = 2; repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4; InferTensorContents contents = 5"""
MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live = 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready = 1",
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": "bool ready = 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": f"{_NAMED}; repeated string extensions = 3",
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse": """string name = 1; repeated string versions = 2; string platform = 3;
        repeated ModelMetadataResponse.TensorMetadata inputs = 4;
        repeated ModelMetadataResponse.TensorMetadata outputs = 5; map<string, string> properties = 6""",
    "ModelMetadataResponse.TensorMetadata": "string name = 1; string datatype = 2; repeated int64 shape = 3",
    "ModelInferRequest": """string model_name = 1; string model_version = 2; string id = 3;
        map<string, InferParameter> parameters = 4; repeated ModelInferRequest.InferInputTensor inputs = 5;
        repeated ModelInferRequest.InferRequestedOutputTensor outputs = 6; repeated bytes raw_input_contents = 7""",
    "ModelInferRequest.InferInputTensor": _TENSOR,
    "ModelInferRequest.InferRequestedOutputTensor": "string name = 1; map<string, InferParameter> parameters = 2",
    "ModelInferResponse": """string model_name = 1; string model_version = 2; string id = 3;
        map<string, InferParameter> parameters = 4; repeated ModelInferResponse.InferOutputTensor outputs = 5;
        repeated bytes raw_output_contents = 6""",
    "ModelInferResponse.InferOutputTensor": _TENSOR,
    "InferParameter": """oneof bool bool_param = 1; oneof int64 int64_param = 2; oneof string string_param = 3;
        oneof double double_param = 4; oneof uint64 uint64_param = 5""",
    "InferTensorContents": """repeated bool bool_contents = 1; repeated int32 int_contents = 2;
        repeated int64 int64_contents = 3; repeated uint32 uint_contents = 4; repeated uint64 uint64_contents = 5;
        repeated float fp32_contents = 6; repeated double fp64_contents = 7; repeated bytes bytes_contents = 8""",
}
_FIELD = re.compile(
    r"(?:(?P<label>repeated|oneof) )?(?P<type>map<string, (?P<value>\w+)>|[\w.]+) (?P<name>\w+) = (?P<number>\d+)"
)
_ONEOF = "parameter_choice"


@cache
def messages() -> SimpleNamespace:
    """The message classes by name, nested ones with `_` for the dot. Needs protobuf."""
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    found = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in MESSAGES}
    classes = {name.replace(".", "_"): message_factory.GetMessageClass(one) for name, one in found.items()}
    return SimpleNamespace(**classes)


def _file() -> Any:
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name="shopkeeper_inference.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, Any] = {}
    for name, fields in MESSAGES.items():
        parent, _, short = name.rpartition(".")
        made[name] = (made[parent].nested_type if parent else file.message_type).add(name=short)
        for field in filter(None, map(str.strip, fields.split(";"))):
            _add_field(made[name], name, field)
    return file


def _add_field(message: Any, owner: str, text: str) -> None:
    found = _FIELD.fullmatch(text)
    assert found is not None, text
    field = message.field.add(name=found["name"], number=int(found["number"]), label=1)
    if found["label"] == "oneof":
        if not message.oneof_decl:
            message.oneof_decl.add(name=_ONEOF)
        field.oneof_index = 0
    if found["value"]:
        field.label = 3
        _set_type(field, f"{owner}.{_map_entry(message, found['name'], found['value'])}")
        return
    field.label = 3 if found["label"] == "repeated" else 1
    _set_type(field, found["type"])


def _map_entry(message: Any, name: str, value: str) -> str:
    """A map is a repeated message of key and value."""
    entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    _set_type(entry.field.add(name="key", number=1, label=1), "string")
    _set_type(entry.field.add(name="value", number=2, label=1), value)
    return str(entry.name)


def _set_type(field: Any, kind: str) -> None:
    number = getattr(type(field), f"TYPE_{kind.upper()}", None)
    if number is not None:
        field.type = number
    else:
        field.type, field.type_name = type(field).TYPE_MESSAGE, f".{PACKAGE}.{kind}"
