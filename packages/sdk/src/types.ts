import type { GapDetail, ReceiptPayload, SystemEvent } from "./wire/events.ts";
import type { Message as WireMessage } from "./wire/message.ts";

export type { ConnectDetail } from "./wire/events.ts";

export enum MessageType {
  TEXT = "text",
  JSON = "json",
  SYSTEM = "system",
  COMMAND = "command",
  HEARTBEAT = "heartbeat",
  ACKNOWLEDGE = "ack",
  ERROR = "error",
  PROGRESS = "progress",
}

export enum MessagePriority {
  LOW = 0,
  NORMAL = 1,
  HIGH = 2,
  CRITICAL = 3,
}

export enum CommandAction {
  EXECUTE = "execute",
  CANCEL = "cancel",
  PAUSE = "pause",
  RESUME = "resume",
  QUERY = "query",
  SYNC = "sync",
}

export enum ConnectionState {
  DISCONNECTED = "disconnected",
  CONNECTING = "connecting",
  CONNECTED = "connected",
  RECONNECTING = "reconnecting",
  ERROR = "error",
}

/**
 * A message as the hub passes it on. Its identity is the pair (`source`, `id`); with neither `target` nor `topic` it is
 * for everyone.
 */
// biome-ignore lint/suspicious/noExplicitAny: a payload is any JSON, and code without a type for it has to compile.
export interface Message<P = any> extends Omit<WireMessage, "type" | "priority" | "payload" | "metadata"> {
  type: MessageType;
  priority: MessagePriority;
  payload: P;
  // biome-ignore lint/suspicious/noExplicitAny: metadata is carried untouched.
  metadata?: Record<string, any>;
}

export interface CommandMessage extends Message {
  type: MessageType.COMMAND;
  payload: {
    commandId: string;
    action: CommandAction;
    /** The handler that runs it; `"default"` when it is missing. */
    name?: string;
    taskId?: string;
    // biome-ignore lint/suspicious/noExplicitAny: parameters are any JSON.
    params?: Record<string, any>;
    timeout?: number;
    requireAck?: boolean;
    idempotencyKey?: string;
    delay?: number;
    maxAttempts?: number;
  };
}

export interface ProgressMessage extends Message {
  type: MessageType.PROGRESS;
  payload: {
    taskId: string;
    /** From 0 to 100. */
    progress: number;
    description?: string;
    estimatedTimeRemaining?: number;
  };
}

export interface SystemMessage extends Message {
  type: MessageType.SYSTEM;
  payload: {
    event: SystemEvent;
    // biome-ignore lint/suspicious/noExplicitAny: each event has its own detail.
    detail?: any;
    recommendedAction?: string;
  };
}

/** What became of a message that asked for an ack. */
export interface ReceiptMessage extends Message<ReceiptPayload> {
  type: MessageType.ACKNOWLEDGE;
}

/** Messages that will not come: those behind `from`, up to `to`. */
export type Gap = GapDetail;

// biome-ignore lint/suspicious/noExplicitAny: as for `Message`.
export type MessageHandler<P = any> = (message: Message<P>) => void | Promise<void>;

export type EventHandlerMap = {
  [K in MessageType]?: MessageHandler;
} & {
  onConnect?: () => void;
  onDisconnect?: (reason: string) => void;
  onError?: (error: Error) => void;
  onReconnecting?: (attempt: number, maxAttempts: number) => void;
  onStateChange?: (state: ConnectionState, prevState: ConnectionState) => void;
};

export interface SubscribeOptions {
  /** Replaces the subscription that has it. */
  id?: string;
  /** Higher ones run first; 0 by default. */
  priority?: number;
  once?: boolean;
  /** Ends the subscription when it aborts. */
  signal?: AbortSignal;
}

/** For every call that waits: it rejects with the signal's reason, or with `timeout` after that many milliseconds. */
export interface CallOptions {
  signal?: AbortSignal;
  timeout?: number;
}

/** What became of one message that was sent. */
export interface MessageCallback {
  onSuccess?: (message: Message) => void;
  onError?: (error: Error, message: Message) => void;
  onTimeout?: (message: Message) => void;
}

export interface SendOptions extends CallOptions {
  priority?: MessagePriority;
  callback?: MessageCallback;
}

/** A message to be sent: the SDK adds its id, source and time where they are missing. */
// biome-ignore lint/suspicious/noExplicitAny: as for `Message`.
export type Outgoing<P = any> = Partial<Message<P>> & Pick<Message<P>, "payload">;

/** Where a message goes, and how; with neither `target` nor `topic` to everyone. */
export type SendToOptions = SendOptions &
  Partial<
    Pick<Message, "target" | "topic" | "metadata" | "ttl" | "durable" | "excludeClientId" | "requireAck">
  >;

export interface CommandOptions extends CallOptions {
  taskId?: string;
  /** How long it may take to be accepted, and then to run. */
  timeout?: number;
  requireAck?: boolean;
  priority?: MessagePriority;
  /** Another client that is to run it, in place of the hub's workers. */
  target?: string;
}
