// From gRPC's status codes to one kind of error, whose sentence says what was wrong and where.
import { status, type ServiceError } from "@grpc/grpc-js";

export type ErrorKind =
  | "invalid-image"
  | "model-not-found"
  | "server-unavailable"
  | "overloaded"
  | "deadline-exceeded"
  | "access-denied"
  | "cancelled"
  | "server-error";

const KINDS: Partial<Record<number, ErrorKind>> = {
  [status.INVALID_ARGUMENT]: "invalid-image",
  [status.NOT_FOUND]: "model-not-found",
  [status.UNAVAILABLE]: "server-unavailable",
  [status.RESOURCE_EXHAUSTED]: "overloaded",
  [status.DEADLINE_EXCEEDED]: "deadline-exceeded",
  [status.UNAUTHENTICATED]: "access-denied",
  [status.PERMISSION_DENIED]: "access-denied",
  [status.CANCELLED]: "cancelled",
};

/** Whatever goes wrong with a call, an image or a stream. `code` is gRPC's, `image` a path or "image 3". */
export class ConveyorError extends Error {
  readonly kind: ErrorKind;
  readonly code: number;
  readonly image: string | undefined;

  constructor(code: number, details: string, where: string, image?: string) {
    super(`${where}: ${details.replace(/([^.])\.$/, "$1") || "no reason given"}`);
    this.name = "ConveyorError";
    this.code = code;
    this.kind = KINDS[code] ?? "server-error";
    this.image = image;
  }
}

/** The error of a call to `address`; `image` names the only one that was sent, if any. */
export function callError(error: ServiceError, address: string, image?: string): ConveyorError {
  const aboutImage = error.code === status.INVALID_ARGUMENT && image !== undefined;
  return new ConveyorError(error.code, error.details, aboutImage ? image : `the server at ${address}`, image);
}
