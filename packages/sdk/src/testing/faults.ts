import type { Ending } from "./pipe.ts";

/** An answer that is not the hub's usual one: a problem document, unless `body` says what else. */
export interface Refusal {
  status: number;
  /** By default the code that the hub has for this status. */
  code?: string;
  /** Also as the header `Retry-After`, in seconds. */
  retryAfterMs?: number;
  headers?: Record<string, string>;
  /** As from something between client and hub: a login page, another program. */
  body?: string;
}

/**
 * What goes wrong with a stream: `unreachable` fails at once, `unanswered` never answers, `stalled` answers and then
 * sends nothing, `buffered` is a proxy that keeps the body back until its end, and `cutAfter` breaks it behind so many
 * bytes of its body.
 */
export type StreamFault =
  | Refusal
  | "unreachable"
  | "unanswered"
  | "stalled"
  | "buffered"
  | { cutAfter: number; how?: Ending };

/** What goes wrong with another request: `answer lost` means that the hub did what it was asked for. */
export type RequestFault = Refusal | "unreachable" | "unanswered" | "answer lost";

export interface FaultOptions {
  /** How many in a row; 1 by default. */
  times?: number;
  /** Only requests whose path begins so, as `/api/messages`. */
  path?: string;
}

interface Planned<F> {
  fault: F;
  left: number;
  path: string;
}

/** The faults that wait for their request, used up in the order in which they were planned. */
export class Faults {
  offline = false;
  readonly #streams: Planned<StreamFault>[] = [];
  readonly #requests: Planned<RequestFault>[] = [];

  stream(fault: StreamFault, { times = 1, path = "" }: FaultOptions): void {
    this.#streams.push({ fault, left: times, path });
  }

  request(fault: RequestFault, { times = 1, path = "" }: FaultOptions): void {
    this.#requests.push({ fault, left: times, path });
  }

  ofStream(path: string): StreamFault | undefined {
    return this.offline ? "unreachable" : take(this.#streams, path);
  }

  ofRequest(path: string): RequestFault | undefined {
    return this.offline ? "unreachable" : take(this.#requests, path);
  }
}

function take<F>(planned: Planned<F>[], path: string): F | undefined {
  const first = planned.find((one) => one.left > 0 && path.startsWith(one.path));
  if (first) {
    first.left -= 1;
  }
  return first?.fault;
}
