import { type Message, MessagePriority, MessageType } from "../../src/types.ts";

export function message(id: string, more: Partial<Message> = {}): Message {
  const type = MessageType.JSON;
  return { id, type, priority: MessagePriority.NORMAL, timestamp: 1, source: "bob", payload: id, ...more };
}

/** A promise and what ends it. */
export interface Gate {
  passed: Promise<void>;
  open(): void;
  break(error: unknown): void;
}

export function gate(): Gate {
  let open = (): void => {};
  let fail = (_: unknown): void => {};
  const passed = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { passed, open, break: fail };
}
