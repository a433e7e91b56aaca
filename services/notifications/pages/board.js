// The partner board: what the organisation may see, live, with the buttons that role and status allow.
"use strict";
const REFERRAL = "nl.hulpketen.partners.referral-changed.v1", CASE = "nl.hulpketen.partners.case-changed.v1";
const AGAIN_MS = 3000, CARDS = 300, ENDS = ["declined", "ended", "cancelled", "expired"];
const $ = (selector, within = document) => within.querySelector(selector);
const csrf = $("meta[name=csrf]").content;
const keys = new Map(); // a button pressed again after a failure repeats the same request
let me, source;

// A text in both languages; the style sheet shows the one that is chosen.
function say(key) {
  const [nl, en] = me.texts[key] ?? [key, key];
  return bilingual(nl, en);
}
const bilingual = (nl, en) => el("span", {}, el("span", { lang: "nl" }, nl), el("span", { lang: "en" }, en ?? nl));
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const facts = (pairs) => el("dl", {}, ...pairs.filter(([, value]) => value).flatMap(([key, value]) => [el("dt", {}, say(key)), el("dd", {}, value)]));
const organisation = (id) => me.names.organisations[id] ?? id;
const service = (id) => me.names.services[id] ?? id;

async function call(path, body) {
  const options = { headers: { Accept: "application/json" } };
  const request = path + JSON.stringify(body ?? null);
  if (body) {
    if (!keys.has(request)) keys.set(request, [...crypto.getRandomValues(new Uint8Array(16))].join("-"));
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    Object.assign(options.headers, { "Content-Type": "application/json", "X-CSRF-Token": csrf, "Idempotency-Key": keys.get(request) });
  }
  const answer = await fetch(path, options);
  const found = await answer.json();
  if (answer.status === 401) location.assign("/login");
  if (answer.status < 500) keys.delete(request);
  if (!answer.ok) throw found;
  return found;
}

function complain(problem) {
  const sentence = problem?.detailEn ? bilingual(problem.detail, problem.detailEn)
    : bilingual("Dit lukt nu even niet. Probeer het zo opnieuw.", "This does not work right now. Try again soon.");
  $("#message").replaceChildren(sentence);
  $("#message").hidden = false;
}

// Run what a button does: once at a time, and with its error shown.
const doing = (work) => async ({ currentTarget: button }) => {
  $("#message").hidden = true;
  button.disabled = true;
  try { await work(); } catch (problem) { complain(problem); } finally { button.disabled = false; }
};

// What was filled in, or null where it was left.
function ask(title, ...content) {
  const dialog = $("#choice");
  $("legend", dialog).replaceChildren(say(title));
  $(".content", dialog).replaceChildren(...content);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "confirm" ? new FormData($("form", dialog)) : null), { once: true }));
}
const option = (type, name, value, key, checked) => el("label", {}, el("input", { type, name, value, required: type === "radio" && "", checked: checked && "" }), say(key));

async function choose(action) {
  const due = me.codes[action];
  if (!due) return {};
  const [field, codes] = due;
  const given = await ask(action, ...codes.map((code) => option("radio", "code", code, `${field}.${code}`, false)));
  return given && { [field]: given.get("code") };
}

async function act(name, action) {
  const body = await choose(action);
  if (body) await call(`/board/referrals/${name}/${action}`, body);
}

// Let withheld contact details be seen. What was released before is ticked: what is not ticked is withheld from now on.
async function release(kind, name, { person, withheld }) {
  const fields = Object.entries(me.release.fields).filter(([, names]) => names.some((each) => each in person || withheld.includes(each)));
  const given = await ask("release", el("p", {}, say(`release.${kind}`)),
    ...fields.map(([field, names]) => option("checkbox", "fields", field, `release.${field}`, names.some((each) => each in person))),
    el("p", {}, say("release.why")), ...me.release.reasons.map((reason) => option("radio", "reason", reason, `release.${reason}`, false)));
  if (!given) return;
  try {
    await call(`/board/${kind}/${name}/person/release`, { fields: given.getAll("fields"), reason: given.get("reason") });
    await who(kind, name);
  } catch (problem) { $("#person").close(); throw problem; } // its message stands on the page
}

