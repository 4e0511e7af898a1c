import * as calls from "./calls.ts";
import * as commands from "./commands.ts";
import type { Faults, Refusal, StreamFault } from "./faults.ts";
import { openStream } from "./open.ts";
import { codeOf, problem, Refused } from "./problem.ts";
import { readRequest, type TestRequest } from "./request.ts";
import type { HubState } from "./state.ts";

export type { TestRequest } from "./request.ts";

type Headers = Record<string, string>;

const STREAM_HEADERS: Headers = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** What `fetch` does for a request to the hub, with the faults that wait for it. */
export async function answer(
  state: HubState,
  faults: Faults,
  input: Parameters<typeof globalThis.fetch>[0],
  init: RequestInit | undefined,
): Promise<Response> {
  const signal = init?.signal ?? undefined;
  signal?.throwIfAborted();
  const request = await readRequest(input, init, state.clock.now());
  state.record(request);
  const streams = request.path === "/sse";
  const fault = streams ? faults.ofStream(request.path) : faults.ofRequest(request.path);
  if (fault === "unreachable") {
    throw new TypeError("fetch failed");
  }
  if (fault === "unanswered") {
    return never(signal);
  }
  const response = refusalOf(fault)
    ? refuse(state, refusalOf(fault) as Refusal)
    : respond(state, request, fault as StreamFault | undefined, signal);
  signal?.throwIfAborted();
  if (fault === "answer lost") {
    throw new TypeError("fetch failed");
  }
  request.status = response.status;
  return response;
}

function refusalOf(fault: unknown): Refusal | undefined {
  return typeof fault === "object" && fault !== null && "status" in fault ? (fault as Refusal) : undefined;
}

function respond(
  state: HubState,
  request: TestRequest,
  fault: StreamFault | undefined,
  signal: AbortSignal | undefined,
): Response {
  try {
    if (request.path === "/sse") {
      return stream(state, request, fault, signal);
    }
    const { status, body } = route(state, request);
    return json(state, status, body, "application/json");
  } catch (thrown) {
    if (!(thrown instanceof Refused)) {
      throw thrown;
    }
    const { problem } = thrown;
    const challenge: Headers = problem.status === 401 ? { "www-authenticate": 'Bearer realm="tidings"' } : {};
    return json(state, problem.status, problem, "application/problem+json", challenge);
  }
}

/** The parts of a path behind `/api/`: the first names the route, the others are its own. */
function route(state: HubState, request: TestRequest): { status: number; body: unknown } {
  const { method, path } = request;
  const ok = (body: unknown): { status: number; body: unknown } => ({ status: 200, body });
  if (path === "/health" || path === "/ready") {
    return ok({ status: path === "/health" ? "ok" : "ready", version: "test" });
  }
  const [, api, name, id = "", part, ...levels] = path.split("/");
  const rest = [id, part, ...levels].filter((level) => level !== undefined).join("/");
  switch (api === "api" ? `${method} ${name}` : "") {
    case "POST messages":
      return ok(calls.postMessages(state, request));
    case "GET messages":
      return ok(rest ? calls.getMessage(state, request, rest) : calls.getMessages(state, request));
    case "POST topics":
      return ok(calls.postTopic(state, request, rest));
    case "POST direct":
      return ok(calls.postDirect(state, request, rest));
    case "POST broadcast":
      return ok(calls.postBroadcast(state, request));
    case "POST acks":
      return ok(calls.postAcks(state, request));
    case "POST commands":
      return commands.postCommands(state, request);
    case "GET tasks":
      return ok(id ? commands.getTask(state, request, id) : commands.getTasks(state, request));
    case "POST tasks":
      return ok(commands.postTask(state, request, id, part ?? ""));
    case "GET connections":
      return ok(calls.getConnections(state, request));
    case "PUT connections":
      return ok({ cursor: calls.connectionOf(state, request, id).add(levels.join("/")) });
    case "DELETE connections": {
      const connection = calls.connectionOf(state, request, id);
      if (part !== undefined) {
        return ok({ cursor: connection.remove(levels.join("/")) });
      }
      connection.disconnect("kicked");
      return ok({ success: true });
    }
    default:
      throw new Refused("not_found", "nothing is at this path");
  }
}

function stream(
  state: HubState,
  request: TestRequest,
  fault: StreamFault | undefined,
  signal: AbortSignal | undefined,
): Response {
  const opened = openStream(state, request);
  if (!opened) {
    return new Response(null, { status: 204, headers: dated(state) });
  }
  const { pipe } = opened;
  const abort = (): void => pipe.abort(signal?.reason);
  signal?.addEventListener("abort", abort);
  pipe.finished.then(() => signal?.removeEventListener("abort", abort));
  if (fault === "stalled") {
    pipe.stall();
  } else if (fault === "buffered") {
    pipe.hold();
  } else if (typeof fault === "object" && "cutAfter" in fault) {
    pipe.cutAfter(fault.cutAfter, fault.how ?? "reset");
  }
  opened.begin();
  state.opened(opened);
  return new Response(pipe.readable, { status: 200, headers: dated(state, STREAM_HEADERS) });
}

function refuse(state: HubState, refusal: Refusal): Response {
  const { status, retryAfterMs, headers = {}, body } = refusal;
  const code = refusal.code ?? codeOf(status);
  const wait: Headers =
    retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
  if (status === 204) {
    return new Response(null, { status, headers: dated(state, headers) });
  }
  if (body !== undefined) {
    const named = { "content-type": "text/html", ...wait, ...headers };
    return new Response(body, { status, headers: dated(state, named) });
  }
  const document = problem(code, "as the test has it", { status, retryAfterMs });
  return json(state, status, document, "application/problem+json", { ...wait, ...headers });
}

function json(state: HubState, status: number, body: unknown, type: string, headers: Headers = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: dated(state, { "content-type": type, ...headers }),
  });
}

function dated(state: HubState, headers: Headers = {}): Headers {
  return { date: new Date(state.clock.now()).toUTCString(), ...headers };
}

/** No answer comes; only the caller's own signal ends the wait. */
function never(signal: AbortSignal | undefined): Promise<Response> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
