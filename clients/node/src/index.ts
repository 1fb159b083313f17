// The Node client of a Conveyor server.
export { Client } from "./client.js";
export type { CallOptions, ClientOptions } from "./client.js";
export { ConveyorError } from "./errors.js";
export type { ErrorKind } from "./errors.js";
export type { Classification, ImageLike, Model, ModelStatus, Pixels, Prediction, Timings } from "./messages.js";
