// The page from an origin that is not the server's: it cannot call unless the
// server lets it.
import { callAll } from "./home.mjs";
import { equal, open, shows, sign, ways } from "./pages.mjs";
import { guestbook, stranger } from "./servers.mjs";

export async function run(check, { binary }) {
  const other = await stranger();
  const closed = await guestbook(binary);
  for (const origin of other.origins) {
    const site = origin.includes("localhost") ? "another site" : "another port";
    for (const way of ways) {
      await check(`${way.name}: a page from ${site} cannot call`, (context) => refused(context, origin, way, closed));
    }
    await check(`forms, links and fetches without CORS from ${site} do nothing`, (context) =>
      sneak(context, origin, closed),
    );
  }
  equal(await closed.stop(), 0, "exit code");

  const [listed, unlisted] = other.origins;
  const choosy = await guestbook(binary, "-cors", listed);
  for (const way of ways) {
    await check(`${way.name}: a page from another origin that WithCORS lists can call`, async (context) => {
      await callAll(await openFrom(context, listed, way, choosy));
    });
  }
  await check("one that it does not list cannot", (context) => refused(context, unlisted, ways[0], choosy));
  await check("nor can its forms", (context) => sneak(context, unlisted, choosy));
  equal(await choosy.stop(), 0, "exit code");

  const all = await guestbook(binary, "-cors", "*");
  await check("with the list *, all can", async (context) => {
    await callAll(await openFrom(context, unlisted, ways[0], all));
  });
  equal(await all.stop(), 0, "exit code");
  other.stop();
}

const openFrom = (context, origin, way, server) => open(context, origin, way, server.origin);

// refused opens the page, which must get nothing and change nothing.
async function refused(context, origin, way, server) {
  const before = await server.count();
  const page = await openFrom(context, origin, way, server);
  await shows(page, "count", "Failed to fetch");
  await shows(page, "reading", "Failed to fetch");
  await sign(page, "Mallory", "I was here");
  await shows(page, "signed", "Failed to fetch");
  equal(await page.locator("#entries li").count(), 0, "entries that it saw");
  equal(await server.count(), before, "entries");
}

// sneak sends what a browser sends without asking beforehand. The page could not
// read the answers; the server must refuse to run the calls.
async function sneak(context, origin, server) {
  const before = await server.count();
  const statuses = {};
  context.on("response", (r) => {
    const trick = new URL(r.url()).searchParams.get("trick");
    if (trick) {
      statuses[trick] = r.status();
    }
  });
  const service = `${server.origin}/guestbook.v1.Guestbook`;
  const get = `${service}/Count?encoding=json&message=%7B%7D`;

  const page = await context.newPage();
  await page.goto(`${origin}/`);
  await page.evaluate(fetchAll, [service, get]);
  await leave(context, origin, (url) => location.assign(url), `${get}&trick=link`);
  for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
    await leave(context, origin, submit, { action: `${service}/Sign?trick=form ${type}`, enctype: type });
  }

  equal(
    Object.entries(statuses).sort(),
    Object.entries({
      link: 403,
      "text/plain": 415,
      "application/x-www-form-urlencoded": 415,
      "multipart/form-data": 415,
      none: 415,
      get: 403,
      "form text/plain": 415,
      "form application/x-www-form-urlencoded": 415,
    }).sort(),
    "statuses",
  );
  equal(await server.count(), before, "entries");
}

// leave has a page of its own go elsewhere, and waits until it has been answered and
// the page has gone: Chromium may not end while one goes.
async function leave(context, origin, how, to) {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  const answered = page.waitForResponse((r) => r.url().includes("trick="));
  await page.evaluate(how, to);
  await answered;
  await page.waitForURL((url) => url.origin !== origin, { waitUntil: "commit" });
}

// fetchAll and submit run in a page.

async function fetchAll([service, get]) {
  const body = JSON.stringify({ guest: "Mallory", text: "I was here" });
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    await fetch(`${service}/Sign?trick=${type}`, { method: "POST", mode: "no-cors", headers: { "content-type": type }, body });
  }
  await fetch(`${service}/Sign?trick=none`, { method: "POST", mode: "no-cors", body: new Blob([body]) });
  await fetch(`${get}&trick=get`, { mode: "no-cors" });
}

function submit(to) {
  const form = Object.assign(document.createElement("form"), { method: "post", ...to });
  // As text/plain this makes {"guest":"Mallory","text":"="}.
  form.append(Object.assign(document.createElement("input"), { name: '{"guest":"Mallory","text":"', value: '"}' }));
  document.body.append(form);
  form.submit();
}
