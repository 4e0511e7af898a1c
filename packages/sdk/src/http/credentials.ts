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
  source?: string | TokenFunction,
  own: Record<string, string> | HeadersFunction = {},
): Credentials {
  /** The newest `Authorization`. */
  let last: string | undefined;
  /** A token that was asked for because of a refusal; those that were refused together take it together. */
  let renewed: Promise<string | undefined> | undefined;

  const set = (token?: string): void => {
    source = token;
    last = bearer(token);
    renewed = undefined;
  };

  return {
    async headers(signal) {
      for (;;) {
        const asked = source;
        const given = renewed;
        const refused = !!given;
        const token = await (given ?? (typeof asked === "function" ? asked({ refused, signal }) : asked));
        // What a function gives that was asked before a token was set is dropped.
        if (asked === source) {
          renewed = renewed === given ? undefined : renewed;
          last = bearer(token);
          const headers = new Headers(typeof own === "function" ? await own({ refused, signal }) : own);
          if (last) {
            headers.set("authorization", last);
          }
          return Object.fromEntries(headers);
        }
      }
    },
    async refresh(refused) {
      if (last && refused.authorization !== last) {
        return true;
      }
      const asked = source;
      if (typeof asked !== "function" && typeof own !== "function") {
        return false;
      }
      // Asked a turn later, a function that throws at once rejects a promise that is already known.
      renewed ??= Promise.resolve({ refused: true }).then(typeof asked === "function" ? asked : () => asked);
      try {
        await renewed;
      } catch (error) {
        renewed = undefined;
        throw error;
      }
      return true;
    },
    set,
    clear: set,
  };
}

function bearer(token: string | undefined): string | undefined {
  return token && `Bearer ${token}`;
}
