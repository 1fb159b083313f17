// Puts the repository's .proto files beside the package, which reads them when it is loaded.
import { cpSync } from "node:fs";

const source = new URL("../../proto/conveyor", import.meta.url);
cpSync(source, new URL("proto/conveyor", import.meta.url), {
  recursive: true,
  filter: (path) => !/\.pyi?$|__pycache__|py\.typed$/.test(path),
});
