package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// SchemaFile is the name under which files refer to the schema of configuration.
const SchemaFile = "jackfield.schema.json"

type schemaNode = map[string]any

// Schema returns one JSON Schema for host.yaml and tenant files, with the settings
// of the plugins whose manifests are given, for editors.
func Schema(manifests []sdk.Manifest) ([]byte, error) {
	manifests = slices.Clone(manifests)
	slices.SortFunc(manifests, func(a, b sdk.Manifest) int { return cmp.Compare(a.Name, b.Name) })
	defs := schemaNode{
		"host": hostSchema(), "tenant": tenantSchema(), "defaults": defaultsSchema(),
		"schedule": scheduleSchema(), "limit": limitSchema(),
	}
	var choices []any
	for _, m := range manifests {
		name := "plugin." + m.Name
		settings, err := embedded(m.SettingsSchema, "#/$defs/"+name)
		if err != nil {
			return nil, fmt.Errorf("settings schema of plugin %s: %w", m.Name, err)
		}
		defs[name] = settings
		choices = append(choices, schemaNode{
			"if":   schemaNode{"properties": schemaNode{"plugin": schemaNode{"const": m.Name}}, "required": []string{"plugin"}},
			"then": schemaNode{"properties": schemaNode{"settings": schemaNode{"$ref": "#/$defs/" + name}, "connectors": connectorsSchema(m)}},
		})
	}
	integration := integrationSchema(manifests)
	if len(choices) > 0 {
		integration["allOf"] = choices
	}
	defs["integration"] = integration
	return json.MarshalIndent(schemaNode{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "Configuration of Jackfield: host.yaml and tenants/*.yaml",
		"type":    "object",
		"if":      schemaNode{"required": []string{"tenant"}},
		"then":    schemaNode{"$ref": "#/$defs/tenant"},
		"else":    schemaNode{"$ref": "#/$defs/host"},
		"$defs":   defs,
	}, "", "  ")
}

// embedded returns a plugin's schema with its local references made to work at a
// place inside another one.
func embedded(raw []byte, at string) (any, error) {
	if len(raw) == 0 {
		return schemaNode{"type": "object"}, nil
	}
	var root schemaNode
	if err := json.Unmarshal(raw, &root); err != nil {
		return nil, err
	}
	delete(root, "$id")
	delete(root, "$schema")
	var move func(any) any
	move = func(v any) any {
		switch v := v.(type) {
		case schemaNode:
			for key, sub := range v {
				if ref, ok := sub.(string); ok && key == "$ref" && strings.HasPrefix(ref, "#") {
					v[key] = at + strings.TrimPrefix(ref, "#")
					continue
				}
				v[key] = move(sub)
			}
			return referable(v)
		case []any:
			for i := range v {
				v[i] = move(v[i])
			}
		}
		return v
	}
	return move(root), nil
}

// referable lets a constrained string be a reference too: what it stands for is
// checked when it is known.
func referable(node schemaNode) schemaNode {
	_, pattern := node["pattern"].(string)
	_, format := node["format"].(string)
	_, least := node["minLength"].(float64)
	_, most := node["maxLength"].(float64)
	words, _ := node["enum"].([]any)
	_, word := node["const"].(string)
	for _, w := range words {
		_, isText := w.(string)
		word = word || isText
	}
	if !pattern && !format && !least && !most && !word {
		return node
	}
	out := schemaNode{"anyOf": []any{node, schemaNode{"type": "string", "pattern": `\$\{`}}}
	for _, key := range []string{"title", "description", "default"} { // editors show those outside
		if v, ok := node[key]; ok {
			out[key] = v
		}
	}
	return out
}

