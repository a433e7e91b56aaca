"use strict";

const $ = (id) => document.getElementById(id);
const TEXTS = {
  answer: { nl: "Geef een antwoord op vraag", en: "Answer question" },
  fill: { nl: "Vul in of verbeter", en: "Fill in or correct" },
  service: { nl: "Kies hulp", en: "Choose help" },
  contact: { nl: "Vul een telefoonnummer of e-mailadres in", en: "Fill in a telephone number or an e-mail address" },
  consent: { nl: "Geef toestemming", en: "Give your consent" },
  code: { nl: "De code klopt niet. Kijk nog eens, of vraag een nieuwe aan.", en: "The code is not right. Look again, or ask for a new one." },
  away: { nl: "Dat lukte nu niet. Probeer het straks nog eens.", en: "That did not work now. Try again in a while." },
  check: { nl: "Kijk dit nog even na:", en: "Please look at this again:" },
};
let test = null;

// Both languages are always in the page; the attribute on <html> says which one shows.
function both(text) {
  const parts = ["nl", "en"].map((language) => {
    const span = document.createElement("span");
    span.lang = language;
    span.textContent = text[language];
    return span;
  });
  const whole = document.createDocumentFragment();
  whole.append(...parts);
  return whole;
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": randomKey() },
      body: JSON.stringify(body),
    });
    return { ok: answer.ok, status: answer.status, body: await answer.json() };
  } catch {
    return { ok: false, status: 0, body: {} };
  }
}

function complain(form, complaints) {
  const box = form.querySelector(".errors");
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  box.replaceChildren();
  box.hidden = complaints.length === 0;
  if (box.hidden) return;
  const list = document.createElement("ul");
  for (const { text, target, extra } of complaints) {
    const item = document.createElement("li");
    const place = target ? document.createElement("a") : item;
    place.append(both({ nl: text.nl + (extra?.nl ?? ""), en: text.en + (extra?.en ?? "") }));
    if (target) {
      place.href = `#${target.id}`;
      place.addEventListener("click", (event) => { event.preventDefault(); target.focus(); });
      target.setAttribute("aria-invalid", "true");
      item.append(place);
    }
    list.append(item);
  }
  const lead = document.createElement("strong");
  lead.append(both(TEXTS.check));
  box.append(lead, list);
  box.focus();
}

function labelOf(field) {
  const spans = document.querySelectorAll(`label[for="${field.id}"] > span`);
  return { nl: `: ${spans[0].textContent}`, en: `: ${spans[1].textContent}` };
}

function show(section, title) {
  for (const each of ["questions", "result", "verify-step", "done"]) $(each).hidden = each !== section;
  $(title).focus();
  window.scrollTo(0, 0);
}

async function busy(form, work) {
  const button = form.querySelector("button.main");
  button.disabled = true;
  try { await work(); } finally { button.disabled = false; }
}

function answers(form) {
  const given = {};
  for (const set of form.querySelectorAll("[data-question]")) {
    given[set.dataset.question] = Array.from(set.querySelectorAll("input:checked"), (input) => input.value);
  }
  return given;
}

$("test").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const given = answers(form);
  const missing = Object.keys(given).map((id, index) => [id, index + 1]).filter(([id]) => given[id].length === 0);
  const complaints = missing.map(([id, number]) => ({
    text: TEXTS.answer, extra: { nl: ` ${number}`, en: ` ${number}` }, target: $(`question-${id}`).querySelector("input"),
  }));
  complain(form, complaints);
  if (complaints.length) return;
  busy(form, async () => {
    const body = { questionnaire: form.dataset.questionnaire, municipality: $("municipality").value, answers: given };
    const answer = await post("/v1/tests", body);
    if (!answer.ok) return complain(form, [{ text: TEXTS.away }]);
    showResult(answer.body);
  });
});

function showResult(outcome) {
  test = outcome.test;
  $("urgent").hidden = !outcome.urgent;
  $("exit").replaceChildren(both(outcome.exitText));
  $("reasons").replaceChildren(...outcome.reasons.map((reason) => {
    const item = document.createElement("li");
    item.append(both(reason.text));
    return item;
  }));
  for (const old of $("services").querySelectorAll(".option")) old.remove();
  $("services").append(...outcome.services.map(serviceOption));
  const none = outcome.services.length === 0;
  $("services").hidden = $("details").hidden = none;
  $("no-services").hidden = !none;
  show("result", "result-title");
}

function serviceOption(service) {
  const row = document.createElement("div");
  row.className = "option";
  const input = Object.assign(document.createElement("input"), {
    type: "radio", name: "service", value: service.service, id: `service-${service.service}`,
  });
  const label = document.createElement("label");
  label.htmlFor = input.id;
  label.textContent = service.name;
  const small = document.createElement("small");
  small.textContent = service.description || "";
  label.append(small);
  row.append(input, label);
  return row;
}

function choiceBody() {
  const value = (id) => $(id).value.trim() || null;
  const number = value("houseNumber");
  return {
    service: document.querySelector('input[name="service"]:checked')?.value,
    contact: {
      name: value("name"), phone: value("phone"), email: value("email"), birthDate: value("birthDate"),
      postcode: value("postcode"), houseNumber: /^\d+$/.test(number || "") ? Number(number) : null,
      houseNumberAddition: value("houseNumberAddition"),
    },
    safeContact: {
      secretAddress: $("secretAddress").checked,
      doNot: Array.from(document.querySelectorAll('input[name="doNot"]:checked'), (input) => input.value),
    },
    consent: $("consent").checked,
  };
}

function choiceComplaints(body) {
  const found = [];
  if (!body.service) found.push({ text: TEXTS.service, target: $("services").querySelector("input") });
  for (const id of ["name", "birthDate", "postcode", "houseNumber"]) {
    if (!body.contact[id]) found.push({ text: TEXTS.fill, extra: labelOf($(id)), target: $(id) });
  }
  if (!body.contact.phone && !body.contact.email) found.push({ text: TEXTS.contact, target: $("phone") });
  if (!body.consent) found.push({ text: TEXTS.consent, target: $("consent") });
  return found;
}

$("choice").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const body = choiceBody();
  const complaints = choiceComplaints(body);
  complain(form, complaints);
  if (complaints.length) return;
  busy(form, async () => {
    const answer = await post(`/v1/tests/${test}/choice`, body);
    if (answer.ok) return show("verify-step", "verify-title");
    const fields = (answer.body.errors || []).map((error) => $(error.pointer.split("/").pop())).filter(Boolean);
    complain(form, fields.length
      ? fields.map((field) => ({ text: TEXTS.fill, extra: labelOf(field), target: field }))
      : [{ text: TEXTS.away }]);
  });
});

$("verify").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  complain(form, []);
  busy(form, async () => {
    const answer = await post(`/v1/tests/${test}/choice/verify`, { code: $("code").value.trim() });
    if (answer.ok) return show("done", "done-title");
    complain(form, [answer.status === 400 || answer.status === 409 ? { text: TEXTS.code, target: $("code") } : { text: TEXTS.away }]);
  });
});

$("again").addEventListener("click", async () => {
  const answer = await post(`/v1/tests/${test}/choice`, choiceBody());
  complain($("verify"), answer.ok ? [] : [{ text: TEXTS.away }]);
  $("asked").hidden = !answer.ok;
});

$("language").addEventListener("click", () => {
  const root = document.documentElement;
  root.lang = root.dataset.language = root.dataset.language === "nl" ? "en" : "nl";
});
