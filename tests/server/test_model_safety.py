"""Model files that reach for other files, or for operators that need somebody's library."""

import asyncio
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from conveyor_contract.errors import ConveyorError
from conveyor_contract.wire import length_delimited
from conveyor_server.errors import LoadError
from conveyor_server.folder import scan
from conveyor_server.loading import LoadOptions, load_model
from conveyor_server.model_safety import MAX_DEPTH, check_model_file
from conveyor_server.providers import CPU
from conveyor_server.session import SessionOptions
from tests.models import write_tiny_model


def small_model(*nodes: onnx.NodeProto, imports: tuple[str, ...] = ()) -> onnx.ModelProto:
    """y = x + weights, and other nodes."""
    weights = numpy_helper.from_array(np.ones(4, np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "weights"], ["y"]), *nodes],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [weights],
    )
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(domain, 1) for domain in imports)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def put_outside(tensor: onnx.TensorProto, location: str) -> None:
    external_data_helper.set_external_data(tensor, location=location)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL


def written(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "small" / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(model.SerializeToString())
    return path


def load(path: Path, *libraries: Path) -> str:
    """Loads it as the server does; why it was refused, or an empty text."""

    async def attempt() -> None:
        with ThreadPoolExecutor(1) as pool:
            session = SessionOptions(provider=CPU, intra_op_threads=1, custom_operators=libraries)
            options = LoadOptions(
                session=session,
                instance_count=1,
                max_queue_size=8,
                max_queue_delay=0.0,
                max_pixels=10_000,
                graph_batch_size=4,
                decode_pool=pool,
            )
            model = await load_model(path, "small", 1, options)
            model.batcher.close()

    try:
        asyncio.run(attempt())
    except ConveyorError as error:
        return str(error)
    return ""


def test_weights_in_a_file_beside_it_are_served(tmp_path: Path) -> None:
    model = small_model()
    put_outside(model.graph.initializer[0], "weights.bin")
    path = written(model, tmp_path)
    (path.parent / "weights.bin").write_bytes(np.ones(4, np.float32).tobytes())
    assert load(path) == ""


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "sub/../../../weights.bin", "link.bin", ".."])
def test_weights_elsewhere_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "weights.bin").write_bytes(np.ones(4, np.float32).tobytes())
    model = small_model()
    put_outside(model.graph.initializer[0], location)
    path = written(model, tmp_path)
    (path.parent / "sub").mkdir()
    (path.parent / "link.bin").symlink_to(tmp_path / "weights.bin")
    assert "outside of its own folder" in load(path)


def constant(location: str) -> onnx.NodeProto:
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "hidden")
    put_outside(tensor, location)
    return helper.make_node("Constant", [], ["hidden"], value=tensor)


def within_branches(node: onnx.NodeProto, depth: int) -> onnx.NodeProto:
    for _ in range(depth):
        output = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, None)
        branch = helper.make_graph([node], "branch", [], [output])
        other = helper.make_graph([helper.make_node("Identity", ["x"], ["hidden"])], "other", [], [output])
        node = helper.make_node("If", ["condition"], ["hidden"], then_branch=branch, else_branch=other)
    return node


def test_weights_elsewhere_are_found_wherever_they_hide(tmp_path: Path) -> None:
    in_branch = small_model(within_branches(constant("/etc/passwd"), 3))
    in_function = small_model()
    opset = [helper.make_opsetid("", 18)]
    in_function.functions.append(
        helper.make_function("ours", "hiding", [], ["hidden"], [constant("/etc/passwd")], opset)
    )
    sparse = small_model()
    values = numpy_helper.from_array(np.ones(1, np.float32), "values")
    put_outside(values, "/etc/passwd")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    sparse.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    for number, model in enumerate((in_branch, in_function, sparse)):
        path = written(model, tmp_path / str(number))
        with pytest.raises(LoadError, match="/etc/passwd"):
            check_model_file(path, allow_custom_operators=True)


def test_graphs_nested_without_end_are_refused(tmp_path: Path) -> None:
    # By hand: onnx itself does not write so many. A node's attribute holds a graph, which holds a node.
    node = b""
    for _ in range(10 * MAX_DEPTH):
        node = length_delimited(5, length_delimited(6, length_delimited(1, node)))
    path = tmp_path / "model.onnx"
    path.write_bytes(length_delimited(7, length_delimited(1, node)))
    with pytest.raises(LoadError, match="graphs within each other"):
        check_model_file(path, allow_custom_operators=True)


def test_operators_of_a_library_are_refused_unless_the_library_is_allowed(tmp_path: Path) -> None:
    foreign = helper.make_node("Evil", ["x"], ["z"], domain="com.example")
    path = written(small_model(foreign, imports=("com.example",)), tmp_path)
    assert "--allow-custom-operators" in load(path)
    missing = tmp_path / "operators.so"
    # Past our own check it is ONNX Runtime's turn: there is no such library.
    assert "cannot load it" in load(path, missing)


def test_a_compiled_program_is_refused(tmp_path: Path) -> None:
    program = helper.make_node("EPContext", ["x"], ["z"], domain="com.microsoft", ep_cache_context="../engine.bin")
    assert "compiled program" in load(written(small_model(program, imports=("com.microsoft",)), tmp_path))


def test_the_operators_of_onnx_runtime_and_of_the_model_itself_are_no_matter(tmp_path: Path) -> None:
    own = helper.make_function(
        "ours", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    model = small_model(helper.make_node("Twice", ["y"], ["z"], domain="ours"), imports=("ours", "com.microsoft"))
    model.functions.append(own)
    assert load(written(model, tmp_path)) == ""


def test_links_count_inside_the_repository_and_not_out_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    repository, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    write_tiny_model(elsewhere, "secret")
    write_tiny_model(repository / "..data", "tiny")
    (repository / "tiny").symlink_to("..data/tiny")
    (repository / "out").symlink_to(elsewhere / "secret")
    (repository / "deep").mkdir()
    (repository / "deep" / "1").symlink_to("../../elsewhere/secret/1")
    (repository / "file" / "1").mkdir(parents=True)
    (repository / "file" / "1" / "model.onnx").symlink_to(elsewhere / "secret" / "1" / "model.onnx")
    with caplog.at_level(logging.WARNING):
        assert list(scan(repository)) == ["tiny"]
        scan(repository)
    assert sum("leads out of the repository" in record.message for record in caplog.records) == 3


def test_a_repository_may_itself_be_a_link(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "real", "tiny")
    (tmp_path / "link").symlink_to("real")
    assert list(scan(tmp_path / "link")) == ["tiny"]
    shutil.rmtree(tmp_path / "real")
