"""What only a machine with an NVIDIA GPU can show of serving, checked and measured there: `make gpu-check`.

Exports a small network, then: models run on CUDA and on nothing else; answers are the CPU's, within the contract's
tolerance; images/s for each batch size, precision and with CUDA graphs, beside PyTorch; how busy the GPU is; whether
the memory limit holds; whether CUDA runs inside Envoy's process. Exits 0 without a GPU, and says that it did nothing;
1 when a check fails. `--device cpu` tries the script itself, on the CPU.
"""

from __future__ import annotations

import argparse
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import torch

from conveyor.v1 import classifier_pb2, model_pb2
from conveyor.v1.classifier_pb2_grpc import ClassifierServiceStub
from conveyor_bench.server_process import conveyor_command, serving
from conveyor_contract.golden import compare, tolerance_for
from conveyor_contract.model_file import ModelFile, read_model_file
from conveyor_server.batch import Rows
from conveyor_server.engines.envoy.able import why_not
from conveyor_server.providers import CPU, PROVIDERS, DeviceOptions, choose_provider, device_count
from conveyor_server.session import Session, SessionOptions

# Exported by name, hence in a file of its own.
NETWORK: Final = Path(__file__).with_name("gpu_network.py")
_NETWORK: Final = runpy.run_path(str(NETWORK))
SIDE, CHANNELS, make = (_NETWORK[name] for name in ("SIDE", "CHANNELS", "make"))
SECONDS_A_FIGURE: Final = 1.0
# Bytes in which no batch of the network fits, and in which all do.
TOO_LITTLE, ENOUGH = 1 << 20, 4 << 30


@dataclass(kw_only=True)
class Verdict:
    """Whether everything so far was as it should be."""

    ok: bool = True

    def note(self, name: str, ok: bool, detail: str) -> None:
        """One line; a check that failed fails the whole."""
        self.ok = self.ok and ok
        write(f"{'ok  ' if ok else 'BAD '} {name}: {detail}")


def write(line: str) -> None:
    """To the standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def export(repository: Path, precision: str) -> Path | None:
    """Exports the network with proof; None, with the reason written, where the exporter refuses."""
    source = f"{NETWORK}:make"
    options = ("--module", source, "--input", f"{CHANNELS}x{SIDE}x{SIDE}", "--precision", precision)
    command = conveyor_command("export", *options, "--to", repository, "--name", precision, "--golden", "synthetic")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=repository)
    if done.returncode != 0:
        write(f"     {precision} is not exported: {' '.join(done.stderr.split())[-300:]}")
        return None
    return repository / precision / "1" / "model.onnx"


def check_answers(file: ModelFile, provider: str, verdict: Verdict) -> None:
    """Each bucket's answers on the provider beside the CPU's."""
    contract = file.verify()
    assert file.golden is not None
    tolerance = tolerance_for(file.golden, provider, contract.precision)
    reference, tried = session_of(file, contract, CPU), session_of(file, contract, provider)
    largest = 0.0
    for size in range(1, contract.batching.max_batch_size + 1):
        rows = rows_of(size)
        difference = compare(tried.run(rows), reference.run(rows), tolerance)
        largest = max(largest, difference.max_absolute)
        if not difference.ok:
            verdict.note(f"answers of {contract.precision}", False, f"{size} rows are off by {largest:.2e}")
            return
    verdict.note(f"answers of {contract.precision}", True, f"within {largest:.2e} of the CPU's at every size")


def session_of(
    file: ModelFile, contract: model_pb2.ModelContract, provider: str, device: DeviceOptions | None = None
) -> Session:
    """A session, warmed at every bucket."""
    options = SessionOptions(provider=provider, intra_op_threads=1, device=device or DeviceOptions())
    session = Session(file.path, contract, options)
    session.warm(list(contract.batching.buckets))
    return session


def rows_of(size: int) -> Rows:
    """Noise, the same for each size."""
    return np.random.default_rng(size).integers(0, 256, (size, SIDE, SIDE, CHANNELS), np.uint8)


def rows_per_second(run: Callable[[Rows], object], size: int) -> float:
    """Of one caller who waits for each batch."""
    rows, done, started = rows_of(size), 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS_A_FIGURE:
        run(rows)
        done += size
    return done / (time.perf_counter() - started)


def torch_run(device: str, precision: str) -> Callable[[Rows], object]:
    """The same in PyTorch: uint8 rows from the host's memory, answers back there."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    kind = torch.float16 if precision == "fp16" else torch.float32
    network = make().to(device, kind)

    def run(rows: Rows) -> object:
        with torch.inference_mode():
            images = torch.from_numpy(rows).to(device).permute(0, 3, 1, 2).to(kind) / 255
            return torch.softmax(network(images).float(), 1).cpu().numpy()

    for size in (1, 2, 4, 8, 16, 32):
        run(rows_of(size))
    return run


