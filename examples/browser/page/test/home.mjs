// The page where it belongs: served by the server that it calls.
import path from "node:path";
import { equal, open, shows, sign, ways } from "./pages.mjs";
import { guestbook } from "./servers.mjs";

export async function run(check, { binary, cert, key, folder }) {
  const plain = await guestbook(binary);
  for (const way of ways) {
    await check(`${way.name}: unary, stream, typed error`, async (context) => {
      const before = await plain.count();
      const page = await open(context, plain.origin, way);
      await callAll(page, before);
      equal(called(page), wanted(way), "calls");
    });
  }
  await check("what one page signs, another shows", async (context) => {
    const [a, b] = [await open(context, plain.origin, ways[0]), await open(context, plain.origin, ways[3])];
    for (const [page, name] of [[a, "Ada"], [b, "Grace"]]) {
      await sign(page, name, `greetings from ${name}`);
      await shows(a, "entries", `greetings from ${name}`);
      await shows(b, "entries", `greetings from ${name}`);
    }
    const file = path.join(folder, "guestbook.png");
    await a.screenshot({ path: file });
    console.log(`      screenshot: ${file}`);
  });
  await check("a page hears that the server ends", async (context) => {
    const page = await open(context, plain.origin, ways[0]);
    await shows(page, "count", /entries so far/);
    equal(await plain.stop(), 0, "exit code");
    await shows(page, "reading", /^(Unavailable|Unknown|Aborted): /);
  });

  const secure = await guestbook(binary, "-cert", cert, "-key", key);
  for (const way of ways) {
    await check(`${way.name} over TLS: the same by HTTP/2`, async (context) => {
      const page = await open(context, secure.origin, way);
      await callAll(page);
      const protocols = await page.evaluate(() =>
        performance.getEntriesByType("resource").filter((e) => e.name.includes("Guestbook")).map((e) => e.nextHopProtocol),
      );
      equal([...new Set(protocols)], ["h2"], "protocols");
    });
  }
  await check("ten pages that read at once over HTTP/2, of which a browser has one connection", async (context) => {
    const pages = await Promise.all(Array.from({ length: 10 }, () => open(context, secure.origin, ways[0])));
    await sign(pages[0], "Barbara", "to all of you");
    await Promise.all(pages.map((page) => shows(page, "entries", "to all of you")));
  });
  equal(await secure.stop(), 0, "exit code");
}

// callAll calls all methods and looks at what the page shows, with the number of
// entries that there were, if only this page signs.
export async function callAll(page, before) {
  await shows(page, "count", before === undefined ? /(entry|entries) so far/ : `${before} ${before === 1 ? "entry" : "entries"} so far`);
  const text = `it is ${performance.now()}`;
  await sign(page, "Edsger", text);
  await shows(page, "signed", before === undefined ? /was entry \d+\./ : `was entry ${before + 1}.`);
  await shows(page, "entries", `Edsger${text}`);
  await sign(page, "Edsger", "");
  await shows(page, "signed", "InvalidArgument: an entry needs a name and a text (text is blank)");
}

// called lists which kinds of requests a page has sent.
function called(page) {
  return [...new Set(page.calls.map((c) => `${c.verb} ${c.method} ${c.type}`))].sort();
}

function wanted(way) {
  const count = way.get ? "GET Count " : `POST Count ${way.unary}`;
  return [count, `POST Read ${way.stream}`, `POST Sign ${way.unary}`].sort();
}