async function who(kind, name) {
  const seen = await call(`/board/${kind}/${name}/person`), { person, safeContact, withheld } = seen;
  const list = (names, prefix = "") => el("ul", {}, ...names.map((each) => el("li", {}, say(prefix + each))));
  const notice = safeContact?.restricted ? el("div", { class: "notice", role: "alert" }, say("safe-contact"), list(safeContact.rules, "safe-contact.")) : null;
  const shown = Object.entries(person ?? {});
  const releases = me.release && withheld && button("release", () => release(kind, name, seen));
  const hidden = withheld?.length ? el("div", {}, el("p", {}, say("withheld")), list(withheld)) : null;
  const parts = [notice, shown.length ? facts(shown.map(([key, value]) => [key, String(value)])) : say("nobody"), hidden, releases];
  $("#person .content").replaceChildren(...parts.filter(Boolean));
  if (!$("#person").open) $("#person").showModal();
}

// A code for the resident of a case; it is gone from the page when the dialog is closed.
async function residentCode(name) {
  const { code, expiresAt, page } = await call(`/board/cases/${name}/resident-code`, {});
  const until = new Date(expiresAt).toLocaleTimeString("nl-NL", { timeStyle: "short" });
  const dialog = $("#code"), pairs = [["resident-code.code", el("strong", {}, code)], ["resident-code.until", until], ["resident-code.page", new URL(page, location).href]];
  $(".content", dialog).replaceChildren(el("p", {}, say("resident-code.how")), facts(pairs));
  dialog.addEventListener("close", () => $(".content", dialog).replaceChildren(), { once: true });
  dialog.showModal();
}

function actionsOf(referral) {
  const mine = (role, side, scope) => (referral[side] === me.organisation && me.scopes.includes(scope) ? me.actions[role][referral.status] ?? [] : []);
  return [...mine("receiver", "toOrganisation", "referrals:answer"), ...mine("sender", "fromOrganisation", "referrals:write")];
}
const button = (key, work, kind = "") => el("button", { type: "button", class: kind, onclick: doing(work) }, say(key));
const about = (kind, name) => (me.scopes.includes("persons:read") ? button("who", () => who(kind, name)) : null);

function referralCard(referral) {
  const changed = new Date(referral.changedAt).toLocaleString("nl-NL", { dateStyle: "medium", timeStyle: "short" });
  const pairs = [["from", organisation(referral.fromOrganisation)], ["to", organisation(referral.toOrganisation)], ["changed", changed],
    ["reason", referral.reason && say(`reason.${referral.reason}`)], ["outcome", referral.outcome && say(`outcome.${referral.outcome}`)]];
  const buttons = actionsOf(referral).map((action, i) => button(action, () => act(referral.referral, action), i || action === "cancel" ? "" : "primary"));
  return [el("div", { class: "head" }, el("h3", {}, service(referral.service)), el("span", { class: "badge" }, say(referral.status))),
    facts(pairs), el("div", { class: "actions" }, ...buttons, about("referrals", referral.referral))];
}

function proposed(one, proposal) {
  const rules = proposal.rules.map(({ rule, met, detail }) => {
    const outcome = met === true ? "met" : met === false ? "not-met" : "unknown", exact = `rule.${rule}.${detail}`;
    return el("li", { "data-rule": outcome }, el("span", { class: "unseen" }, say(outcome), ": "), say(exact in me.texts ? exact : `rule.${rule}.${outcome}`));
  });
  const running = [...KINDS.referrals.held.values()].find((each) => each.case === one.case && each.service === proposal.service && !ENDS.includes(each.status));
  const refer = me.scopes.includes("referrals:write") && button("refer", () => call("/board/referrals", { case: one.case, service: proposal.service }));
  return el("li", {}, el("div", {}, service(proposal.service), el("small", {}, organisation(proposal.organisation))),
    running ? el("span", { class: "badge" }, say(running.status)) : refer || null, el("ul", { class: "rules" }, ...rules));
}

