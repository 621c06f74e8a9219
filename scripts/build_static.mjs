// Maintainers' build of static/: css, vendor scripts, console.js, icon sprite.
// Running the product needs none of this, the results are committed.
// Usage: npm run css (stylesheet only), npm run build (everything),
// npm run check (fail when the committed stylesheet is not what the sources give).
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const source = join(root, "scripts", "static");
const target = join(root, "static");

function css(output = join(target, "css", "app.css")) {
  execFileSync(
    process.execPath,
    [
      join(modules, "@tailwindcss", "cli", "dist", "index.mjs"),
      "-i", join(source, "css", "app.css"),
      "-o", output,
      "--minify",
    ],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] },
  );
}

async function script() {
  const { build } = await import("esbuild");
  await build({
    entryPoints: [join(source, "js", "console.js")],
    outfile: join(target, "js", "console.js"),
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    legalComments: "none",
  });
}

/** The htmx that django-htmx ships, so page and server agree on one version. */
function htmxFolder() {
  const lib = join(root, ".venv", "lib");
  const python = readdirSync(lib).find((name) => name.startsWith("python3"));
  return join(lib, python, "site-packages", "django_htmx", "static", "django_htmx");
}

function vendor() {
  const htmx = htmxFolder();
  const parts = [
    ["htmx 2 (Zero-Clause BSD)", join(htmx, "htmx-2.min.js")],
    ["htmx preload extension (Zero-Clause BSD)", join(htmx, "ext", "hx-preload-2.min.js")],
    ["htmx SSE extension (Zero-Clause BSD)", join(htmx, "ext", "hx-sse-2.min.js")],
    ["idiomorph 0.8.0 (Zero-Clause BSD)", join(modules, "idiomorph", "dist", "idiomorph-ext.min.js")],
  ];
  const text = parts.map(([name, file]) => `/* ${name} */\n${readFileSync(file, "utf8").replace(/^\/\/# sourceMappingURL.*$/gm, "").trim()}\n`);
  writeFileSync(join(target, "js", "htmx.js"), text.join(";\n"));
  const uplot = join(modules, "uplot", "dist");
  writeFileSync(
    join(target, "js", "uplot.js"),
    `/* uPlot 1.6.32 (MIT, Leon Sorokin) */\n${readFileSync(join(uplot, "uPlot.iife.min.js"), "utf8").trim()}\n`,
  );
  writeFileSync(join(target, "css", "uplot.css"), readFileSync(join(uplot, "uPlot.min.css"), "utf8"));
}

/** One external sprite: every page refers to it by `<use href="icons.svg#name">`. */
function sprite() {
  const names = readFileSync(join(source, "icons.txt"), "utf8").split(/\s+/).filter(Boolean).sort();
  const symbols = names.map((name) => {
    const own = join(source, "icons", `${name}.svg`);
    const file = statSync(own, { throwIfNoEntry: false }) ? own : join(modules, "lucide-static", "icons", `${name}.svg`);
    const body = readFileSync(file, "utf8")
      .replace(/<!--.*?-->/gs, "")
      .replace(/^[\s\S]*?<svg[^>]*>/, "")
      .replace(/<\/svg>\s*$/, "")
      .replace(/\s*\n\s*/g, "")
      .replace(/ \/>/g, "/>");
    return `<symbol id="${name}" viewBox="0 0 24 24">${body}</symbol>`;
  });
  const licence = "<!-- Icons: Lucide 1.62.0, ISC licence; logo: this project -->";
  writeFileSync(
    join(target, "icons.svg"),
    `<svg xmlns="http://www.w3.org/2000/svg">${licence}${symbols.join("\n")}</svg>\n`,
  );
}

function report() {
  for (const file of ["css/app.css", "js/htmx.js", "js/console.js", "icons.svg", "js/uplot.js"]) {
    const bytes = gzipSync(readFileSync(join(target, file)), { level: 9 }).length;
    console.log(`${file.padEnd(16)} ${(bytes / 1024).toFixed(1).padStart(6)} KB gzip`);
  }
}

function check() {
  const fresh = join(tmpdir(), `pool-css-${process.pid}.css`);
  css(fresh);
  const same = readFileSync(fresh, "utf8") === readFileSync(join(target, "css", "app.css"), "utf8");
  rmSync(fresh);
  if (same) return;
  console.error("static/css/app.css is stale: run npm run css and commit the result.");
  process.exit(1);
}

if (process.argv[2] === "check") {
  check();
  process.exit(0);
}
mkdirSync(join(target, "css"), { recursive: true });
mkdirSync(join(target, "js"), { recursive: true });
css();
if (process.argv[2] !== "css") {
  await script();
  vendor();
  sprite();
  report();
}
