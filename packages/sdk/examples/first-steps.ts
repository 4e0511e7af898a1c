import { createSSENotificationSDK, MessageType } from "tidings";

const sdk = createSSENotificationSDK({
  endpoint: "http://127.0.0.1:8080",
  clientId: "alice",
  topics: ["news"],
});

sdk.subscribe([MessageType.TEXT], ({ topic, source, payload }) => {
  console.log(`${source} to ${topic ?? "me"}: ${payload.content}`);
});
sdk.onError((error) => console.error(error.message));

await sdk.sendText("hello, everybody", { topic: "news" });
