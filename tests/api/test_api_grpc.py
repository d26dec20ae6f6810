"""Open Inference Protocol V2 over gRPC, asked by a client that protoc generates from the protocol's own terms."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
import wiretoys
from api_server import Running

from shopkeeper.api import grpc_server
from shopkeeper.core.errors import Unavailable

KEY = "a-key-that-nobody-guesses"
SORTED = [2.0, 3.0, 1.0]  # age, ctr, price: 321

# What a client of the standard is generated from: package, service, names and numbers.
PROTO = """
syntax = "proto3";
package inference;
service GRPCInferenceService {
  rpc ServerLive(ServerLiveRequest) returns (ServerLiveResponse);
  rpc ServerReady(ServerReadyRequest) returns (ServerReadyResponse);
  rpc ModelReady(ModelReadyRequest) returns (ModelReadyResponse);
  rpc ServerMetadata(ServerMetadataRequest) returns (ServerMetadataResponse);
  rpc ModelMetadata(ModelMetadataRequest) returns (ModelMetadataResponse);
  rpc ModelInfer(ModelInferRequest) returns (ModelInferResponse);
}
message ServerLiveRequest {}
message ServerLiveResponse { bool live = 1; }
message ServerReadyRequest {}
message ServerReadyResponse { bool ready = 1; }
message ModelReadyRequest { string name = 1; string version = 2; }
message ModelReadyResponse { bool ready = 1; }
message ServerMetadataRequest {}
message ServerMetadataResponse { string name = 1; string version = 2; repeated string extensions = 3; }
message ModelMetadataRequest { string name = 1; string version = 2; }
message ModelMetadataResponse {
  message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
  string name = 1; repeated string versions = 2; string platform = 3;
  repeated TensorMetadata inputs = 4; repeated TensorMetadata outputs = 5;
  map<string, string> properties = 6;
}
message ModelInferRequest {
  message InferInputTensor {
    string name = 1; string datatype = 2; repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4; InferTensorContents contents = 5;
  }
  message InferRequestedOutputTensor { string name = 1; map<string, InferParameter> parameters = 2; }
  string model_name = 1; string model_version = 2; string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferInputTensor inputs = 5; repeated InferRequestedOutputTensor outputs = 6;
  repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  message InferOutputTensor {
    string name = 1; string datatype = 2; repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4; InferTensorContents contents = 5;
  }
  string model_name = 1; string model_version = 2; string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferOutputTensor outputs = 5; repeated bytes raw_output_contents = 6;
}
message InferParameter {
  oneof parameter_choice {
    bool bool_param = 1; int64 int64_param = 2; string string_param = 3;
    double double_param = 4; uint64 uint64_param = 5;
  }
}
message InferTensorContents {
  repeated bool bool_contents = 1; repeated int32 int_contents = 2; repeated int64 int64_contents = 3;
  repeated uint32 uint_contents = 4; repeated uint64 uint64_contents = 5;
  repeated float fp32_contents = 6; repeated double fp64_contents = 7; repeated bytes bytes_contents = 8;
}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def pb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The generated client: its messages and its stub."""
    folder = tmp_path_factory.mktemp("proto")
    (folder / "wireclient.proto").write_text(PROTO)
    arguments = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}", "wireclient.proto"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True, timeout=120, cwd=folder)
    sys.path.insert(0, str(folder))
    try:
        import wireclient_pb2 as kinds
        import wireclient_pb2_grpc as stubs

        yield SimpleNamespace(**vars(kinds), stub=stubs.GRPCInferenceServiceStub)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    enabled = ",".join(wiretoys.MODELS)
    folder = tmp_path_factory.mktemp("wire")
    with wiretoys.served(folder, grpc_port=free_port(), enabled_models=enabled, batch_body_limit=100_000) as running:
        yield running


@pytest.fixture(scope="module")
def stub(wire: Running, pb: SimpleNamespace) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{wire.shop.settings.grpc_port}") as channel:
        yield pb.stub(channel)


def request(pb: SimpleNamespace, *inputs: tuple[str, str, list[int], Any], model: str = "xgb", **more: Any) -> Any:
    """Typed contents where `data` is a list, raw ones where it is bytes."""
    made = pb.ModelInferRequest(model_name=model, **more)
    for name, datatype, shape, data in inputs:
        one = made.inputs.add(name=name, datatype=datatype, shape=shape)
        if isinstance(data, bytes):
            made.raw_input_contents.append(data)
        else:
            getattr(one.contents, CONTENTS[datatype]).extend(data)
    return made


CONTENTS = {
    "FP64": "fp64_contents", "FP32": "fp32_contents", "INT64": "int64_contents", "INT32": "int_contents",
    "INT8": "int_contents", "UINT8": "uint_contents", "UINT64": "uint64_contents", "BOOL": "bool_contents",
    "BYTES": "bytes_contents", "FP16": "fp32_contents",
}  # fmt: skip


def values(answer: Any, name: str = "output0") -> list[Any]:
    """Of an answer whose contents are raw when its request's were."""
    (found,) = [one for one in answer.outputs if one.name == name]
    if answer.raw_output_contents:
        assert not found.HasField("contents")
        return np.frombuffer(answer.raw_output_contents[0], "<f8").tolist()
    return list(found.contents.fp64_contents) or list(found.contents.bytes_contents)


