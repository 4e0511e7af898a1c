export { VirtualClock } from "./clock.ts";
export type { FaultOptions, Refusal, RequestFault, StreamFault } from "./faults.ts";
export type { TestHubConfig, TestHubOptions, Whom } from "./hub.ts";
export { createTestHub, TestHub } from "./hub.ts";
export { VirtualPage } from "./page.ts";
export type { Ending } from "./pipe.ts";
export type { TestRequest } from "./request.ts";
export type { TestStream } from "./stream.ts";
export type { Progress, Task, TaskScript, TaskStatus, TestTask } from "./tasks.ts";
