// The client: one image, many, or a stream of them.
import * as grpc from "@grpc/grpc-js";
import { Attempts, CALL_BACKOFF, STREAM_BACKOFF, isServiceError, type Backoff } from "./attempts.js";
import { ConveyorError, callError } from "./errors.js";
import { failed, modelStatus, outcome, prepare } from "./messages.js";
import type { Classification, ImageLike, ImageMessage, Model, ModelStatus, Prepared, StatusMessage } from "./messages.js";
import { openService } from "./service.js";
import type { ClassifyResponse, GetModelResponse, Service } from "./service.js";
import { classifyStream } from "./stream.js";

export interface ClientOptions {
  /** TLS, as from grpc-js's credentials.createSsl(); without it none. */
  readonly credentials?: grpc.ChannelCredentials;
  /** Sent as "authorization: Bearer ..."; a function is asked again for each call. Use it with TLS. */
  readonly token?: string | (() => string);
  /** Milliseconds that a call may take, its retries included. Default: 30,000. */
  readonly timeoutMs?: number;
  /** How often a call is tried while the server is unreachable or full, 1 to 5. Default: 5. */
  readonly maxAttempts?: number;
}

export interface CallOptions {
  readonly model: string;
  /** Default: the version that the server chooses. */
  readonly version?: string;
  /** Labels per image. Default: 1. */
  readonly topK?: number;
  /** Milliseconds; of a stream, for the whole of it (default there: no limit). */
  readonly timeoutMs?: number;
  /** W3C trace context to pass on. */
  readonly traceparent?: string;
}

type Start<Response> = (
  done: (error: grpc.ServiceError | null, response?: Response) => void,
  deadline: number,
) => grpc.ClientUnaryCall;

const IMAGES_PER_CALL = 32;
const BYTES_PER_CALL = 3 * 1024 * 1024;
const CALLS_UNDER_WAY = 4;

/** A connection to a Conveyor server, opened at the first call. Every failure is a ConveyorError. */
export class Client {
  readonly #address: string;
  readonly #options: ClientOptions;
  readonly #service: Service;

  constructor(address = "localhost:8001", options: ClientOptions = {}) {
    this.#address = address;
    this.#options = options;
    const credentials = options.credentials ?? grpc.credentials.createInsecure();
    this.#service = openService(address, credentials);
  }

  /** Closes the connection. */
  close(): void {
    this.#service.close();
  }

  /** Classifies one image. */
  async classify(image: ImageLike, options: CallOptions): Promise<Classification> {
    const [answer] = await this.#call([await prepare(image, 0)], options);
    if (answer!.error) throw answer!.error;
    return answer!;
  }

  /**
   * Classifies images, several a call and several calls at a time; outcomes in the images' order. An image that
   * cannot be used has its `error` set; a call that fails throws.
   */
  async classifyMany(images: Iterable<ImageLike>, options: CallOptions): Promise<Classification[]> {
    const groups = grouped(images);
    const answers: Classification[] = [];
    const work = async (): Promise<void> => {
      for await (const group of groups) {
        for (const answer of await this.#call(group, options)) answers[answer.index] = answer;
      }
    };
    await Promise.all(Array.from({ length: CALLS_UNDER_WAY }, work));
    return answers;
  }

  /**
   * Classifies images as the iterable, of either kind, gives them; outcomes in their order. Images are taken no faster
   * than answers are read. A stream that breaks is begun again with what was not answered.
   */
  stream(images: Iterable<ImageLike> | AsyncIterable<ImageLike>, options: CallOptions): AsyncGenerator<Classification> {
    const deadline = options.timeoutMs === undefined ? undefined : Date.now() + options.timeoutMs;
    const open = () => this.#service.classifyStream(this.#metadata(options), deadline === undefined ? {} : { deadline });
    return classifyStream(images, options, open, this.#address, this.#attempts(STREAM_BACKOFF, deadline));
  }

  /** The model's labels and state. */
  async model(name: string, version = ""): Promise<Model> {
    const request = { modelName: name, modelVersion: version };
    const response = await this.#unary<GetModelResponse>((done, deadline) =>
      this.#service.getModel(request, this.#metadata(), { deadline }, done),
    );
    return { status: modelStatus(response.status), labels: response.contract?.labels ?? [] };
  }

  /** Every model and version that the server's repository holds. */
  async models(): Promise<ModelStatus[]> {
    const response = await this.#unary<{ models: StatusMessage[] }>((done, deadline) =>
      this.#service.listModels({ readyOnly: false }, this.#metadata(), { deadline }, done),
    );
    return response.models.map(modelStatus);
  }

  async #call(group: Prepared[], options: CallOptions): Promise<Classification[]> {
    const sent = group.filter((item) => item.message);
    const answers = new Map(group.filter((item) => item.error).map((item) => [item.index, failed(item, item.error!)]));
    if (sent.length > 0) {
      for (const answer of await this.#send(sent, options)) answers.set(answer.index, answer);
    }
    return group.map((item) => answers.get(item.index)!);
  }

  async #send(sent: Prepared[], options: CallOptions): Promise<Classification[]> {
    const images = sent.map((item) => item.message as ImageMessage);
    const request = { modelName: options.model, modelVersion: options.version ?? "", topK: options.topK ?? 1, images };
    const only = sent.length === 1 ? sent[0]! : undefined;
    try {
      const response = await this.#unary<ClassifyResponse>(
        (done, deadline) => this.#service.classify(request, this.#metadata(options), { deadline }, done),
        options.timeoutMs,
        only?.name,
      );
      return sent.map((item, place) => outcome(item, response.results[place] ?? null, response));
    } catch (error) {
      if (only && error instanceof ConveyorError && error.kind === "invalid-image") return [failed(only, error)];
      throw error;
    }
  }

  /** One call, made again while the server is unreachable, stopping or full. */
  async #unary<Response>(start: Start<Response>, timeoutMs?: number, image?: string): Promise<Response> {
    const deadline = Date.now() + (timeoutMs ?? this.#options.timeoutMs ?? 30_000);
    const attempts = this.#attempts(CALL_BACKOFF, deadline);
    for (;;) {
      try {
        return await new Promise<Response>((resolve, reject) => {
          start((error, response) => (error ? reject(error) : resolve(response!)), deadline);
        });
      } catch (error) {
        if (!isServiceError(error)) throw error;
        if (!(await attempts.again(error))) throw callError(error, this.#address, image);
      }
    }
  }

  #attempts(backoff: Backoff, deadline?: number): Attempts {
    return new Attempts(this.#options.maxAttempts ?? 5, backoff, deadline);
  }

  #metadata(options?: CallOptions): grpc.Metadata {
    const metadata = new grpc.Metadata();
    const { token } = this.#options;
    if (token !== undefined) metadata.set("authorization", `Bearer ${typeof token === "function" ? token() : token}`);
    if (options?.traceparent) metadata.set("traceparent", options.traceparent);
    return metadata;
  }
}

/** Images in groups that each make one call; read one by one, by whoever asks next. */
async function* grouped(images: Iterable<ImageLike>): AsyncGenerator<Prepared[]> {
  let group: Prepared[] = [];
  let [size, index] = [0, 0];
  for (const image of images) {
    const item = await prepare(image, index++);
    const bytes = item.message?.encoded?.length ?? item.message?.pixels?.data.length ?? 0;
    if (group.length === IMAGES_PER_CALL || (group.length > 0 && size + bytes > BYTES_PER_CALL)) {
      yield group;
      [group, size] = [[], 0];
    }
    group.push(item);
    size += bytes;
  }
  if (group.length > 0) yield group;
}
