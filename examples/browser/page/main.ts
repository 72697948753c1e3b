// The page of the guest book: it calls the three methods of the service from
// which it was loaded, or of the one that ?server= names.
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { BlankSchema, Guestbook, type Entry } from "./gen/guestbook/v1/guestbook_pb.js";

const way = new URLSearchParams(location.search);
const client = createClient(Guestbook, transport());

// transport returns how calls travel, as the form at the foot of the page says.
function transport(): Transport {
  const baseUrl = way.get("server") || location.origin;
  const useBinaryFormat = way.get("format") === "binary";
  if (way.get("protocol") === "grpc-web") {
    return createGrpcWebTransport({ baseUrl, useBinaryFormat });
  }
  return createConnectTransport({ baseUrl, useBinaryFormat, useHttpGet: true });
}

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

// say shows a sentence, and whether it is a good one.
function say(id: string, text: string, failed = false) {
  const place = element(id);
  place.textContent = text;
  place.classList.toggle("failed", failed);
}

// explain puts an error into words: its code, and the detail if it is ours.
function explain(err: unknown): string {
  const e = ConnectError.from(err);
  const blank = e.findDetails(BlankSchema).map((detail) => ` (${detail.field} is blank)`);
  return `${Code[e.code]}: ${e.rawMessage}${blank.join("")}`;
}

// count makes a unary call, which is a GET over Connect.
async function count() {
  try {
    const { count } = await client.count({});
    say("count", count === 1 ? "1 entry so far" : `${count} entries so far`);
  } catch (err) {
    say("count", explain(err), true);
  }
}

// sign makes a unary call that changes something, or fails with a typed detail.
async function sign(form: HTMLFormElement) {
  const fields = new FormData(form);
  try {
    const { entry } = await client.sign({
      guest: String(fields.get("guest")),
      text: String(fields.get("text")),
    });
    say("signed", `Thank you: that was entry ${entry?.number}.`);
    form.reset();
  } catch (err) {
    say("signed", explain(err), true);
  }
}

// read shows what the server streams, until it or the connection ends.
async function read() {
  try {
    for await (const { entry } of client.read({})) {
      if (entry) {
        element("entries").prepend(line(entry));
      }
      void count();
    }
    say("reading", "The server has ended the stream.");
  } catch (err) {
    say("reading", explain(err), true);
  }
}

function line(entry: Entry): HTMLLIElement {
  const guest = document.createElement("b");
  guest.textContent = entry.guest;
  const li = document.createElement("li");
  li.append(guest, entry.text);
  return li;
}

function start() {
  element<HTMLFormElement>("sign").addEventListener("submit", (event) => {
    event.preventDefault();
    void sign(event.target as HTMLFormElement);
  });
  const form = element<HTMLFormElement>("way");
  for (const [name, value] of way) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLSelectElement || field instanceof HTMLInputElement) {
      field.value = value;
    }
  }
  form.addEventListener("change", () => form.requestSubmit());
  void count();
  void read();
}

start();
