// The Runtime API's loop, with nothing to it: less than Lambda's own Node runtime does, which is in this peer's favour.

import { Agent, request } from "node:http";

import { handler } from "./flow.js";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const calling = request({ host, port, agent, method, path: `/2018-06-01/runtime/${path}`, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      response.on("error", reject);
    });
    calling.on("error", reject);
    calling.end(body);
  });
}

async function serve() {
  for (;;) {
    const next = await call("GET", "invocation/next");
    const id = next.headers["lambda-runtime-aws-request-id"];
    try {
      const answer = await handler(JSON.parse(next.body));
      await call("POST", `invocation/${id}/response`, JSON.stringify(answer));
    } catch (error) {
      console.error(error);
      const document = { errorType: error.name, errorMessage: error.message };
      await call("POST", `invocation/${id}/error`, JSON.stringify(document));
    }
  }
}

await serve();
