// What a function of Jackfield is given and may answer. The types are for editors and
// for who reads: they are taken away before the code runs, and nobody checks them then.
// `npx tsc --noEmit --strict --target es2020 --lib es2020 function.ts jackfield.d.ts`
// checks them beforehand.

/** What a hook is called with. */
export interface CallHook {
  event: CallEvent;
  /** Of `lookup`: the hook whose answer was lost. */
  hook?: string;
  /** The same however often the hook is called for this event. */
  idempotency_key: string;
  /** 1 for the first try. */
  attempt: number;
  /** What `savePreLogCRM` made for this call. */
  log?: { id: string; url?: string };
  /** Who the other side is: the contact that the agent chose of several, else the only one that was found. */
  contact?: CallContact;
  /** What hooks of earlier events of this call left in `CallAnswer.context`. */
  context?: Record<string, any>;
  /** The choices of the template's listOptions. */
  options?: Record<string, boolean>;
}

/** Something that happened in a call, to a message or in a form. Times are RFC 3339. */
export interface CallEvent {
  type:
    | "call.started" | "call.connected" | "call.updated" | "call.ended" | "call.wrapup"
    | "sms.sent" | "ticket.create" | "contact.create";
  call_id: string;
  leg_id?: string;
  agent?: string;
  direction?: "in" | "out";
  from?: string;
  to?: string;
  /** Of the other side: who calls, or who is called. */
  number?: string;
  at: string;
  started_at?: string;
  connected_at?: string;
  ended_at?: string;
  /** Of call.ended. */
  result?: "COMPLETED" | "BUSY" | "NO_ANSWER" | "CANCELED" | "FAILED" | "REJECTED" | "MISSED";
  /** Seconds that people spoke. */
  duration?: number;
  recording?: string;
  disposition?: string;
  /** Of call.updated: hold, resume, transfer, note or contact. */
  update?: string;
  transfer_to?: string;
  /** Of a note or a message. */
  text?: string;
  /** Of a form, or what the sender of the event adds. */
  fields?: Record<string, any>;
  /** Read from the page of the CRM. */
  user_info?: Record<string, string>;
}

/** What a hook answers. What it leaves out is not there. */
export interface CallAnswer {
  /** Those that the number belongs to: none, one, or several to choose from. */
  contacts?: CallContact[];
  /** What the screen shows. */
  iframe?: Screen;
  /** Sends a call that rings elsewhere. */
  route?: { to: string };
  /** Refuses a call that rings. */
  reject?: { reason?: string };
  /** Of what was made: a log, a note, a ticket, a contact. */
  id?: string;
  url?: string;
  /** Why the CRM did not make it, by the field of the form. */
  field_errors?: Record<string, string>;
  /** Kept for the hooks of later events of this call; null removes a name. */
  context?: Record<string, any>;
}

export interface CallContact {
  id: string;
  name?: string;
  company?: string;
  title?: string;
  phone?: string;
  email?: string;
  url?: string;
  kind?: string;
  extra?: Record<string, any>;
}

/** What an agent sees. It has no markup: every text is shown as it is. */
export interface Screen {
  title?: string;
  components?: Component[];
}

/** An entry of a list, or a cell of a table. The address is one of http or https. */
export interface ScreenValue {
  label?: string;
  text?: string;
  url?: string;
}

export type Component =
  | { type: "text" | "phone" | "email"; label?: string; text: string }
  | { type: "link"; label?: string; text: string; url: string }
  | { type: "list"; label?: string; items: ScreenValue[] }
  | { type: "table"; label?: string; columns: string[]; rows: ScreenValue[][] }
  | { type: "form"; label?: string; action: Action; fields: ScreenField[]; submit?: string }
  | { type: "button"; label?: string; action: Action; values?: Record<string, string> };

export type Action = "ticket.create" | "contact.create" | "note";

export interface ScreenField {
  name: string;
  label?: string;
  kind?: "text" | "multiline" | "email" | "phone" | "number" | "date" | "select" | "checkbox";
  value?: string;
  help?: string;
  required?: boolean;
  options?: { value: string; label?: string }[];
}

/** What a function may ask of the host, until its call ends. */
export interface Context {
  readonly tenant: string;
  readonly integration: string;
  /** The settings of the integration, as plugin.yaml declares them; secrets too. */
  readonly fields: Record<string, any>;
  /** The choices that the integration makes of the listOptions of template.yaml, or of the template that plugin.yaml names. */
  readonly options: Record<string, boolean>;
  /** Calls an endpoint of template.yaml, or of the template that plugin.yaml names. It throws a CallError. */
  endpoint(name: string, body?: Record<string, any>): Promise<EndpointResult>;
  /** Makes a request to a host that plugin.yaml or a setting names. It throws a CallError if there is no answer. */
  fetch(url: string, init?: FetchInit): Promise<FetchAnswer>;
  readonly cache: {
    /** The value, or undefined if there is none or it is too old. */
    get(key: string, options?: { scope?: CacheScope }): Promise<any>;
    /** Keeps a value of at most 64 KiB; ttl is in seconds, a day if it is not given. */
    put(key: string, value: any, options?: { ttl?: number; scope?: CacheScope }): Promise<void>;
  };
  readonly log: Record<"debug" | "info" | "warn" | "error", (...what: any[]) => void>;
}

/**
 * Who shares a cached value: this integration alone, the tenant's integrations of this
 * plugin, or all of this plugin, in which nothing of a tenant may go.
 */
export type CacheScope = "integration" | "tenant" | "plugin";

export interface EndpointResult {
  /** Of HTTP. */
  status: number;
  /** JSON as the CRM answered it, or null. */
  body: any;
  /** What the endpoint's mapping found: contacts, tickets, call logs, lists. */
  items: ({ shape: string; extra?: Record<string, any> } & Record<string, any>)[];
}

export interface FetchInit {
  method?: string;
  headers?: Record<string, string>;
  /** A text, or what is sent as JSON. */
  body?: string | Record<string, any> | any[];
  /** 3 redirections are followed at most, and no header or body goes along to another host; none if it is not given. */
  redirect?: "follow" | "manual";
  /** In milliseconds; the call's own deadline holds in any case. */
  timeout?: number;
}

export interface FetchAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
  json(): Promise<any>;
}

/**
 * What endpoint and fetch throw. A function may throw one of its own: an Error with
 * class and code, which say what the host does about it.
 */
export interface CallError extends Error {
  class: "config" | "auth" | "transient" | "rate_limited" | "remote" | "system";
  code: string;
  status?: number;
  /** What is known of the request: unknown means that it may have arrived. */
  outcome?: "not_sent" | "failed" | "unknown";
  /** What the CRM says of single fields. */
  fields?: Record<string, string>;
}

/** Every hook of a call has this shape. */
export type Hook = (call: CallHook, ctx: Context) => CallAnswer | Promise<CallAnswer>;

// What the world of a function has beside the language.
declare global {
  const console: Record<"log" | "debug" | "info" | "warn" | "error", (...what: any[]) => void>;
  function setTimeout(done: (...args: any[]) => void, milliseconds?: number, ...args: any[]): number;
  function clearTimeout(timer: number): void;
  function btoa(bytes: string): string;
  function atob(text: string): string;
}
