"""The class activation map: which files have one, what it says, and how the page offers it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import Page, expect

from conveyor_contract.preprocessing import encode_png
from conveyor_server.http.console.activation import MOST_SIDE, weigh
from conveyor_server.http.console.pooled_head import PooledHead, find_pooled_head, with_output
from conveyor_server.model_safety import stands_alone
from tests.console.models import pooled_graph, write_pooled_model
from tests.console.seeing import Console, is_look
from tests.console.test_engines import post
from tests.console.test_looks import LOOKING
from tests.models import tiny_graph, write_tiny_model
from tests.server.process import ServerProcess, running

GENERATOR = np.random.default_rng(11)
KERNELS = GENERATOR.normal(0, 1, (5, 1, 2, 2)).astype(np.float32)
DENSE = GENERATOR.normal(0, 1, (3, 5)).astype(np.float32)
BIAS = GENERATOR.normal(0, 1, 3).astype(np.float32)
ROW = GENERATOR.integers(0, 256, (8, 8, 1), np.uint8)

node = helper.make_node
SOFTMAX = node("Softmax", ["logits"], ["probabilities"])
GEMM = node("Gemm", ["flat", "dense", "bias"], ["logits"], transB=1)
MATMUL = (node("MatMul", ["flat", "turned"], ["product"]), node("Add", ["product", "bias"], ["logits"]))
POOL = node("GlobalAveragePool", ["relu"], ["pooled"])
FLATTEN = node("Flatten", ["pooled"], ["flat"])
CONSTANTS = (
    numpy_helper.from_array(BIAS, "bias"),
    numpy_helper.from_array(DENSE.T.copy(), "turned"),
    numpy_helper.from_array(DENSE.astype(np.float16), "half"),
    numpy_helper.from_array(np.array([-1, -2]), "space"),
    numpy_helper.from_array(np.array([3]), "across"),
    numpy_helper.from_array(np.array([-1, 5]), "shape"),
    numpy_helper.from_array(np.array([-1, 20]), "long shape"),
    numpy_helper.from_array(np.resize(DENSE, (3, 20)), "long"),
    numpy_helper.from_array(np.eye(3, dtype=np.float32), "second"),
)


def with_head(*head: onnx.NodeProto) -> onnx.ModelProto:
    relu = node("Relu", ["maps"], ["relu"])
    return pooled_graph(KERNELS, DENSE, [relu, *head], *CONSTANTS)


POOLED = {
    "as trained here": with_head(
        node("ReduceMean", ["relu", "space"], ["pooled"], keepdims=1),
        node("Reshape", ["pooled", "shape"], ["flat"], allowzero=1),
        GEMM,
        SOFTMAX,
    ),
    "mean without kept axes": with_head(
        node("ReduceMean", ["relu", "space"], ["flat"], keepdims=0),
        GEMM,
        SOFTMAX,
    ),
    "pool and flatten": with_head(POOL, FLATTEN, GEMM, SOFTMAX),
    "product and sum": with_head(POOL, FLATTEN, *MATMUL, SOFTMAX),
    "squeeze": with_head(POOL, node("Squeeze", ["pooled", "space"], ["flat"]), GEMM, SOFTMAX),
}
OTHERS = {
    "flatten and dense": tiny_graph(np.ones((64, 3), np.float32), (8, 8, 1)),
    "maps, flatten and dense": with_head(
        node("Reshape", ["relu", "long shape"], ["flat"]),
        node("Gemm", ["flat", "long", "bias"], ["logits"], transB=1),
        SOFTMAX,
    ),
    "two dense layers": with_head(
        POOL,
        FLATTEN,
        node("Gemm", ["flat", "dense"], ["first"], transB=1),
        node("Gemm", ["first", "second"], ["logits"]),
        SOFTMAX,
    ),
    "the largest instead of the mean": with_head(node("GlobalMaxPool", ["relu"], ["pooled"]), FLATTEN, GEMM, SOFTMAX),
    "a mean over one axis": with_head(node("ReduceMean", ["relu", "across"], ["pooled"]), FLATTEN, GEMM, SOFTMAX),
    "sigmoid": with_head(POOL, FLATTEN, GEMM, node("Sigmoid", ["logits"], ["probabilities"])),
    "softmax over the batch": with_head(POOL, FLATTEN, GEMM, node("Softmax", ["logits"], ["probabilities"], axis=0)),
    "weights times two": with_head(
        POOL, FLATTEN, node("Gemm", ["flat", "dense"], ["logits"], transB=1, alpha=2.0), SOFTMAX
    ),
    "weights of 16 bits": with_head(
        POOL,
        FLATTEN,
        node("Cast", ["flat"], ["halves"], to=TensorProto.FLOAT16),
        node("Gemm", ["halves", "half"], ["short"], transB=1),
        node("Cast", ["short"], ["logits"], to=TensorProto.FLOAT),
        SOFTMAX,
    ),
    "another library's pooling": with_head(
        node("GlobalAveragePool", ["relu"], ["pooled"], domain="strange"), FLATTEN, GEMM, SOFTMAX
    ),
}


@pytest.mark.parametrize("name", POOLED)
def test_the_map_is_the_maps_weighed_as_the_dense_layer_weighs_them(name: str) -> None:
    content = POOLED[name].SerializeToString()
    head = find_pooled_head(content, "probabilities")
    assert head is not None
    assert head.feature == "relu"
    assert stands_alone(content)
    session = onnxruntime.InferenceSession(with_output(content, head.feature), providers=["CPUExecutionProvider"])
    answer, feature = session.run(["probabilities", "relu"], {"image": ROW[np.newaxis]})
    # By numpy alone: 2x2 pixels to one place.
    pixels = ROW[..., 0].reshape(4, 2, 4, 2).astype(np.float64) / 255
    maps = np.maximum(np.einsum("ypxq,cpq->cyx", pixels, KERNELS[:, 0]), 0)
    for index in range(3):
        weighed = weigh(head, feature, index)
        assert weighed == pytest.approx(np.einsum("c,cyx->yx", DENSE[index], maps), abs=1e-4)
    logits = np.array([weigh(head, feature, index).mean() for index in range(3)]) + BIAS
    assert answer[0] == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_head_has_no_map(name: str) -> None:
    assert find_pooled_head(OTHERS[name].SerializeToString(), "probabilities") is None


def test_a_broken_file_has_no_map() -> None:
    content = POOLED["pool and flatten"].SerializeToString()
    assert all(find_pooled_head(content[:size], "probabilities") is None for size in range(0, len(content) - 300, 7))


def test_a_file_whose_weights_lie_elsewhere_does_not_stand_alone() -> None:
    model = onnx.ModelProto.FromString(POOLED["pool and flatten"].SerializeToString())
    onnx.external_data_helper.set_external_data(model.graph.initializer[1], "weights.bin")
    assert not stands_alone(model.SerializeToString())
    assert not stands_alone(OTHERS["another library's pooling"].SerializeToString())


def test_large_maps_are_made_smaller_by_means() -> None:
    head = PooledHead(feature="", weights=np.ones((1, 1), np.float32))
    feature = GENERATOR.normal(0, 1, (1, 1, 3 * MOST_SIDE, MOST_SIDE + 7)).astype(np.float32)
    small = weigh(head, feature, 0)
    assert small.shape == (MOST_SIDE, MOST_SIDE)
    assert small[5, 0] == pytest.approx(feature[0, 0, 15:18, 0].mean(), abs=1e-5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    repository: Path = tmp_path_factory.mktemp("pooled")
    write_pooled_model(repository)
    write_tiny_model(repository)
    with running(repository) as process:
        yield process


def test_the_server_makes_the_map_and_offers_it_where_there_is_one(server: ServerProcess) -> None:
    def explained(model: str, method: str) -> dict[str, Any]:
        found: dict[str, Any] = post(
            server.http_address, "/console/explain", encode_png(ROW), model=model, index=1, method=method
        )
        return found

    covered, activation = explained("pooled", "occlusion"), explained("pooled", "activation")
    assert covered["methods"] == activation["methods"] == ["occlusion", "activation"]
    assert covered["value"] == pytest.approx(activation["value"], abs=1e-5)
    assert np.shape(activation["contributions"]) == (4, 4)
    assert explained("tiny", "occlusion")["methods"] == ["occlusion"]


@pytest.mark.parametrize(
    ("model", "index", "method", "sentence"),
    [
        ("tiny", 0, "activation", "this version has no class activation map"),
        ("pooled", 3, "activation", "gives 3 values, so there is none with index 3"),
        ("pooled", 0, "guess", "method: input should be"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(
    server: ServerProcess, model: str, index: int, method: str, sentence: str
) -> None:
    with pytest.raises(AssertionError, match=sentence):
        post(server.http_address, "/console/explain", encode_png(ROW), model=model, index=index, method=method)


def test_the_page_offers_the_choice_to_the_keyboard_where_there_is_one(page: Page, server: ServerProcess) -> None:
    console = Console(page, server.http_address)
    console.open("#/pooled/1")
    with page.expect_request(is_look) as asking:
        console.draw()
    console.shown(asking.value)
    page.get_by_role("button", name="Show why").click()
    choice = console.answer.get_by_role("group", name="How to explain it")
    choice.get_by_role("radio", name="Covered parts").focus()
    with page.expect_response("**/console/explain**method=activation") as answered:
        page.keyboard.press("ArrowRight")
    assert np.shape(answered.value.json()["contributions"]) == (4, 4)
    expect(choice.get_by_role("radio", name="Class activation")).to_be_focused()
    expect(console.answer).to_contain_text("4 × 4 places")
    expect(console.answer.get_by_role("img", name="rests on")).to_be_visible()
    # A later answer is explained in the same way.
    with page.expect_response("**/console/explain**method=activation"):
        console.draw(((0.2, 0.8), (0.8, 0.8)))
    page.evaluate(LOOKING)
    for measure in ("faint", "faintShapes", "overlapping", "outside", "poorControls"):
        assert (measure, page.evaluate(f"looking.{measure}()")) == (measure, [])
    console.open("#/tiny/1")
    with page.expect_request(is_look):
        console.draw()
    page.get_by_role("button", name="Show why").click()
    expect(console.answer).to_contain_text("there is no other way to explain it")
    expect(choice).to_be_hidden()