function caseCard(one) {
  const badges = [el("span", { class: "badge" }, say(one.status)), el("span", { class: "badge" }, say(one.kind)),
    one.repeated ? el("span", { class: "badge" }, say("repeated")) : null, one.crisis ? el("span", { class: "badge danger" }, say("crisis")) : null];
  const flags = one.flags?.length ? el("ul", { class: "flags" }, ...one.flags.map((flag) => el("li", {}, say(`flag.${flag}` in me.texts ? `flag.${flag}` : "flag")))) : null;
  const proposals = one.status === "open" && one.proposals?.length
    ? el("details", {}, el("summary", {}, say("proposals"), ` (${one.proposals.length})`), el("ul", {}, ...one.proposals.map((each) => proposed(one, each)))) : null;
  return [el("div", { class: "head" }, el("h3", {}, say("case"), ` ${one.case.slice(0, 8)}`), ...badges.filter(Boolean)),
    facts([["signals", String(one.signals)], ["outcome", one.result]]), flags, proposals,
    el("div", { class: "actions" }, about("cases", one.case), me.residentCodes ? button("resident-code", () => residentCode(one.case)) : null)];
}

const KINDS = { referrals: { key: "referral", card: referralCard, held: new Map() }, cases: { key: "case", card: caseCard, held: new Map() } };
function show(name, view) {
  const kind = KINDS[name], list = $(`#${name} .cards`), id = view[kind.key], before = kind.held.get(id);
  if (before && view.version < before.version) return;
  const whole = name === "cases" && before ? { ...view, proposals: view.proposals ?? before.proposals } : view;
  kind.held.set(id, whole);
  const old = document.getElementById(id), focused = old?.contains(document.activeElement), open = old && $("details[open]", old);
  const card = el("li", { id, "data-status": whole.status, tabindex: "-1" }, ...kind.card(whole).filter(Boolean));
  if (open) $("details", card)?.setAttribute("open", "");
  if (old) old.replaceWith(card); else list.prepend(card);
  if (focused) card.focus();
  for (const extra of [...list.children].slice(CARDS)) { kind.held.delete(extra.id); extra.remove(); }
  $(`#${name} .empty`).hidden = list.children.length > 0;
  if (KINDS.cases.held.has(view.case) && name === "referrals") show("cases", KINDS.cases.held.get(view.case)); // its buttons
}

function live(yes) {
  const state = $("#live");
  if (state.dataset.live === (yes ? "yes" : "no")) return;
  state.dataset.live = yes ? "yes" : "no";
  state.replaceChildren(say(yes ? "live" : "not-live"));
}

function follow(n) {
  source = new EventSource(`/v1/events?after=${n}`);
  source.onopen = () => live(true);
  source.onerror = () => { live(false); if (source.readyState === EventSource.CLOSED) setTimeout(start, AGAIN_MS); };
  source.addEventListener(REFERRAL, ({ data }) => show("referrals", JSON.parse(data).data));
  source.addEventListener(CASE, ({ data }) => me.cases && show("cases", JSON.parse(data).data));
}

async function start() {
  try {
    me = await call("/board/me");
    const kinds = me.cases ? ["referrals", "cases"] : ["referrals"];
    const pages = await Promise.all(kinds.map((kind) => call(`/v1/${kind}?sort=newest&perPage=200`)));
    $("#cases").hidden = !me.cases;
    pages.forEach((page, i) => [...page.items].reverse().forEach((view) => show(kinds[i], view)));
    $("#message").hidden = true;
    follow(Math.min(...pages.map((page) => page.asOf)));
  } catch (problem) {
    if (problem?.status === 403) { // trying again would not help
      for (const each of ["#no-access", "#live", "#referrals", "#cases"]) $(each).hidden = each !== "#no-access";
      return;
    }
    if (problem?.status) complain(problem);
    setTimeout(start, AGAIN_MS);
  }
}

const language = (chosen) => { document.documentElement.lang = chosen; localStorage.setItem("language", chosen); };
$("#language").addEventListener("click", () => language(document.documentElement.lang === "nl" ? "en" : "nl"));
language(localStorage.getItem("language") === "en" ? "en" : "nl");
start();
