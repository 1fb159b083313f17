// What a caller gives and gets, and how it is written in messages.
import { readFile } from "node:fs/promises";
import { status } from "@grpc/grpc-js";
import { ConveyorError } from "./errors.js";

/** Undecoded pixels: one byte a channel, row by row, without padding. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** A path, the bytes of an image file, or pixels. */
export type ImageLike = string | URL | Uint8Array | Pixels;

export interface Prediction {
  readonly label: string;
  readonly index: number;
  /** 0 to 1. */
  readonly probability: number;
}

/** Where the server's time went, in microseconds; batchSize in rows. */
export interface Timings {
  readonly preprocessUs: number;
  readonly queueUs: number;
  readonly computeUs: number;
  readonly batchSize: number;
}

/** The answer for one image, or why there is none: `error`. Predictions come most probable first. */
export interface Classification {
  /** The image's path, or "image 3". */
  readonly image: string;
  /** Its position among the images given, from 0. */
  readonly index: number;
  /** The most probable label; "" for an image with an error, and for a regression model. */
  readonly label: string;
  readonly predictions: readonly Prediction[];
  /** A regression model's answer. */
  readonly values: readonly number[];
  readonly error?: ConveyorError;
  readonly modelName: string;
  readonly modelVersion: string;
  readonly timings: Timings;
}

export interface ModelStatus {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly reason: string;
}

export interface Model {
  readonly status: ModelStatus;
  readonly labels: readonly string[];
}

/** As proto-loader gives them: camel case, 64-bit integers as numbers, everything present. */
export interface ImageMessage {
  encoded?: Uint8Array;
  pixels?: { height: number; width: number; colourMode: string; data: Uint8Array };
}

export interface ResultMessage {
  outcome?: "answer" | "error";
  answer?: { predictions: Prediction[]; values: number[] };
  error?: { code: number; message: string };
}

export interface AnswerMessage {
  modelName: string;
  modelVersion: string;
  timings: Timings | null;
}

export interface StatusMessage {
  modelName: string;
  modelVersion: string;
  state: string;
  reason: string;
}

/** An image that is ready to be sent, or the reason why it is not. */
export interface Prepared {
  readonly index: number;
  readonly name: string;
  readonly message?: ImageMessage;
  readonly error?: ConveyorError;
}

const NO_TIMINGS: Timings = { preprocessUs: 0, queueUs: 0, computeUs: 0, batchSize: 0 };

/** Reads one image; an image that cannot be used has its error, and nothing is thrown. */
export async function prepare(image: ImageLike, index: number): Promise<Prepared> {
  const isPath = typeof image === "string" || image instanceof URL;
  const name = isPath ? String(image) : `image ${index + 1}`;
  try {
    const message = await imageMessage(image);
    return { index, name, message };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return { index, name, error: new ConveyorError(status.INVALID_ARGUMENT, said, name, name) };
  }
}

async function imageMessage(image: ImageLike): Promise<ImageMessage> {
  if (typeof image === "string" || image instanceof URL) {
    image = await readFile(image);
  }
  if (image instanceof Uint8Array) {
    if (image.length === 0) throw new Error("the image is empty");
    return { encoded: image };
  }
  const { height, width, channels, data } = image;
  if (data.length !== height * width * channels) {
    throw new Error(`${data.length} bytes are no ${height} x ${width} x ${channels} pixels`);
  }
  const colourMode = channels === 1 ? "COLOUR_MODE_GRAYSCALE" : "COLOUR_MODE_RGB";
  return { pixels: { height, width, colourMode, data } };
}

/** The outcome of an image that has no answer. */
export function failed(item: Prepared, error: ConveyorError): Classification {
  const unknown = { label: "", predictions: [], values: [], modelName: "", modelVersion: "", timings: NO_TIMINGS };
  return { image: item.name, index: item.index, error, ...unknown };
}

/** The outcome that a result and the answer around it hold. */
export function outcome(item: Prepared, result: ResultMessage | null, answer: AnswerMessage): Classification {
  if (!result?.answer) {
    const { code, message } = result?.error ?? { code: status.UNKNOWN, message: "the server gave no answer" };
    return failed(item, new ConveyorError(code, message, item.name, item.name));
  }
  const { predictions, values } = result.answer;
  return {
    image: item.name,
    index: item.index,
    label: predictions[0]?.label ?? "",
    predictions,
    values,
    modelName: answer.modelName,
    modelVersion: answer.modelVersion,
    timings: answer.timings ?? NO_TIMINGS,
  };
}

export function modelStatus(message: StatusMessage): ModelStatus {
  const { modelName, modelVersion, reason } = message;
  return { modelName, modelVersion, reason, ready: message.state === "MODEL_STATE_READY" };
}
