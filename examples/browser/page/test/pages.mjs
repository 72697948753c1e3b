// What the tests do with pages.

// ways are those in which the page can call.
export const ways = [
  { name: "Connect, JSON", query: "protocol=connect&format=json", unary: "application/json", stream: "application/connect+json", get: true },
  { name: "Connect, protobuf", query: "protocol=connect&format=binary", unary: "application/proto", stream: "application/connect+proto", get: true },
  { name: "gRPC-Web, JSON", query: "protocol=grpc-web&format=json", unary: "application/grpc-web+json", stream: "application/grpc-web+json" },
  { name: "gRPC-Web, protobuf", query: "protocol=grpc-web&format=binary", unary: "application/grpc-web+proto", stream: "application/grpc-web+proto" },
];

// open opens the page at origin and notes the calls that it makes. The page calls
// server, or where it came from.
export async function open(context, origin, way, server = "") {
  const page = await context.newPage();
  page.calls = [];
  page.on("request", (r) => {
    const [, method] = /\/guestbook\.v1\.Guestbook\/(\w+)/.exec(r.url()) ?? [];
    if (method) {
      page.calls.push({ method, verb: r.method(), type: r.headers()["content-type"] ?? "" });
    }
  });
  await page.goto(`${origin}/?${way.query}&server=${encodeURIComponent(server)}`);
  return page;
}

// shows waits until the element with that id holds what matches.
export async function shows(page, id, want) {
  const pattern = want instanceof RegExp ? want.source : want.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  try {
    await page.waitForFunction(
      ([id, pattern]) => new RegExp(pattern).test(document.getElementById(id).textContent),
      [id, pattern],
      { timeout: 20_000 },
    );
  } catch {
    const text = await page.locator(`#${id}`).textContent();
    throw new Error(`#${id} shows "${text}", want ${want}`);
  }
}

// sign fills in the form and sends it.
export async function sign(page, guest, text) {
  await page.fill("[name=guest]", guest);
  await page.fill("[name=text]", text);
  await page.click("#sign button");
}

export function equal(got, want, what) {
  const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
  if (g !== w) {
    throw new Error(`${what}: ${g}, want ${w}`);
  }
}
