import { ERRORS, type ErrorCode, type Problem } from "../wire/errors.ts";

/** Codes of routes that the hub's first version does not have yet. */
const LATER: { readonly [code: string]: readonly [status: number, title: string] } = {
  idempotency_conflict: [422, "Idempotency key already used for another command"],
  task_ended: [409, "Task has ended"],
};

/** A refusal on its way to the answer. */
export class Refused extends Error {
  readonly problem: Problem;

  constructor(code: string, detail: string, extra: { field?: string; retryAfterMs?: number } = {}) {
    const text = extra.field === undefined ? detail : `\`${extra.field}\` ${detail}`;
    super(text);
    this.problem = problem(code, text, extra);
  }
}

/** A problem document as the hub writes it. Another `status` than the code's own is for scripted refusals. */
export function problem(
  code: string,
  detail: string,
  extra: { field?: string; retryAfterMs?: number; status?: number } = {},
): Problem {
  const [usual, title] = ERRORS[code as ErrorCode] ?? LATER[code] ?? [500, code];
  const { field, retryAfterMs, status = usual } = extra;
  return {
    type: `urn:tidings:error:${code}`,
    title,
    status,
    detail,
    code: code as ErrorCode,
    error: detail,
    ...(field === undefined ? {} : { field }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The code that the hub uses for a status, where there is one. */
export function codeOf(status: number): string {
  const usual: { readonly [status: number]: ErrorCode } = {
    400: "invalid_field",
    401: "invalid_token",
    403: "forbidden",
    404: "not_found",
    503: "overloaded",
  };
  const first = Object.entries(ERRORS).find(([, [ofCode]]) => ofCode === status);
  return usual[status] ?? first?.[0] ?? "internal";
}
