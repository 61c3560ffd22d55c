// Integrations by the dozen, defined as a user would.

import { ADMIN } from "../../subjects/index.mjs";

export async function define({ port }, count, event, url) {
  for (let number = 0; number < count; number++) {
    const response = await fetch(`http://127.0.0.1:${port}/v1/integrations`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ event, url: `${url}${number}`, requestType: "POST" }),
    });
    if (response.status >= 300) throw new Error(`integration ${number}: ${await response.text()}`);
  }
}