def refused(call: Any, sent: Any, code: grpc.StatusCode, **more: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(sent, timeout=20, **more)
    assert caught.value.code() is code, caught.value.details()
    assert caught.value.details()
    return caught.value


def test_our_messages_have_the_names_numbers_and_types_of_the_standard(pb: SimpleNamespace) -> None:
    from shopkeeper.api.grpc_messages import MESSAGES, messages

    for name in MESSAGES:
        ours, theirs = getattr(messages(), name.replace(".", "_")), pb
        for part in name.split("."):
            theirs = getattr(theirs, part)
        assert shape(ours.DESCRIPTOR) == shape(theirs.DESCRIPTOR), name
    assert set(MESSAGES) >= {name for name in vars(pb) if name.startswith(("Server", "Model", "Infer"))}


def shape(descriptor: Any) -> list[tuple[Any, ...]]:
    return sorted(
        (one.number, one.name, one.type, one.is_repeated, one.message_type and one.message_type.full_name,
         one.containing_oneof and one.containing_oneof.name)
        for one in descriptor.fields
    )  # fmt: skip


def test_health_and_metadata(pb: SimpleNamespace, stub: Any) -> None:
    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name="xgb")).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name="xgb", version="1")).ready
    server = stub.ServerMetadata(pb.ServerMetadataRequest())
    assert (server.name, bool(server.version)) == ("shopkeeper", True)
    found = stub.ModelMetadata(pb.ModelMetadataRequest(name="xgb"))
    assert (found.name, list(found.versions), found.platform) == ("xgb", ["2", "1"], "shopkeeper_wire_number")
    assert [(one.name, one.datatype, list(one.shape)) for one in found.inputs] == [("input0", "FP64", [-1, 3])]
    assert [(one.name, one.datatype, list(one.shape)) for one in found.outputs] == [("output0", "FP64", [-1])]
    assert dict(found.properties) == {"columns": "age,ctr,price"}


@pytest.mark.parametrize(
    "given",
    [
        ("input0", "FP64", [1, 3], SORTED),
        ("input0", "FP32", [1, 3], SORTED),
        ("input0", "INT64", [1, 3], [2, 3, 1]),
        ("input0", "UINT8", [1, 3], [2, 3, 1]),
        ("input0", "FP64", [1, 3], np.array(SORTED, "<f8").tobytes()),
        ("input0", "FP32", [1, 3], np.array(SORTED, "<f4").tobytes()),
        ("input0", "FP16", [1, 3], np.array(SORTED, "<f2").tobytes()),
        ("input0", "INT32", [1, 3], np.array(SORTED, "<i4").tobytes()),
        ("features", "BYTES", [1], [b'{"price":1,"age":2,"ctr":3}']),
        ("features", "BYTES", [1], struct.pack("<I", 27) + b'{"price":1,"age":2,"ctr":3}'),
    ],
    ids=str,
)
def test_typed_and_raw_contents_are_read_alike(pb: SimpleNamespace, stub: Any, given: Any) -> None:
    answer, call = stub.ModelInfer.with_call(request(pb, given, id="42"), metadata=[("x-request-id", "mine")])
    assert (answer.model_name, answer.model_version, answer.id) == ("xgb", "1", "42")
    assert values(answer) == [321.0]
    assert len(answer.raw_output_contents) == isinstance(given[3], bytes)
    assert [(one.datatype, list(one.shape)) for one in answer.outputs] == [("FP64", [1])]
    assert dict(call.trailing_metadata()) == {"x-request-id": "mine", "x-model-version": "v1"}


