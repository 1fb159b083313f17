// The service as grpc-js sees it, typed: loaded from the .proto files beside this package.
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { AnswerMessage, ImageMessage, ResultMessage, StatusMessage } from "./messages.js";

export interface ClassifyRequest {
  modelName: string;
  modelVersion: string;
  topK: number;
  images: ImageMessage[];
}

export interface ClassifyResponse extends AnswerMessage {
  results: ResultMessage[];
}

export interface StreamRequest {
  itemId: number;
  image: ImageMessage;
  modelName?: string;
  modelVersion?: string;
  topK?: number;
}

export interface StreamResponse extends AnswerMessage {
  itemId: number;
  result: ResultMessage | null;
}

export interface GetModelResponse {
  status: StatusMessage;
  contract: { labels: string[] } | null;
}

type Unary<Request, Response> = (
  request: Request,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  callback: (error: grpc.ServiceError | null, response?: Response) => void,
) => grpc.ClientUnaryCall;

/** The methods of conveyor.v1.ClassifierService. */
export interface Service extends grpc.Client {
  classify: Unary<ClassifyRequest, ClassifyResponse>;
  classifyStream(
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
  ): grpc.ClientDuplexStream<StreamRequest, StreamResponse>;
  getModel: Unary<{ modelName: string; modelVersion: string }, GetModelResponse>;
  listModels: Unary<{ readyOnly: boolean }, { models: StatusMessage[] }>;
}

const SERVICE = "conveyor.v1.ClassifierService";
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
// The compiled file lies in dist/src.
const PROTOS = fileURLToPath(new URL("../../proto", import.meta.url));

/** Opens a channel. */
export function openService(address: string, credentials: grpc.ChannelCredentials): Service {
  const definition = loadSync("conveyor/v1/classifier.proto", {
    includeDirs: [PROTOS],
    longs: Number,
    enums: String,
    defaults: true,
    arrays: true,
    oneofs: true,
  });
  const Constructor = grpc.makeClientConstructor(definition[SERVICE] as grpc.ServiceDefinition, SERVICE);
  return new Constructor(address, credentials, {
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.primary_user_agent": "conveyor-node/0.1.0",
  }) as unknown as Service;
}
