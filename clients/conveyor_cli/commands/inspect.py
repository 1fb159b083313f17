"""`conveyor inspect`: what a model file says of itself."""

import json
import sys

from conveyor_exporter.presentation import file_lines
from conveyor_exporter.settings import InspectSettings

SUMMARY = "show the contract inside a model file"
EXAMPLE = "conveyor inspect models/digits/1/model.onnx"
Settings = InspectSettings


def run(settings: InspectSettings) -> None:
    """Prints the contract for a person, or all of it as JSON."""
    from conveyor_contract.contract import canonical_json
    from conveyor_contract.model_file import read_model_file

    file = read_model_file(settings.model)
    if settings.json_:
        shown = {
            "path": str(file.path),
            "file_bytes": file.size,
            "file_digest": file.file_digest,
            "model_digest": file.model_digest,
            "opset": file.opset,
            "ir_version": file.ir_version,
            "contract": json.loads(canonical_json(file.contract)) if file.contract is not None else None,
            "golden_samples": len(file.golden.samples) if file.golden is not None else 0,
        }
        sys.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
        return
    sys.stdout.write("\n".join(file_lines(file)) + "\n")
    # REPOSITORY/NAME/VERSION/model.onnx: what the server is given.
    repository = file.path.absolute().parents[2]
    following = f"check {file.path}" if file.contract is None else f"serve {repository}"
    sys.stdout.write(f"\nnext: conveyor {following}\n")
