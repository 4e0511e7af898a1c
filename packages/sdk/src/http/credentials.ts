import type { HeadersFunction, TokenFunction } from "../config.ts";

/** The headers of every request, streams included; the one owner of the token. */
export interface Credentials {
  /** `Authorization` and the application's own headers. Functions are called anew each time. */
  headers(signal?: AbortSignal): Promise<Record<string, string>>;
  /**
   * Called after a 401 with the headers of the refused request.
   *
   * One refresh serves all callers, and none is made when the token has changed since that request. Resolves to whether
   * another attempt can do better: `false` when the token is fixed text that was refused. Rejects as the function did.
   */
  refresh(refused: Record<string, string>): Promise<boolean>;
  set(token: string): void;
  clear(): void;
}

export function createCredentials(
  authToken?: string | TokenFunction,
  own: Record<string, string> | HeadersFunction = {},
): Credentials {
  let source = authToken;
  // Raised by `set` and `clear`: what a function gives that was asked before is dropped.
  let generation = 0;
  let last: string | undefined;
  let refreshing: Promise<boolean> | undefined;
  // Each caller of a refresh takes its token once; whoever comes later asks the function again.
  let callers = 0;
  let fresh: { token: string; left: number } | undefined;
  let headersRefused = false;

  const token = async (signal?: AbortSignal): Promise<string | undefined> => {
    for (;;) {
      const asked = generation;
      let given: string | undefined;
      if (fresh) {
        given = fresh.token;
        if (--fresh.left === 0) {
          fresh = undefined;
        }
      } else {
        given = typeof source === "function" ? await source({ refused: false, signal }) : source;
      }
      if (asked === generation) {
        last = given;
        return given;
      }
    }
  };

  const renew = async (ask: TokenFunction): Promise<boolean> => {
    const asked = generation;
    try {
      // Asked a turn later, a function that throws at once rejects a flight that is already known.
      const given = await Promise.resolve({ refused: true }).then(ask);
      if (asked === generation) {
        last = given;
        fresh = { token: given, left: callers };
      }
      return true;
    } finally {
      refreshing = undefined;
      callers = 0;
    }
  };

  const replace = (next: string | undefined): void => {
    generation++;
    source = next;
    last = next;
    fresh = undefined;
  };

  return {
    async headers(signal) {
      const given = await token(signal);
      const refused = headersRefused;
      headersRefused = false;
      const headers = new Headers(typeof own === "function" ? await own({ refused, signal }) : own);
      if (given) {
        headers.set("authorization", `Bearer ${given}`);
      }
      return Object.fromEntries(headers);
    },
    async refresh(refused) {
      if (last && refused.authorization !== `Bearer ${last}`) {
        return true;
      }
      headersRefused = typeof own === "function";
      if (typeof source !== "function") {
        return headersRefused;
      }
      callers++;
      refreshing ??= renew(source);
      return refreshing;
    },
    set: replace,
    clear: () => replace(undefined),
  };
}
