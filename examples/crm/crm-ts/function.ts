import type { CallAnswer, CallContact, CallError, CallHook, Component, Context } from "./jackfield";

/** A call begins: who is it, and what does the agent see? */
export async function getDataIframe(call: CallHook, ctx: Context): Promise<CallAnswer> {
  const found = (await ctx.endpoint("find-contact", { number: call.event.number })).items;
  const contacts: CallContact[] = found.map(({ id, name, company, phone, email, url }) => ({ id, name, company, phone, email, url }));
  const iframe = { title: title(contacts), components: [] as Component[] };
  if (contacts.length === 1) iframe.components.push(...(await history(contacts[0], ctx)));
  iframe.components.push(contacts.length === 0 ? newContact(call.event.number ?? "") : newTicket());
  return { contacts, iframe };
}

/** It is connected: a log begins. */
export async function savePreLogCRM(call: CallHook, ctx: Context): Promise<CallAnswer> {
  return made(await ctx.endpoint("begin-log", given(call)));
}

/** It has ended: the log is completed, or made if the call was never connected. */
export async function saveLogCRM(call: CallHook, ctx: Context): Promise<CallAnswer> {
  return made(await ctx.endpoint(call.log ? "complete-log" : "begin-log", given(call)));
}

export async function createSMSNote(call: CallHook, ctx: Context): Promise<CallAnswer> {
  return made(await ctx.endpoint("add-message", given(call)));
}

export async function handleCreateTicket(call: CallHook, ctx: Context): Promise<CallAnswer> {
  return form("add-ticket", call, ctx);
}

export async function handleCreateContact(call: CallHook, ctx: Context): Promise<CallAnswer> {
  return form("add-contact", call, ctx);
}

/** The answer of a write was lost: did it arrive? */
export async function lookup(call: CallHook, ctx: Context): Promise<CallAnswer> {
  return made(await ctx.endpoint("written", given(call)));
}

/** What the endpoints take from the call: of several contacts the one that the agent chose. */
function given(call: CallHook) {
  return { ...call.event, contact_id: call.contact?.id, log: call.log ?? {}, idempotency_key: call.idempotency_key };
}

function made({ body }: { body: any }): CallAnswer {
  return { id: body.id, url: body.url };
}

/** Sends a form; what the CRM says of its fields goes back to the agent. */
async function form(endpoint: string, call: CallHook, ctx: Context): Promise<CallAnswer> {
  try {
    return made(await ctx.endpoint(endpoint, given(call)));
  } catch (err) {
    const { outcome, fields } = err as CallError;
    if (outcome === "failed" && fields && Object.keys(fields).length > 0) return { field_errors: fields };
    throw err;
  }
}

function title(contacts: CallContact[]): string {
  if (contacts.length === 1) return contacts[0].name ?? "";
  return contacts.length === 0 ? "Unknown caller" : "Several contacts";
}

async function history(contact: CallContact, ctx: Context): Promise<Component[]> {
  const of = async (endpoint: string) => {
    try {
      return (await ctx.endpoint(endpoint, { contact_id: contact.id })).body.items as any[];
    } catch (err) {
      ctx.log.warn(endpoint, (err as Error).message); // the screen goes without them
      return [];
    }
  };
  const [tickets, calls] = await Promise.all([of("tickets"), of("calls")]);
  return [
    {
      type: "table",
      label: "Tickets",
      columns: ["Subject", "Priority", "State"],
      rows: tickets.map((t) => [{ text: t.subject, url: t.url }, { text: t.priority }, { text: t.state }]),
    },
    { type: "list", label: "Calls before", items: calls.map((c) => ({ label: c.when, text: `${c.result}, ${c.agent}`, url: c.url })) },
  ];
}

function newContact(phone: string): Component {
  return {
    type: "form",
    label: "New contact",
    action: "contact.create",
    submit: "Make the contact",
    fields: [
      { name: "name", label: "Name", required: true },
      { name: "company", label: "Company" },
      { name: "phone", label: "Phone", kind: "phone", value: phone },
      { name: "email", label: "E-mail", kind: "email" },
    ],
  };
}

function newTicket(): Component {
  return {
    type: "form",
    label: "New ticket",
    action: "ticket.create",
    submit: "Make the ticket",
    fields: [
      { name: "subject", label: "Subject", required: true },
      { name: "text", label: "What is it about", kind: "multiline" },
      { name: "priority", label: "Priority", kind: "select", value: "normal", required: true, options: [{ value: "low" }, { value: "normal" }, { value: "high" }] },
    ],
  };
}
