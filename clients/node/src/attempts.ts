// When a call that failed is made again. gRPC's own retryPolicy is not enough: it never retries once response headers
// have come, and a proxy on the way, such as Envoy, sends them by themselves even for a call that was refused.
import { status, type ServiceError } from "@grpc/grpc-js";

/** Waits in milliseconds: the first, how much longer each next one is, and the longest. */
export interface Backoff {
  readonly initial: number;
  readonly multiplier: number;
  readonly maximum: number;
}

export const CALL_BACKOFF: Backoff = { initial: 100, multiplier: 3, maximum: 2000 };
/** A stream may well have one server only, and should outlive its restart. */
export const STREAM_BACKOFF: Backoff = { initial: 100, multiplier: 4, maximum: 5000 };

/** Counts calls that failed one after the other without an answer between them. */
export class Attempts {
  readonly #max: number;
  readonly #backoff: Backoff;
  readonly #deadline: number;
  #failed = 0;

  /** `deadline` in milliseconds of Date.now(). */
  constructor(max: number, backoff: Backoff, deadline = Infinity) {
    this.#max = max;
    this.#backoff = backoff;
    this.#deadline = deadline;
  }

  answered(): void {
    this.#failed = 0;
  }

  /** Waits until the next call may be made; false when there is to be none. */
  async again(error: ServiceError): Promise<boolean> {
    this.#failed += 1;
    const retryable = error.code === status.UNAVAILABLE || error.code === status.RESOURCE_EXHAUSTED;
    if (!retryable || this.#failed >= this.#max || /larger than max|over the limit of/.test(error.details)) return false;
    const { initial, multiplier, maximum } = this.#backoff;
    const backoff = Math.min(maximum, initial * multiplier ** (this.#failed - 1)) * (0.8 + 0.4 * Math.random());
    const [asked] = error.metadata?.get("grpc-retry-pushback-ms") ?? [];
    const wait = asked === undefined ? backoff : Number(asked);
    if (!(wait >= 0) || Date.now() + wait >= this.#deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, wait));
    return true;
  }
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}
