// What a copied command leaves out: the same names as the Worker's, whatever form the data has.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isSecretName, masked } from "../../dashboard/lib/secrets.mjs";

describe("the name of a secret", () => {
  test("is known in every usual spelling", () => {
    for (const name of [
      ...["authorization", "Proxy-Authorization", "Authorization", "password", "PASSWORD", "passwd", "pwd"],
      ...["passphrase", "secret", "token", "api_key", "apikey", "api-key", "API-KEY", "apiKey", "X-Api-Key"],
      ...["x-api-key", "access_token", "accessToken", "client_secret", "CLIENT_SECRET", "x-auth-token"],
      ...["private_key", "writeKey", "webhookSecret", "userPassword", "key2Key", "set-cookie", "cookie"],
      ...["auth[token]", "auth[key]", "bearer", "credentials", "PRIVATE_KEY"],
    ]) {
      assert.ok(isSecretName(name), name);
    }
  });

  test("is no other", () => {
    for (const name of [
      "key",
      "keys",
      "[key]",
      "monkey",
      "MONKEY",
      "token_type",
      "temperature",
      "author",
      "",
    ])
      assert.ok(!isSecretName(name), name);
  });

  test("is decided at once, however long", () => {
    for (const name of ["-".repeat(200_000), "a-".repeat(100_000), "K".repeat(200_000)])
      assert.ok(!isSecretName(name));
  });
});

describe("masked data", () => {
  test("has no secret at any depth, and is otherwise as it was", () => {
    const data = { a: [{ writeKey: "s", t: 1 }], auth: { token: { deep: 1 } }, pwd: 5, key: "k", n: null };
    assert.deepEqual(masked(data), {
      a: [{ writeKey: "********", t: 1 }],
      auth: { token: "********" },
      pwd: "********",
      key: "k",
      n: null,
    });
    const own = JSON.parse('{"__proto__": {"token": 1}}');
    assert.equal(JSON.stringify(masked(own)), '{"__proto__":{"token":"********"}}');
  });

  test("has none in texts that are a form, a URL or JSON", () => {
    for (const [text, expected] of [
      ["token=s&a=1", "token=********&a=1"],
      ["a=1&api%5Fkey=x%26y&b", "a=1&api%5Fkey=********&b"],
      ["a=1&auth[token]=s", "a=1&auth[token]=********"],
      ["auth%5Btoken%5D=my secret&a=1", "auth%5Btoken%5D=********&a=1"],
      ["https://x.dev/p?token=1&u=2", "https://x.dev/p?token=********&u=2"],
      ["GET /l?access_token=1", "GET /l?access_token=********"],
      ["%zz=1&pwd=2", "%zz=1&pwd=********"],
      ['{"t":21.50,"token":"s"}', '{"t":21.50,"token":"********"}'],
      ['["a=1&token=s"]', '["a=1&token=********"]'],
      ['{"t": 21.50}', '{"t": 21.50}'],
      ["a=1&b=2", "a=1&b=2"],
      ["{token", "{token"],
      ["21.50", "21.50"],
    ]) {
      assert.equal(masked(text), expected);
      assert.deepEqual(masked({ data: [text] }), { data: [expected] });
    }
  });
});
