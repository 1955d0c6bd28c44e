// Visits the pages of a gateway with Chromium, and prints what is wrong with them as JSON.
//
//   node visit.mjs '{"chromium": …, "admin": …, "sender": …, "token": …, "shots": …, "pages": […]}'
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

// The packages are installed where the test runs, and not beside this file.
const require = createRequire(join(process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const asked = JSON.parse(process.argv[2]);
const wrong = [];
const browser = await chromium.launch({
  executablePath: asked.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});

// A machine that also compiles takes its time; a page that hangs is still found.
const patience = 120000;

async function visitor(options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.on("console", (message) => {
    const text = message.text();
    // A page that says 404 is one of those that are visited.
    if (message.type() === "error" && !text.includes("status of 404")) wrong.push(`console: ${text}`);
  });
  page.on("pageerror", (error) => wrong.push(`script: ${error}`));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(asked.admin)) wrong.push(`request to ${request.url()}`);
  });
  return { context, page };
}

async function logIn(page) {
  await page.goto(`${asked.admin}/events`);
  await page.getByLabel("Token").fill(asked.token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(`${asked.admin}/events`);
}

async function accessible(page, name) {
  // The policy of the page lets no script in, but the driver may run one.
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
  for (const one of found.violations) {
    wrong.push(`${name}: ${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html)}`);
  }
}

for (const [width, height, scheme] of [
  [1280, 900, "light"],
  [360, 740, "dark"],
]) {
  const { context, page } = await visitor({ viewport: { width, height }, colorScheme: scheme });
  await page.goto(`${asked.admin}/login`);
  await accessible(page, `login ${width}`);
  await page.screenshot({ path: join(asked.shots, `login-${width}.png`) });
  await logIn(page);
  for (const [name, path] of asked.pages) {
    await page.goto(asked.admin + path);
    // All that can be opened is looked at.
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) wrong.push(`${name} is ${over} pixels wider than ${width}`);
    await accessible(page, `${name} ${width}`);
    await page.screenshot({ path: join(asked.shots, `${name}-${width}.png`), fullPage: true });
  }
  await context.close();
}

// By the keyboard, and live.
{
  const { context, page } = await visitor({ viewport: { width: 1280, height: 900 } });
  await logIn(page);
  await page.goto(`${asked.admin}/`);
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement.textContent);
  if (first !== "Skip to content") wrong.push(`the first stop of the keyboard is ${first}`);
  await page.keyboard.press("Enter");
  const main = await page.evaluate(() => document.activeElement.id);
  if (main !== "main") wrong.push(`the skip link leads to ${main}`);
  await page.goto(`${asked.admin}/events`);
  await page.waitForTimeout(500);
  await fetch(`${asked.sender}/in/odd`, {
    method: "POST",
    body: JSON.stringify({ alerts: [{ event_id: "live-1", priority: "high", title: "Came while it was looked at" }] }),
  });
  await page.getByRole("button", { name: /new: show/ }).click();
  await page.getByRole("link", { name: "Came while it was looked at" }).waitFor();
  await page.goto(`${asked.admin}/sources/odd`);
  await page.getByRole("button", { name: /Copy the URL/ }).click();
  await page.getByText(/Copied|Selected/).waitFor();
  // The case of a request is downloaded, under the name that was written.
  const [, event] = asked.pages.find(([name]) => name === "event");
  await page.goto(asked.admin + event);
  await page.getByLabel("Name of the case").fill("from-a-browser");
  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const download = await downloading;
  if (download.suggestedFilename() !== "from-a-browser.tar") wrong.push(`a case is called ${download.suggestedFilename()}`);
  await download.saveAs(join(asked.shots, "case.tar"));
  // A button acts once, and says so at the top.
  await page.goto(`${asked.admin}/mutes`);
  await page.getByLabel("Alerts, as name=pattern").fill('source=odd title="a *"');
  await page.getByLabel("Reason").fill("a test of the pages");
  await page.getByRole("button", { name: "Mute", exact: true }).click();
  await page.getByRole("status").getByText("The mute holds within a second").waitFor();
  await page.getByRole("button", { name: /^End mute/ }).first().click();
  await page.getByRole("status").getByText("The mute ends").waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL(/login/);
  await context.close();
}

// What says what is wrong stays as it is, and is not loaded again and again.
{
  const { context, page } = await visitor({ viewport: { width: 1280, height: 900 } });
  await logIn(page);
  await page.goto(`${asked.admin}/nothing`);
  await page.evaluate(() => (document.body.dataset.seen = "before"));
  await fetch(`${asked.sender}/in/odd`, {
    method: "POST",
    body: JSON.stringify({ alerts: [{ event_id: "live-2", priority: "low", title: "Came meanwhile" }] }),
  });
  await page.waitForTimeout(4000);
  const seen = await page.evaluate(() => document.body.dataset.seen);
  if (seen !== "before") wrong.push("a page of a problem loads itself again");
  await context.close();
}

// Without a script all of it is there to read and to do.
{
  const { context, page } = await visitor({ javaScriptEnabled: false });
  await logIn(page);
  await page.getByLabel("Title, message, id or label=value").fill("live-1");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("link", { name: "Came while it was looked at" }).click();
  await page.getByRole("heading", { name: "Receipt chain" }).waitFor();
  await context.close();
}

await browser.close();
console.log(JSON.stringify(wrong));
