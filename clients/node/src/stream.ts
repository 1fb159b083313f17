// A stream of images: bounded, in order, and begun again with what was not answered when it breaks.
import { status, type ClientDuplexStream } from "@grpc/grpc-js";
import { isServiceError, type Attempts } from "./attempts.js";
import type { CallOptions } from "./client.js";
import { ConveyorError, callError } from "./errors.js";
import { failed, outcome, prepare } from "./messages.js";
import type { Classification, ImageLike, Prepared } from "./messages.js";
import type { StreamRequest, StreamResponse } from "./service.js";

type Call = ClientDuplexStream<StreamRequest, StreamResponse>;
type Images = Iterable<ImageLike> | AsyncIterable<ImageLike>;

/** Images that are sent and not yet given to the reader. */
const WINDOW = 64;

/** Yields one outcome for each image, in their order. Throws what the images' iterator threw, or the call's failure. */
export async function* classifyStream(
  images: Images,
  options: CallOptions,
  open: () => Call,
  address: string,
  attempts: Attempts,
): AsyncGenerator<Classification> {
  const sender = new Sender(images, options);
  void sender.run();
  try {
    for (;;) {
      const call = open();
      try {
        sender.attach(call);
        for await (const response of call as AsyncIterable<StreamResponse>) {
          attempts.answered();
          yield* sender.answered(response);
        }
        break;
      } catch (error) {
        if (!isServiceError(error)) throw error;
        if (sender.finished) break;
        if (!(await attempts.again(error))) throw sender.unanswered(callError(error, address));
      } finally {
        sender.detach(call);
        call.cancel();
      }
    }
  } finally {
    sender.stop();
  }
  yield* sender.ready();
  if (!sender.finished) {
    throw sender.unanswered(new ConveyorError(status.UNKNOWN, "the stream ended early", `the server at ${address}`));
  }
}

/** Takes images, sends them through the call of the moment, and holds each until it is answered. */
class Sender {
  readonly #images: Images;
  readonly #options: CallOptions;
  readonly #unanswered = new Map<number, Prepared>();
  readonly #outcomes = new Map<number, Classification>();
  readonly #underWay = new Set<number>(); // sent, and not yet given to the reader
  #call: Call | undefined;
  #first = true;
  #next = 0; // the position whose outcome the reader gets next
  #taken = 0;
  #allTaken = false;
  #stopped = false;
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(images: Images, options: CallOptions) {
    this.#images = images;
    this.#options = options;
  }

  /** Whether every image has been taken and answered. */
  get finished(): boolean {
    return this.#allTaken && this.#unanswered.size === 0;
  }

  /** Takes the images until they end; never throws, so that nobody need wait for it at once. */
  async run(): Promise<void> {
    try {
      for await (const image of this.#images) {
        await this.#place();
        if (this.#stopped) return;
        const item = await prepare(image, this.#taken++);
        if (item.error) this.#outcomes.set(item.index, failed(item, item.error));
        else this.#send(item);
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#allTaken = true;
    this.#call?.end();
  }

  /** From now on this call carries the images, first of all those that another left unanswered. */
  attach(call: Call): void {
    this.#call = call;
    this.#first = true;
    for (const item of this.#unanswered.values()) this.#write(item);
    if (this.#allTaken) call.end();
  }

  detach(call: Call): void {
    if (this.#call === call) this.#call = undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Takes an answer, and gives the outcomes whose turn it is. */
  *answered(response: StreamResponse): Generator<Classification> {
    const item = this.#unanswered.get(response.itemId);
    if (!item) throw new ConveyorError(status.UNKNOWN, "was not under way", `item ${response.itemId}`);
    this.#unanswered.delete(response.itemId);
    this.#outcomes.set(item.index, outcome(item, response.result, response));
    yield* this.ready();
  }

  /** The outcomes whose turn it is. Throws what the images' iterator threw, after those before it. */
  *ready(): Generator<Classification> {
    for (let found; (found = this.#outcomes.get(this.#next)); ) {
      this.#outcomes.delete(this.#next++);
      yield found;
      if (this.#underWay.delete(found.index)) this.#wake();
    }
    if (this.#failure !== undefined && this.#unanswered.size === 0) throw this.#failure;
  }

  /** The error, with the images that have no answer because of it. */
  unanswered(error: ConveyorError): ConveyorError {
    const names = [...this.#unanswered.values()].map((item) => item.name);
    if (names.length === 0) return error;
    const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? ", ..." : "");
    const details = `${names.length} of the images sent were not answered: ${shown}`;
    return new ConveyorError(error.code, details, error.message);
  }

  async #place(): Promise<void> {
    while (!this.#stopped && this.#underWay.size >= WINDOW) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #send(item: Prepared): void {
    this.#unanswered.set(item.index, item);
    this.#underWay.add(item.index);
    if (this.#call) this.#write(item);
  }

  #write(item: Prepared): void {
    const { model, version = "", topK = 1 } = this.#options;
    const asked = this.#first ? { modelName: model, modelVersion: version, topK } : {};
    this.#first = false;
    this.#call!.write({ itemId: item.index, image: item.message!, ...asked });
  }
}
