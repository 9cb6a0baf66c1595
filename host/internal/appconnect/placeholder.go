package appconnect

import (
	"regexp"
	"strconv"
	"strings"
)

// What the placeholders of operations are of a call of ours. What an event or a caller
// says itself under the placeholder's own name goes first.
const (
	number    = `body?.phoneNumber ?? call.number`
	contact   = `(len(context.found ?? []) == 1 ? context.found[0] : nil)` // before anybody chose
	callID    = `call.call_id`
	startTime = `body?.startTime ?? call.started_at ?? call.connected_at ?? call.at`
	endTime   = `body?.endTime ?? call.ended_at ?? call.started_at ?? call.at`
	direction = `{"in": "Inbound", "out": "Outbound"}[call.direction ?? ""]`
	result    = `{"COMPLETED": "Call connected", "BUSY": "Busy", "NO_ANSWER": "No Answer", "CANCELED": "Hang Up", "FAILED": "Call Failed", "REJECTED": "Rejected", "MISSED": "Missed"}[call.result ?? ""]`
	person    = `call.contact?.name ?? ` + contact + `?.name`
	subject   = `body?.subject ?? ((call.direction == "out" ? "Outbound Call to " : "Inbound Call from ") + (` + person + ` ?? call.number ?? "unknown"))`
	note      = `body?.note ?? call.text`
	recording = `body?.recordingLink ?? call.recording`
	logID     = `body?.thirdPartyLogId ?? call.log?.id`
)

// placeholders are the expressions of what the placeholders stand for.
func placeholders() map[string]string {
	out := map[string]string{
		"phoneNumber": number, "startTime": startTime, "endTime": endTime, "subject": subject, "note": note,
		"duration": `body?.duration ?? call.duration`, "result": `body?.result ?? ` + result,
		"recordingLink": recording, "recordingDownloadLink": `body?.recordingDownloadLink ?? call.recording`,
		"thirdPartyLogId": logID, "existingCallLog.thirdPartyLogId": logID, "existingCallLog.id": callID, "existingCallLog.sessionId": callID,
		"contactId": `body?.contactId ?? ` + contactValue("id"), "newContactName": `body?.newContactName ?? body?.name`,
		"newContactType": `body?.newContactType ?? body?.type`, "creationTime": `body?.creationTime ?? call.at`, "name": `body?.name`,
		"callLog.direction": `body?.callLog?.direction ?? ` + direction, "callLog.result": `body?.callLog?.result ?? ` + result,
		"callLog.duration": `body?.callLog?.duration ?? call.duration`, "callLog.startTime": `body?.callLog?.startTime ?? call.started_at ?? call.at`,
		"callLog.customSubject": subject,
		"message.direction":     `body?.message?.direction ?? ` + direction, "message.subject": `body?.message?.subject ?? call.text`,
		"message.creationTime": `body?.message?.creationTime ?? call.at`, "message.id": `body?.message?.id ?? ` + callID,
	}
	for _, name := range []string{"id", "name", "phoneNumber", "phone", "type"} {
		out["contactInfo."+name] = `body?.contactInfo?.` + name + ` ?? ` + contactValue(name)
	}
	for _, name := range []string{"id", "sessionId", "telephonySessionId"} {
		out["callLog."+name] = `body?.callLog?.` + name + ` ?? ` + callID
	}
	for _, name := range []string{"link", "contentUri"} {
		out["callLog.recording."+name] = `body?.callLog?.recording?.` + name + ` ?? call.recording`
	}
	for _, of := range []string{"callLog", "message"} {
		out[of+".from.phoneNumber"] = `body?.` + of + `?.from?.phoneNumber ?? call.from`
		out[of+".to.phoneNumber"] = `body?.` + of + `?.to?.phoneNumber ?? call.to`
	}
	out["message.to.0.phoneNumber"] = `body?.message?.to?.[0]?.phoneNumber ?? call.to`
	return out
}

// contactValue is a value of the contact whom the call is with: the one that was chosen,
// or the only one that was found.
func contactValue(name string) string {
	key := map[string]string{"phoneNumber": "phone", "type": "kind"}[name]
	if key == "" {
		key = name
	}
	out := `call.contact?.` + key + ` ?? ` + contact + `?.` + key
	if key == "phone" || key == "name" {
		out += ` ?? call.number`
	}
	return out
}

