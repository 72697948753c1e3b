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
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
let [passed, failed] = [0, 0];

// check runs one test with a fresh browser profile.
async function check(name, test) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 760, height: 720 } });
  try {
    await test(context);
    passed++;
    console.log(`ok    ${name}`);
  } catch (err) {
    failed++;
    console.log(`FAIL  ${name}: ${err.message}`);
  } finally {
    await context.close();
  }
}

try {
  await home.run(check, { binary, cert, key, folder });
  await abroad.run(check, { binary });
} finally {
  await browser.close();
}
console.log(`browser: passed=${passed} failed=${failed}`);
process.exitCode = failed === 0 ? 0 : 1;
