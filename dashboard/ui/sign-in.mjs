// Signing in: a token is pasted once, and exchanged for a cookie that no script can read.

import { signedOut, signIn } from "../lib/api.mjs";
import { html, useRef, useState } from "../lib/preact.mjs";
import { Button, Field } from "./basics.mjs";
import { Problem } from "./messages.mjs";

export function SignIn() {
  const [error, setError] = useState();
  const [busy, setBusy] = useState(false);
  const form = useRef();
  const submit = async (event) => {
    event.preventDefault();
    const input = form.current.elements.token;
    const token = input.value.trim();
    if (!token) return input.focus();
    setBusy(true);
    try {
      await signIn(token);
    } catch (thrown) {
      setError(thrown);
      input.select();
    } finally {
      // Not kept here, whatever came of it.
      input.value = "";
      setBusy(false);
    }
  };
  return html`<main class="alone">
    <form class="card sign-in" ref=${form} onSubmit=${submit}>
      <h1>fieldhook</h1>
      <p class="quiet">
        ${signedOut.value ?? "The other end of your Particle webhook. Paste a token to look inside."}
      </p>
      <${Field}
        label="Read or admin token"
        name="token"
        type="password"
        autocomplete="off"
        autofocus
        hint="It is exchanged for a cookie of twelve hours; the page does not keep it."
      />
      <${Problem}
        error=${error}
        wayOut=${error?.status === 401 ? "Take one of READ_TOKENS or ADMIN_TOKENS." : undefined}
      />
      <${Button} kind="primary wide" type="submit" busy=${busy}>Sign in<//>
      <details class="quiet">
        <summary>Where is my token?</summary>
        <p>
          Locally, in the file <code>.dev.vars</code>: <code>READ_TOKENS</code> to look,${" "}<code>ADMIN_TOKENS</code> to change things too.
        </p>
        <p>Deployed, it is what you gave to <code>wrangler secret put READ_TOKENS</code>.</p>
      </details>
    </form>
  </main>`;
}
