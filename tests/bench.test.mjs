// That what the bench compares does the same work: one signed event, twice, and one that is refused, answered alike.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Connection } from "../bench/load/connection.mjs";
import { eventOf, kindOf, signed } from "../bench/load/events.mjs";
import { SECRET, startSubject } from "../bench/subjects/index.mjs";

for (const name of ["fieldhook", "js"]) {
  describe(`the bench's subject ${name}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "fieldhook-bench-"));
    let subject;
    let connection;

    before(async () => {
      subject = await startSubject(name, folder);
      connection = new Connection(subject.port);
    });

    after(async () => {
      connection.close();
      await subject.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    it("takes an event once and knows it again", async () => {
      const bytes = signed(SECRET, JSON.stringify(eventOf(1, { device: "e00fce68", id: "1" })));
      const first = await connection.send(bytes);
      const again = await connection.send(bytes);
      assert.deepEqual([first.status, first.body], [204, ""]);
      assert.deepEqual([again.status, again.body], [204, ""]);
      assert.doesNotMatch(first.head, /fieldhook-duplicate/i);
      assert.match(again.head, /fieldhook-duplicate: true/i);
    });

    it("counts a batch", async () => {
      const { make } = kindOf("batch", { secret: SECRET, devices: 2 });
      const { status, body } = await connection.send(make(0));
      assert.deepEqual([status, JSON.parse(body)], [200, { accepted: 10, duplicates: 0, refused: [] }]);
    });

    it("refuses what the bench sends to be refused", async () => {
      const { make, isRight } = kindOf("refused", { secret: SECRET });
      for (let number = 0; number < 5; number++) {
        const answer = await connection.send(make(number));
        assert.ok(isRight(answer, number), `${number}: ${answer.head}`);
        assert.match(answer.head, /application\/problem\+json/i);
      }
    });
  });
}