// path converts what a text of an operation refers to.
func (c *converter) path(op, p string) string {
	parts := strings.Split(p, ".")
	rest := strings.Join(parts[1:], ".")
	c.uses(op, p)
	switch {
	case p == "apiKey" || p == "secretKey":
		return c.field(p, true)
	case p == "hostname" || p == "user.hostname":
		return "host"
	case p == "user.accessToken":
		return c.field("accessToken", true)
	case parts[0] == "additionalInfo" && rest != "":
		return c.field(rest, false)
	case strings.HasPrefix(p, "user.platformAdditionalInfo."):
		return c.field(strings.TrimPrefix(p, "user.platformAdditionalInfo."), false)
	case p == "user.id": // who is signed in there is the agent
		return c.field("user_id", false) + " ?? call.agent"
	case parts[0] == "user" && rest != "":
		return c.field("user_"+strings.ReplaceAll(rest, ".", "_"), false)
	case p == "phoneNumber" && op == "createContact":
		return `body?.phoneNumber ?? body?.phone ?? call.number`
	case strings.HasPrefix(p, "parsedPhoneNumber.number.e164"):
		return "e164(" + number + ")"
	case strings.HasPrefix(p, "parsedPhoneNumber.number.national"):
		return "national(" + number + ")"
	case strings.HasPrefix(p, "parsedPhoneNumber.number.significant"):
		return "digits(national(" + number + "))"
	case p == "composedLogDetails":
		return c.composed()
	case parts[0] == "additionalSubmission" && rest != "":
		return optional(p) + " ?? " + optional(rest)
	case parts[0] == "dispositions" && rest != "":
		return optional(p) + " ?? " + optional(rest) + " ?? call.disposition"
	}
	if known := placeholders()[p]; known != "" {
		return known
	}
	c.unknown(op, p)
	return dotted("body", p)
}

// composed is the text of a log, which the other system puts together by itself: what is
// known of the call, a line each.
func (c *converter) composed() string {
	line := func(label, value string) string {
		return `(` + value + `) == nil ? nil : "` + label + `: " + string(` + value + `)`
	}
	lines := []string{
		line("Note", note), line("Contact Number", "call.number"), line("Contact Name", person), line("Agent", "call.agent"),
		line("Date/Time", startTime), line("Duration", "call.duration") + ` + " s"`, line("Result", result), line("Disposition", "call.disposition"),
		line("Recording", "call.recording"),
	}
	text := `join(map(filter([` + strings.Join(lines, ", ") + `], # != nil), "- " + #), "\n")`
	if c.format == "text/html" {
		text = `replace(replace(replace(` + text + `, "&", "&amp;"), "<", "&lt;"), "\n", "<br>")`
	}
	return `body?.composedLogDetails ?? ` + text
}

// unknown says once that an operation asks for what a call of ours does not have.
func (c *converter) unknown(op, p string) {
	if op == "" || c.told[op+" "+p] {
		return
	}
	c.told[op+" "+p] = true
	c.note("operations.%s: {{%s}} has no counterpart: it is what is given under that name with an event's fields or to endpoint call, else nothing", op, p)
}

// uses notes which facts of a call an operation tells that are known at its end alone.
func (c *converter) uses(op, p string) {
	var fact string
	switch {
	case p == "duration" || p == "callLog.duration":
		fact = "the duration"
	case p == "result" || p == "callLog.result":
		fact = "the result"
	case p == "endTime":
		fact = "the end"
	case p == "recordingLink" || p == "recordingDownloadLink" || strings.HasPrefix(p, "callLog.recording"):
		fact = "the recording"
	case p == "composedLogDetails":
		fact = "the details"
	default:
		return
	}
	if c.facts[op] == nil {
		c.facts[op] = map[string]bool{}
	}
	c.facts[op][fact] = true
}

func (c *converter) field(name string, secret bool) string {
	name = strings.ReplaceAll(name, ".", "_")
	secret = secret || regexp.MustCompile(`(?i)password|secret|token|apikey`).MatchString(name)
	c.fields[name] = c.fields[name] || secret
	return dotted("fields", name)
}

// dotted writes a path below a name; what is no word is put in quotes.
func dotted(root, path string) string { return joined(root, path, ".", "") }

// optional writes a path of what is given whose parts need not be there.
func optional(path string) string { return joined("body", path, "?.", "?.") }

func joined(root, path, dot, bracket string) string {
	word := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	digits := regexp.MustCompile(`^[0-9]+$`)
	var out strings.Builder
	out.WriteString(root)
	for part := range strings.SplitSeq(path, ".") {
		switch {
		case word.MatchString(part), digits.MatchString(part) && dot == ".":
			out.WriteString(dot + part)
		default:
			out.WriteString(bracket + "[" + strconv.Quote(part) + "]")
		}
	}
	return out.String()
}
