// A plain Express program: Server-Sent Events from a set of open answers, nothing kept, nothing resumed.
import express from "express";

const [host, port] = process.argv[2].split(":");
const topics = new Map();
const clients = new Map();

const app = express();
app.disable("x-powered-by");
app.use(express.json());

app.get("/sse/:topic", (request, response) => {
  const { topic } = request.params;
  open(response);
  if (!topics.has(topic)) topics.set(topic, new Set());
  topics.get(topic).add(response);
  request.on("close", () => topics.get(topic).delete(response));
});

app.post("/publish/:topic", (request, response) => {
  const event = `data: ${JSON.stringify(request.body)}\n\n`;
  const listeners = topics.get(request.params.topic) ?? new Set();
  for (const listener of listeners) listener.write(event);
  response.json({ success: true, recipients: listeners.size });
});

app.get("/client/:client", (request, response) => {
  const { client } = request.params;
  open(response);
  clients.set(client, response);
  request.on("close", () => clients.delete(client));
});

app.post("/direct/:client", (request, response) => {
  const listener = clients.get(request.params.client);
  listener?.write(`data: ${JSON.stringify(request.body)}\n\n`);
  response.status(listener ? 200 : 404).json({ success: Boolean(listener) });
});

function open(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  response.flushHeaders();
}

app.listen(Number(port), host);
