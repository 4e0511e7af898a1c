export { VirtualClock } from "./clock.ts";
export { VirtualPage } from "./page.ts";