def test_versions_features_and_outputs(pb: SimpleNamespace, stub: Any) -> None:
    matrix = ("input0", "FP64", [1, 3], SORTED)
    assert values(stub.ModelInfer(request(pb, matrix, model_version="v2"))) == [642.0]
    assert values(stub.ModelInfer(request(pb, matrix, model="xgb@candidate"))) == [642.0]
    columns = [("price", "FP64", [2], [1, 4]), ("ctr", "INT64", [2, 1], [3, 0])]
    assert values(stub.ModelInfer(request(pb, *columns))) == [301.0, 4.0]
    assert values(stub.ModelInfer(request(pb, matrix, model="user_tower"))) == [321.0, 0.5, -1.0]
    near = ("features", "BYTES", [1], [b'{"user_id":"u5","top_k":2}'])
    assert json.loads(values(stub.ModelInfer(request(pb, near, model="graph_recall")))[0]) == ["u6", "u7"]
    raw = ("features", "BYTES", [1], struct.pack("<I", 28) + b'{"user_id":"u5","top_k": 2 }')
    (told,) = stub.ModelInfer(request(pb, raw, model="graph_recall")).raw_output_contents
    assert told == struct.pack("<I", 11) + b'["u6","u7"]'
    tasks = request(pb, matrix, model="mmoe")
    tasks.outputs.add(name="gmv")
    assert [(one.name, list(one.contents.fp64_contents)) for one in stub.ModelInfer(tasks).outputs] == [("gmv", [3.0])]


STATUS = grpc.StatusCode


@pytest.mark.parametrize(
    ("given", "more", "code"),
    [
        (("input0", "FP64", [1, 3], SORTED), {"model": "nothing"}, STATUS.NOT_FOUND),
        (("input0", "FP64", [1, 3], SORTED), {"model_version": "9"}, STATUS.NOT_FOUND),
        (("input0", "FP64", [1, 3], SORTED), {"model": "xgb@nobody"}, STATUS.NOT_FOUND),
        (("input0", "FP64", [1, 3], SORTED), {"model": "../xgb"}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [1, 3], SORTED), {"model": ""}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [1, 3], SORTED), {"model": "dumb"}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [1, 3], [0, 0, 13]), {"model": "broken"}, STATUS.INTERNAL),
        (("input0", "FP64", [1, 2], [1, 2]), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [2, 3], SORTED), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [-1, -3], SORTED), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [0, 3], []), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [1, 3], [1, 2, float("nan")]), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP64", [1, 3], b"\x00" * 23), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "FP16", [1, 3], SORTED), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "INT8", [1, 3], [2, 3, 300]), {}, STATUS.INVALID_ARGUMENT),
        (("input0", "BYTES", [1, 3], [b"a", b"b", b"c"]), {}, STATUS.INVALID_ARGUMENT),
        (("features", "BYTES", [1], [b"\xff"]), {}, STATUS.INVALID_ARGUMENT),
        (("features", "BYTES", [1], [b"{"]), {}, STATUS.INVALID_ARGUMENT),
        (("features", "BYTES", [1], b"\x05\x00"), {}, STATUS.INVALID_ARGUMENT),
        (("features", "BYTES", [1], b"\xff\xff\xff\xff{}"), {}, STATUS.INVALID_ARGUMENT),
        (("features", "BYTES", [1], [b'{"price":"ten"}']), {}, STATUS.INVALID_ARGUMENT),
        (("features", "BYTES", [10_001], [b"{}"] * 10_001), {}, STATUS.INVALID_ARGUMENT),
        (("features", "BYTES", [1], [b"x" * 200_000]), {}, STATUS.RESOURCE_EXHAUSTED),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_is_refused_says_why(
    pb: SimpleNamespace, stub: Any, given: Any, more: dict[str, Any], code: grpc.StatusCode
) -> None:
    error = refused(stub.ModelInfer, request(pb, given, **more), code)
    if code is not STATUS.RESOURCE_EXHAUSTED:  # grpc itself refuses what is too large, before we see it
        assert {"x-request-id", "x-error-code"} <= {key for key, _ in error.trailing_metadata()}


