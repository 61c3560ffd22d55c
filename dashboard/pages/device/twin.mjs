// The twin: what is wanted and what the device says, side by side, and an editor for what is wanted.

import { adminOnly, send } from "../../lib/api.mjs";
import { show } from "../../lib/json.mjs";
import { useAction } from "../../lib/load.mjs";
import { html, useState } from "../../lib/preact.mjs";
import { visibleJson } from "../../lib/text.mjs";
import { absolute } from "../../lib/time.mjs";
import { Badge, Button, Card, Empty, Field, Loaded, Problem, Table, Text, toast } from "../../ui/index.mjs";
import { compared, leaves, merged, patchOf, typed } from "./patch.mjs";

/** A section to be edited: what cannot be seen is escaped. */
const asText = (section) => visibleJson(show(section, { indent: 2 }));

/** What was typed and not yet saved, by device: leaving the page does not lose it. */
const drafts = new Map();

const STATES = {
  undeliverable: ["bad", "fits no reply", "No reply to this device has room for it"],
  due: ["warn", "due", "Told in replies until the device reports it"],
  differs: ["warn", "differs", "The device has applied this version, and reports another value"],
  same: ["ok", "as desired"],
  reported: ["", "reported only"],
};

export function Twin({ id, path, twin }) {
  const [draft, setDraft] = useState(drafts.get(id));
  const change = (next) => {
    if (next) drafts.set(id, next);
    else drafts.delete(id);
    setDraft(next);
  };
  const edit = () => {
    const { desired, versions } = twin.data;
    change({ base: desired, version: versions.desired, text: asText(desired) });
  };
  const aside = html`${twin.data && html`<span class="quiet">version ${twin.data.versions.desired}</span>`}
    ${!draft && html`<${Button} kind="small" reason=${adminOnly()} disabled=${!twin.data} onClick=${edit}>Edit desired<//>`}`;
  return html`<${Card} title="Twin" aside=${aside} class="twin">
    <${Loaded} load=${twin}
      >${(data) => html`
        ${draft && html`<${Editor} path=${path} twin=${twin} draft=${draft} change=${change} />`}
        <${Sections} of=${data} />
      `}<//
    >
  <//>`;
}

function Sections({ of: twin }) {
  const rows = compared(twin);
  if (!rows.length) {
    return html`<${Empty} title="Nothing desired, nothing reported">
      What you want of the device is told in its replies, until it reports (as${" "}<code>fieldhook/report</code>)
      that it is so. Begin with Edit desired.
    <//>`;
  }
  const value = (of, times, [top]) =>
    of === undefined
      ? html`<span class="quiet">–</span>`
      : html`<span class="mono" title=${absolute(times[top])}><${Text} of=${show(of, { quoted: true })} most=${120} /></span>`;
  return html`<${Table}
    label="Desired and reported"
    id=${(row) => row.pointer}
    rows=${rows}
    columns=${[
      {
        label: "Key",
        cell: ({ path }) => html`<span class="mono"><${Text} of=${path.join(".")} most=${80} /></span>`,
      },
      {
        label: "Desired",
        cell: ({ desired, path, removed }) =>
          removed
            ? html`<span class="quiet">to be removed</span>`
            : value(desired, twin.timestamps.desired, path),
      },
      { label: "Reported", cell: ({ reported, path }) => value(reported, twin.timestamps.reported, path) },
      {
        label: "State",
        cell({ state }) {
          const [kind, word, title] = STATES[state];
          return html`<${Badge} kind=${kind} title=${title}>${word}<//>`;
        },
      },
    ]}
  />`;
}

/** `draft` is `{ base, version, text }`: what was there when it was begun, and what is typed. */
function Editor({ path, twin, draft, change }) {
  const { error, value } = typed(draft.text, { object: true });
  const patch = value && patchOf(draft.base, value);
  const isChanged = patch && Object.keys(patch).length > 0;
  const { desired: theirs, versions } = twin.data;
  const isConflict = versions.desired !== draft.version;
  const save = useAction(async () => {
    try {
      await send("PATCH", `${path}/twin`, patch, { headers: { "if-match": `"${draft.version}"` } });
    } catch (problem) {
      if (problem.code === "version-conflict") return twin.reload();
      throw problem;
    }
    change(undefined);
    toast("Saved. The device is told in its next reply.");
    twin.reload();
  });
  const apply = () => {
    const text = asText(merged(theirs, patch));
    change({ base: theirs, version: versions.desired, text });
  };
  const discard = () => change(undefined);
  // With keys, Apply does not become Save in the midst of its click, which would submit.
  return html`<form
    class="stack editor"
    onSubmit=${(event) => (event.preventDefault(), isChanged && !isConflict && save.run())}
  >
    <${Field}
      label="Desired"
      multiline
      rows=${Math.min(16, 2 + draft.text.split("\n").length)}
      value=${draft.text}
      error=${error}
      hint=${isChanged ? html`Sends <code><${Text} of=${show(patch)} most=${200} /></code>` : "No change yet"}
      onInput=${({ target }) => change({ ...draft, text: target.value })}
    />
    <${Problem} error=${save.error} />
    ${
      isConflict
        ? html`<${Conflict} theirs=${patchOf(draft.base, theirs)} version=${versions.desired} mine=${patch} />`
        : ""
    }
    <div class="actions end">
      <${Button} onClick=${discard}>${isConflict ? "Discard mine" : "Cancel"}<//>
      ${
        isConflict
          ? html`<${Button} key="apply" kind="primary" reason=${error && "Mend the JSON first"} onClick=${apply}>Apply mine to theirs<//>`
          : html`<${Button} key="save" kind="primary" type="submit" busy=${save.busy} disabled=${!isChanged}>Save<//>`
      }
    </div>
  </form>`;
}

function Conflict({ theirs, version, mine }) {
  const both = mine ? [...leaves(theirs).keys()].filter((at) => leaves(mine).has(at)) : [];
  const changes = (of) => (of && Object.keys(of).length ? show(of, { indent: 2 }) : "no change");
  return html`<div class="notice warn conflict" role="alert">
    <p>
      <strong>Somebody else has changed it.</strong> Version ${version} came while you were typing; nothing of
      yours is lost. <code>version-conflict</code>
    </p>
    <div class="columns">
      <div><h3>Theirs</h3><pre tabindex="0"><${Text} of=${changes(theirs)} most=${1000} lines /></pre></div>
      <div><h3>Yours</h3><pre tabindex="0"><${Text} of=${mine ? changes(mine) : "not JSON yet"} most=${1000} lines /></pre></div>
    </div>
    ${both.length > 0 && html`<p>Both of you changed <code><${Text} of=${both.join(", ")} /></code>: yours would win.</p>`}
  </div>`;
}
