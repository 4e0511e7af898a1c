export type { TaskOptions } from "./commands/commands.ts";
export type { CommandHandle, TaskProgress } from "./commands/handle.ts";
export type { HeadersFunction, SSKSConfig, TokenContext, TokenFunction } from "./config.ts";
export { DEFAULT_CONFIG } from "./config.ts";
export { SSEConnectionManager } from "./connection/manager.ts";
export type { SdkEvents, StateChange } from "./emitter.ts";
export type { Logger, Page, PageEvent } from "./env.ts";
export type { ClientErrorCode, ErrorCode, HubErrorDetail } from "./errors.ts";
export { HubError } from "./errors.ts";
export { HttpError } from "./http/api.ts";
export type { HttpOptions, HttpResponse, RequestConfig } from "./http/client.ts";
export { HttpClient } from "./http/client.ts";
export type { DispatcherOptions, DispatcherStats } from "./inbox/dispatcher.ts";
export { EventDispatcher } from "./inbox/dispatcher.ts";
export type { MessagesOptions } from "./messages.ts";
export type { QueueItem, QueueStats } from "./outbox/queue.ts";
export { MessageQueueManager } from "./outbox/queue.ts";
export type { SdkStats } from "./sdk.ts";
export { createSSENotificationSDK, SSENotificationSDK } from "./sdk.ts";
export type { Persistence, StoredItem } from "./store/index.ts";
export type {
  CallOptions,
  CommandMessage,
  CommandOptions,
  ConnectDetail,
  EventHandlerMap,
  Gap,
  Message,
  MessageCallback,
  MessageHandler,
  Outgoing,
  ProgressMessage,
  ReceiptMessage,
  SendOptions,
  SendToOptions,
  SubscribeOptions,
  SystemMessage,
} from "./types.ts";
export { CommandAction, ConnectionState, MessagePriority, MessageType } from "./types.ts";