// closed returns the schema of a mapping without other keys.
func closed(properties schemaNode, required ...string) schemaNode {
	out := schemaNode{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func described(kind, text string) schemaNode { return schemaNode{"type": kind, "description": text} }

func nameSchema(text string) schemaNode {
	return schemaNode{"type": "string", "pattern": `^[a-z0-9][a-z0-9._-]{0,62}$`, "description": text}
}

// pluginsSchema is that of plugins: its own keys, and the names of plugins.
func pluginsSchema(properties schemaNode) schemaNode {
	out := closed(properties)
	out["additionalProperties"] = closed(schemaNode{
		"idle": schemaNode{"type": []string{"string", "integer"}, "description": "After how long this plugin, if nothing calls it, is stopped, instead of idle of plugins."},
		"isolation": schemaNode{
			"enum":        []string{string(IsolationProcess), string(IsolationTenant)},
			"description": "Who shares a process of this plugin. process, if nothing is said: all tenants. tenant: the integrations of one tenant, so that it reaches and holds nothing of another's. Needs a restart.",
		},
	})
	return out
}

func hostSchema() schemaNode {
	return closed(schemaNode{
		"version": schemaNode{"const": Version, "description": "The version of this file."},
		"listen":  described("string", "Address of the HTTP listener, 127.0.0.1:7480 if absent; off: none. Beyond this machine it needs tls. Needs a restart."),
		"tls": closed(schemaNode{
			"cert": described("string", "File of the HTTP listener's certificate, PEM, with those that signed it behind it. Read again when it changes."),
			"key":  described("string", "File of its key, PEM."),
		}, "cert", "key"),
		"hosts":     schemaNode{"type": "array", "items": schemaNode{"type": "string"}, "description": "Names that the HTTP listener is reached by, besides those of this machine; a request for another name is refused. Needs a restart."},
		"data":      described("string", "Directory of the store. Needs a restart."),
		"tenants":   described("string", "Directory of the tenants' files, *.yaml; read again when they change."),
		"templates": described("string", "Directory of the templates, *.yaml; read again when they change."),
		"key":       described("string", "The key file; made at the first start, never inside data."),
		"plugins": pluginsSchema(schemaNode{
			"dir":             described("string", "Directory of the plugins' binaries."),
			"trust":           schemaNode{"enum": []string{string(TrustLock), string(TrustSigned), string(TrustDir)}, "description": "lock: what plugins.lock approves. signed: what a key of keys signed. dir: everything; with serve --dev alone. Needs a restart."},
			"keys":            schemaNode{"type": "array", "minItems": 1, "items": schemaNode{"type": "string"}, "description": "minisign public keys of those whose plugins may run, for trust: signed. Needs a restart."},
			"probation":       described("string", "How long a new version that fails gives way to the one before; 5m if it is left out."),
			"drain":           described("string", "How long calls of the version before have to end; 20s if it is left out."),
			"on_incompatible": schemaNode{"enum": []string{string(IncompatibleRefuse), string(IncompatiblePark)}, "description": "What happens when a new version does not take the settings of integrations. refuse, the default: the one before goes on. park: it takes over, and they are parked."},
			"on_remove":       schemaNode{"enum": []string{string(RemovedStop), string(RemovedKeep)}, "description": "What happens to a plugin whose file is removed. stop, the default: its calls end and its integrations are parked. keep: it goes on as long as plugins.lock names it; with trust: lock alone. Needs a restart."},
			"idle":            schemaNode{"type": []string{"string", "integer"}, "description": "After how long a plugin that nothing calls is stopped, until its next call starts it again, such as 10m, the default; 0 lets every plugin run."},
			"network": schemaNode{
				"type": "object", "additionalProperties": schemaNode{"enum": []string{string(NetworkProxy), string(NetworkDirect)}},
				"description": "How plugins reach remote systems, by name. proxy, if nothing is said: through the host, to the hosts that the manifest and the settings name. direct: by themselves, wherever they want. Needs a restart.",
			},
			"max_processes": schemaNode{"type": "integer", "minimum": 1, "maximum": mostProcesses, "description": "How many processes a plugin with isolation: tenant may have at once; 32 if absent. Needs a restart."},
			"sandbox": closed(schemaNode{
				"require":      schemaNode{"enum": []string{"full", "partial", "none"}, "description": "How much of the sandbox this machine must have for a plugin to be started; none if absent. Needs a restart."},
				"require_user": schemaNode{"type": "boolean", "description": "Starts no plugin that cannot have a user of its own, but those that are trusted; false if absent. Needs a restart."},
				"trusted":      schemaNode{"type": "array", "items": nameSchema("A plugin."), "description": "Plugins that run without the sandbox, with all rights of the daemon's user. Needs a restart."},
			}),
			"memory": schemaNode{"type": []string{"string", "integer"}, "pattern": `^[0-9]+ *([KMG]iB)?$`, "minimum": leastMemory, "description": "How much each process of a plugin may have, such as 512MiB; 1GiB if absent. Needs a restart."},
			"users":  schemaNode{"type": "string", "pattern": `^(off|[0-9]+-[0-9]+)$`, "description": "Numbers of users and groups that nobody else of this machine has, such as " + defaultUsers().String() + ", the default: a daemon that is root runs each plugin as one of them. off: as the daemon's user. Needs a restart."},
		}),
		"log": closed(schemaNode{
			"level":  schemaNode{"enum": []string{"trace", "debug", "info", "warn", "error"}},
			"format": schemaNode{"enum": []string{"text", "json"}},
		}),
		"snapshots": closed(schemaNode{
			"every": schemaNode{"type": []string{"string", "integer"}, "description": "A verified copy of the store each time, such as 24h, the default; 0 makes none."},
			"keep":  schemaNode{"type": "integer", "minimum": 1, "maximum": maxSnapshots, "description": "How many are kept; 7 if absent."},
			"dir":   described("string", "Where; snapshots in the data directory if absent. Better on another disk."),
		}),
		"telemetry": closed(schemaNode{
			"otlp": closed(schemaNode{
				"endpoint": described("string", "URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. Needs a restart."),
				"share":    schemaNode{"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "The share of runs that are traced; 1, all of them, if it is left out. Needs a restart."},
			}, "endpoint"),
		}),
		"egress": closed(schemaNode{
			"allow": schemaNode{
				"type": "array", "uniqueItems": true, "items": schemaNode{"type": "string"},
				"description": "What plugins may reach beyond the public Internet, if their manifest or settings name it: hosts such as crm.internal:8443, addresses, ranges such as 10.1.0.0/16.",
			},
		}),
		"calls": closed(schemaNode{
			"lookup": described("string", "How long a lookup may take when a call comes, if its template does not say; 3s if it is left out."),
			"retry":  described("string", "How long what is written for a call is tried again while it does not arrive; 72h if it is left out."),
			"keep":   described("string", "How long calls are kept that are over; 720h if it is left out, at least 25h."),
		}),
		"defaults":     schemaNode{"$ref": "#/$defs/defaults"},
		"delete_guard": schemaNode{"type": "number", "minimum": 0, "maximum": 1, "description": "The share of a kind's records above which a full sync deletes nothing; 0.2 if it is left out."},
		"paused":       described("boolean", "true keeps every run from beginning or going on; what is read stays readable."),
		"stuck_after":  described("string", "How long a run may make no progress before it is told of and helped on, such as 2h; 1h if it is left out."),
		"retention": closed(schemaNode{
			"runs":    keptSchema("How long a run is kept after its end, with its streams and warnings; 2160h if it is left out."),
			"deleted": keptSchema("How long the feed tells that a record was deleted; 720h if it is left out."),
			"events":  keptSchema("How long events are kept; 2160h if it is left out."),
		}),
	}, "version")
}

func keptSchema(text string) schemaNode {
	return schemaNode{"type": []string{"string", "integer"}, "pattern": `^(0|([0-9.]+(h|m|s|ms))+)$`, "maximum": 0, "minimum": 0, "description": text + " 0 keeps it for ever."}
}

func tenantSchema() schemaNode {
	return closed(schemaNode{
		"tenant":   nameSchema("The tenant that this file declares; one file a tenant."),
		"defaults": schemaNode{"$ref": "#/$defs/defaults"},
		"screens": closed(schemaNode{
			"origins": schemaNode{
				"type": "array", "uniqueItems": true, "maxItems": maxOrigins, "items": schemaNode{"type": "string", "pattern": "^https?://[^/*]+$"},
				"description": "The pages that may embed the screens of this tenant's calls, such as https://crm.acme.example; nobody may if it is left out. They may refer: ${env:NAME}.",
			},
		}),
		"integrations": schemaNode{"type": []string{"array", "null"}, "items": schemaNode{"$ref": "#/$defs/integration"}},
	}, "tenant")
}

func integrationSchema(manifests []sdk.Manifest) schemaNode {
	plugin := nameSchema("The plugin that does the work.")
	for _, m := range manifests {
		known, _ := plugin["examples"].([]string)
		plugin["examples"] = append(known, m.Name)
	}
	properties := schemaNode{
		"name":           nameSchema("Unique in the tenant."),
		"label":          schemaNode{"type": "string", "minLength": 3, "maxLength": 255, "description": "For people."},
		"description":    schemaNode{"type": "string", "maxLength": store.MaxDescription, "description": "For people: what it is for, whom to ask."},
		"plugin":         plugin,
		"connectors":     schemaNode{"type": "array", "items": nameSchema(""), "uniqueItems": true, "description": "What to import; all of the plugin's if absent."},
		"enabled":        described("boolean", "false stops it and keeps its data."),
		"on_disable":     schemaNode{"enum": []string{"abort", "finish"}, "description": "What becomes of the run that has begun when the integration is disabled: it is cancelled, or goes on to its end."},
		"on_type_change": schemaNode{"enum": []string{"pass", "quarantine", "halt"}, "description": "What becomes of a record with a field of another type than before: it is stored, left out with a warning, or ends its stream."},
		"log_warnings":   described("boolean", "true logs each record that is skipped."),
		"settings":       described("object", "Of the plugin. Strings may refer: ${env:NAME}, ${file:PATH}."),
		"moved_from":     nameSchema("The name before; keeps state and data."),
		"lookup":         described("string", "How long a lookup may take when a call comes, such as 2s; as the template or calls.lookup of host.yaml says if it is left out."),
		"template":       nameSchema("The template that it is of, instead of a plugin."),
		"callcenter":     described("string", "Of a template: the call center whose calls it is for."),
		"host":           described("string", "Of a template: the host of the remote system, without https://."),
		"info":           described("object", "Of a template, or of a plugin that has one: instead of the template's, key by key."),
		"iframe":         described("object", "Of a template, or of a plugin that has one: instead of the template's, key by key."),
		"fields":         described("object", "Of a template: the values of its parameters. Strings may refer: ${env:NAME}, ${file:PATH}."),
	}
	schedule, _ := scheduleSchema()["properties"].(schemaNode)
	maps.Copy(properties, schedule)
	out := closed(properties, "name")
	out["oneOf"] = []any{schemaNode{"required": []string{"plugin"}}, schemaNode{"required": []string{"template"}}}
	return out
}

func connectorsSchema(m sdk.Manifest) schemaNode {
	names := []string{}
	for _, c := range m.Connectors {
		names = append(names, c.Name)
	}
	return schemaNode{"items": schemaNode{"enum": names}}
}

func defaultsSchema() schemaNode {
	return closed(schemaNode{
		"plugins": schemaNode{
			"type": "object", "additionalProperties": schemaNode{"$ref": "#/$defs/schedule"},
			"description": "By plugin, for integrations that do not say themselves.",
		},
		"timezone":           described("string", "IANA name of the time zone of cron rules that name none, such as Europe/Berlin."),
		"onboarding_max_age": maxAgeSchema(),
	})
}

func scheduleSchema() schemaNode {
	return closed(schemaNode{
		"every": schemaNode{
			"anyOf":       []any{schemaNode{"type": "integer", "maximum": maxEvery}, schemaNode{"type": "string", "pattern": `^-?[0-9]+( ticks?)?$`}},
			"description": "Ticks of one minute between checks; 0 is every tick, -1 never.",
		},
		"cron":               described("string", "Instead of every: minute, hour, day, month and weekday, such as 30 6 * * 1-5; H stands for a value that differs among integrations."),
		"timezone":           described("string", "IANA name of the time zone that cron is meant in, such as Europe/Berlin; UTC if nothing is said."),
		"concurrency":        schemaNode{"type": "integer", "minimum": 1, "maximum": maxConcurrency, "description": "Streams at once."},
		"page_size":          schemaNode{"type": "integer", "minimum": 1, "maximum": maxPageSize, "description": "Records that a plugin asks the remote system for at once; as the plugin says if it is left out."},
		"limit":              schemaNode{"$ref": "#/$defs/limit"},
		"onboarding_max_age": maxAgeSchema(),
	})
}

func maxAgeSchema() schemaNode {
	return schemaNode{"type": []string{"string", "integer"}, "description": "How old the onboarding may get before it ends in error, such as 168h, which it is if nothing is said; 0 lets it go on for ever."}
}

func limitSchema() schemaNode {
	return closed(schemaNode{
		"records":           schemaNode{"type": "integer", "minimum": 1, "description": "How many in a period; what comes beyond waits for the next one."},
		"per":               described("string", "The period, such as 24h. Without it each run has the limit for itself, and ends partial when it is reached."),
		"onboarding_factor": schemaNode{"type": "number", "exclusiveMinimum": 0, "description": "How many times as many while onboarding."},
		"key":               described("string", "One limit for all of the tenant's integrations with this key, which have the same records and per."),
	}, "records")
}