def test_raw_and_typed_contents_do_not_mix(pb: SimpleNamespace, stub: Any) -> None:
    mixed = request(pb, ("input0", "FP64", [1, 3], SORTED))
    mixed.raw_input_contents.append(b"\x00" * 24)
    refused(stub.ModelInfer, mixed, STATUS.INVALID_ARGUMENT)
    refused(stub.ModelInfer, request(pb), STATUS.INVALID_ARGUMENT)
    refused(stub.ModelReady, pb.ModelReadyRequest(name="nothing"), STATUS.NOT_FOUND)


def test_requests_are_counted_and_an_unforeseen_error_tells_nothing(
    pb: SimpleNamespace, stub: Any, wire: Running
) -> None:
    sent = request(pb, ("input0", "FP64", [1, 3], SORTED))
    before = {code: counted(wire, code) for code in ("INTERNAL", "OK")}
    stub.ModelInfer(sent, timeout=20)
    working, wire.shop.predictor = wire.shop.predictor, None
    try:
        error = refused(stub.ModelInfer, sent, STATUS.INTERNAL)
    finally:
        wire.shop.predictor = working
    assert "NoneType" not in error.details()
    assert {code: counted(wire, code) - before[code] for code in before} == {"INTERNAL": 1, "OK": 1}


def counted(wire: Running, code: str) -> float:
    begin = f'grpc_requests_total{{code="{code}",method="ModelInfer"}} '
    lines = wire.http.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(begin)) for line in lines if line.startswith(begin))


def test_a_key_is_asked_for_as_over_http(pb: SimpleNamespace, tmp_path: Path) -> None:
    sent = request(pb, ("input0", "FP64", [1, 3], SORTED))
    port = free_port()
    with wiretoys.served(tmp_path, api_key=KEY, grpc_port=port), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = pb.stub(channel)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        error = refused(stub.ModelInfer, sent, STATUS.UNAUTHENTICATED)
        assert dict(error.trailing_metadata())["x-error-code"] == "no_key"
        refused(stub.ModelInfer, sent, STATUS.UNAUTHENTICATED, metadata=[("x-api-key", "wrong")])
        for key in (("x-api-key", KEY), ("authorization", f"Bearer {KEY}")):
            assert values(stub.ModelInfer(sent, metadata=[key], timeout=20)) == [321.0]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:  # it went with its server
        refused(pb.stub(channel).ServerLive, pb.ServerLiveRequest(), STATUS.UNAVAILABLE)


def test_a_running_request_is_finished_when_the_server_drains(pb: SimpleNamespace, tmp_path: Path) -> None:
    port = free_port()
    sent = request(pb, ("price", "FP64", [1], [1.0]), model="slow")
    with wiretoys.served(tmp_path, grpc_port=port) as wire, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = pb.stub(channel)
        running = stub.ModelInfer.future(sent, timeout=30)
        loaded = wire.shop.serving.peek("slow")
        until = time.monotonic() + 20
        while not (loaded and loaded.in_flight) and time.monotonic() < until:
            time.sleep(0.01)
        wire.server.should_exit = True
        assert values(running.result()) == [1.0]
        until = time.monotonic() + 20
        while not wire.server.closing.is_set() and time.monotonic() < until:
            time.sleep(0.01)
        refused(stub.ServerLive, pb.ServerLiveRequest(), STATUS.UNAVAILABLE)


def test_callers_wait_while_the_shop_changes_over(pb: SimpleNamespace, wire: Running, stub: Any) -> None:
    gate, loop = wire.shop.turnstile, wire.loop
    assert loop is not None
    gate.close()
    try:
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        assert not stub.ServerReady(pb.ServerReadyRequest(), timeout=20).ready
        held = stub.ModelReady.future(pb.ModelReadyRequest(name="xgb"), timeout=60)
        with pytest.raises(grpc.FutureTimeoutError):
            held.result(timeout=0.5)
    finally:
        loop.call_soon_threadsafe(gate.open)
    assert held.result().ready
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=20).ready


def test_the_servers_code_is_light_until_a_port_is_set() -> None:
    program = "import sys, shopkeeper.api.server; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


def test_without_its_libraries_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(Unavailable, match=r"shopkeeper\[grpc\]"):
        grpc_server.check_installed()
