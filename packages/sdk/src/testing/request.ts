import { checkName } from "./accept.ts";
import { Refused } from "./problem.ts";
import type { HubState } from "./state.ts";

/** A request as the hub has seen it. */
export interface TestRequest {
  method: string;
  /** Decoded, without the query. */
  path: string;
  query: Record<string, string>;
  /** The names in lower case. */
  headers: Record<string, string>;
  /** Parsed where it is JSON, else the text; nothing where there was none. */
  body?: unknown;
  /** Milliseconds since 1970 by the hub's clock. */
  at: number;
  /** Of the answer; 0 until there is one. */
  status: number;
}

type FetchInput = Parameters<typeof globalThis.fetch>[0];

/** Reads what was given to `fetch`. `Request` itself is not used: it would leave listeners on the caller's signal. */
export async function readRequest(
  input: FetchInput,
  init: RequestInit | undefined,
  at: number,
): Promise<TestRequest> {
  const from = typeof input === "string" || input instanceof URL ? undefined : input;
  const url = new URL(from?.url ?? String(input));
  const headers = Object.fromEntries(new Headers(init?.headers ?? from?.headers));
  const text = init?.body === undefined ? ((await from?.text()) ?? "") : await bodyText(init.body);
  return {
    method: (init?.method ?? from?.method ?? "GET").toUpperCase(),
    path: url.pathname.split("/").map(decodeURIComponent).join("/"),
    query: readQuery(url.search),
    headers,
    ...(text === "" ? {} : { body: parse(text) }),
    at,
    status: 0,
  };
}

/** The client that a request acts for: that of its token, or in open mode what it says. */
export function actorOf(state: HubState, request: TestRequest): { actor?: string; token?: string } {
  if (state.tokens.size === 0) {
    return {};
  }
  const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? request.query.token;
  if (token === undefined) {
    throw new Refused("missing_token", "this route needs credentials");
  }
  const known = state.tokens.get(token);
  if (!known) {
    throw new Refused("invalid_token", "the token is not valid");
  }
  if (known.expiresAt <= state.clock.now()) {
    throw new Refused("token_expired", "the token has expired");
  }
  return { actor: known.clientId, token };
}

/** The acting client of calls other than publishing: the token's, else `clientId` in query or body. */
export function clientOf(state: HubState, request: TestRequest): string {
  const { actor } = actorOf(state, request);
  const said = (request.body as { clientId?: unknown } | undefined)?.clientId ?? request.query.clientId;
  if (said !== undefined && said !== null) {
    checkName(said, "clientId", true);
    if (actor !== undefined && said !== actor) {
      throw new Refused("forbidden", "is not the client of the token", { field: "clientId" });
    }
  }
  return actor ?? (said as string | undefined) ?? "anonymous";
}

/** `+` stays `+`; what is given several times is joined by commas, and what is empty counts as absent. */
function readQuery(search: string): Record<string, string> {
  const query: Record<string, string> = {};
  for (const part of search.replace(/^\?/, "").split("&").filter(Boolean)) {
    const [name = "", value = ""] = part.split(/=(.*)/s).map(decodeURIComponent);
    if (value !== "") {
      query[name] = query[name] === undefined ? value : `${query[name]},${value}`;
    }
  }
  return query;
}

async function bodyText(body: BodyInit | null): Promise<string> {
  return typeof body === "string" ? body : new Response(body).text();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
