export type { HeadersFunction, SSKSConfig, TokenContext, TokenFunction } from "./config.ts";
export { DEFAULT_CONFIG } from "./config.ts";
export type { Received, Sink } from "./connection/sink.ts";
export type { Env, Logger, Page, PageEvent } from "./env.ts";
export type { ClientErrorCode, ErrorCode, HubErrorDetail } from "./errors.ts";
export { HubError } from "./errors.ts";
export type { Persistence, StoredItem } from "./store/index.ts";
export type {
  CallOptions,
  CommandMessage,
  ConnectDetail,
  EventHandlerMap,
  Gap,
  Message,
  MessageCallback,
  MessageHandler,
  ProgressMessage,
  ReceiptMessage,
  SendOptions,
  SubscribeOptions,
  SystemMessage,
} from "./types.ts";
export { CommandAction, ConnectionState, MessagePriority, MessageType } from "./types.ts";
