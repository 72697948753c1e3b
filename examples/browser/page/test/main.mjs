// Drives the page in a headless Chromium against real servers on loopback.
//
//	node main.mjs SERVER CHROMIUM CERT KEY FOLDER
//
// SERVER is the built example, CERT and KEY are for 127.0.0.1, and screenshots
// go into FOLDER.
import { chromium } from "playwright-core";
import * as home from "./home.mjs";
import * as abroad from "./abroad.mjs";

const [binary, executablePath, cert, key, folder] = process.argv.slice(2);
const launch = () => chromium.launch({ executablePath, args: ["--no-sandbox"] });
let browser = await launch();
let [passed, failed] = [0, 0];

// check runs one test with a fresh browser profile.
async function check(name, test) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 760, height: 720 } });
  try {
    await within(90, test(context));
    passed++;
    console.log(`ok    ${name}`);
  } catch (err) {
    failed++;
    console.log(`FAIL  ${name}: ${err.message}`);
  }
  try {
    await within(15, context.close());
  } catch { // a busy machine's Chromium has been seen not to end
    browser.close().catch(() => {});
    browser = await launch();
  }
}

// within fails if what is promised takes longer.
async function within(seconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

try {
  await home.run(check, { binary, cert, key, folder });
  await abroad.run(check, { binary });
} finally {
  browser.close().catch(() => {});
}
console.log(`browser: passed=${passed} failed=${failed}`);
process.exit(failed === 0 ? 0 : 1);
