// What the tests start: servers of the guest book, and one that serves the same
// page from an origin of its own.
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import path from "node:path";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));

// guestbook starts a server with further flags and returns its origin.
export async function guestbook(binary, ...flags) {
  const child = spawn(binary, ["-addr", "127.0.0.1:0", "-page", dist, ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const exited = new Promise((resolve) => child.once("exit", (code) => (process.off("exit", kill), resolve(code))));
  const first = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once("line", resolve);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const origin = first.replace("serving on ", "");
  return {
    origin,
    // count returns how many entries there are, as somebody who is no browser sees it.
    async count() {
      const res = await fetch(`${origin}/guestbook.v1.Guestbook/Count`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      return (await res.json()).count ?? 0;
    },
    // stop lets it shut down, and returns its exit code.
    stop() {
      child.kill("SIGINT");
      return exited;
    },
  };
}

// stranger serves the page's files, and no service. Its port is reached by two
// names, so that it has two origins: for a server on 127.0.0.1 the first is of
// the same site, the second of another.
export async function stranger() {
  const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };
  const server = createServer((req, res) => {
    const name = path.basename(new URL(req.url, "http://host").pathname) || "index.html";
    const file = createReadStream(path.join(dist, name));
    file.once("error", () => res.writeHead(404).end());
    file.once("open", () => {
      res.writeHead(200, { "content-type": types[path.extname(name)] ?? "text/plain" });
      file.pipe(res);
    });
  });
  await new Promise((resolve) => server.listen(0, resolve));
  const { port } = server.address();
  return {
    origins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
    stop: () => server.close(),
  };
}