def measure(files: dict[str, ModelFile], device: str) -> None:
    """A table of images/s: a line a batch size, a column a way."""
    ways: dict[str, Callable[[Rows], object]] = {}
    buckets: list[int] = []
    for precision, file in files.items():
        contract = file.verify()
        buckets = list(contract.batching.buckets)
        ways[precision] = session_of(file, contract, PROVIDERS[device]).run
        if device == "cuda":
            ways[f"{precision} graphs"] = session_of(file, contract, PROVIDERS[device], DeviceOptions(graphs=True)).run
        ways[f"torch {precision}"] = torch_run(device, precision)
    write("     images/s" + "".join(name.rjust(14) for name in ways))
    for size in buckets:
        with busy_share() as shares:
            figures = [rows_per_second(run, size) for run in ways.values()]
        busy = f"   GPU busy {sum(shares) / len(shares):.0f} %" if shares else ""
        write(f"     batch {size:3d}" + "".join(f"{figure:14,.0f}" for figure in figures) + busy)


@contextmanager
def busy_share() -> Iterator[list[float]]:
    """Collects per cent of the time that the GPU was at work, by nvidia-smi; stays empty without it."""
    shares: list[float] = []
    ended = threading.Event()

    def sample() -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not ended.wait(0.2):
            try:
                answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=5)
                shares.append(float(answer.stdout))
            except (OSError, ValueError, subprocess.SubprocessError):
                return

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield shares
    finally:
        ended.set()
        sampler.join()


def check_memory_limit(file: ModelFile, verdict: Verdict) -> None:
    """Too little memory is an error with a reason, and enough is enough."""
    contract = file.verify()
    session_of(file, contract, PROVIDERS["cuda"], DeviceOptions(memory_limit=ENOUGH)).run(rows_of(32))
    try:
        session_of(file, contract, PROVIDERS["cuda"], DeviceOptions(memory_limit=TOO_LITTLE)).run(rows_of(32))
    except Exception as error:  # ONNX Runtime's errors share no public class
        verdict.note("memory limit", True, f"with {TOO_LITTLE} bytes: {' '.join(str(error).split())[:120]}")
    else:
        verdict.note("memory limit", False, f"a batch of 32 ran within {TOO_LITTLE} bytes")


def check_served(repository: Path, device: str, engine: str, verdict: Verdict) -> None:
    """A real server answers on the device, from the engine's own process."""
    options = ("--engine", engine, "--device", device, "--no-http", *(["--cuda-graphs"] if device == "cuda" else []))
    with serving(repository, *options) as server, grpc.insecure_channel(server.address) as channel:
        stub = ClassifierServiceStub(channel)
        models = stub.ListModels(classifier_pb2.ListModelsRequest(), timeout=60).models
        image = classifier_pb2.Image(
            pixels=classifier_pb2.RawPixels(
                height=SIDE, width=SIDE, colour_mode=model_pb2.COLOUR_MODE_RGB, data=rows_of(1).tobytes()
            )
        )
        request = classifier_pb2.ClassifyRequest(model_name="fp32", images=[image] * 5)
        results = stub.Classify(request, timeout=60).results
    providers = sorted({model.provider for model in models})
    ok = providers == [PROVIDERS[device]] and all(result.HasField("answer") for result in results)
    verdict.note(f"served by {engine}", ok, f"{len(results)} images on {', '.join(providers) or 'nothing'}")


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu tries the script itself")
    device: str = parser.parse_args().device
    if device == "cuda" and not device_count():
        write("skipped: no CUDA device")
        return 0
    verdict = Verdict()
    provider = choose_provider(device)
    verdict.note(
        "provider", provider == PROVIDERS[device], f"{provider}; PyTorch {torch.__version__}, {gpu_in_words()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        paths = {name: export(repository, name) for name in (("fp32", "fp16") if device == "cuda" else ("fp32",))}
        files = {name: read_model_file(path) for name, path in paths.items() if path is not None}
        verdict.note("export", "fp32" in files, ", ".join(files) or "nothing")
        for file in files.values():
            check_answers(file, provider, verdict)
        if files:
            measure(files, device)
        if device == "cuda" and "fp32" in files:
            check_memory_limit(files["fp32"], verdict)
        problem = why_not()
        for engine in ("grpcio", "envoy"):
            if engine == "envoy" and problem is not None:
                write(f"     not served by envoy: {problem}")
            elif files:
                check_served(repository, device, engine, verdict)
    return 0 if verdict.ok else 1


def gpu_in_words() -> str:
    """The GPU's name and its power of computing, as PyTorch knows them."""
    if not torch.cuda.is_available():
        return "which sees no GPU"
    properties: Any = torch.cuda.get_device_properties(0)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, sm_{properties.major}{properties.minor}"


if __name__ == "__main__":
    sys.exit(main())
