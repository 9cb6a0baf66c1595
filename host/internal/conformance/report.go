package conformance

import (
	"fmt"
	"strings"
)

// Verdict is what became of a rule.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
	Skip Verdict = "skip" // nobody could look
)

// Check is one rule of the contract and what became of it.
type Check struct {
	Name    string   `json:"name"`
	Verdict Verdict  `json:"verdict"`
	What    string   `json:"what"`              // the rule, for people
	Reasons []string `json:"reasons,omitempty"` // why it failed, or was skipped
	Hint    string   `json:"hint,omitempty"`
}

// Report is what became of every rule.
type Report struct {
	Plugin  string  `json:"plugin"`
	Version string  `json:"version"`
	Passed  int     `json:"passed"`
	Failed  int     `json:"failed"`
	Skipped int     `json:"skipped"`
	Checks  []Check `json:"checks"`
}

// rule is a rule and how to keep it, or how to have it looked at.
type rule struct {
	what, broken, skipped string
}

// rules returns what there is to keep, by name.
func rules() map[string]rule {
	return map[string]rule{
		"start":         {"it starts, shakes hands and says what it is", "the contract of a process is in sdk/README.md", ""},
		"stdout":        {"stdout carries the handshake and nothing else", "print nothing to file 1; logs go to stderr", ""},
		"stderr":        {"stderr carries lines of at most 64 KiB, those in JSON as the host reads them", "a JSON line has @level, @message and @timestamp, each a string", ""},
		"health":        {"it answers health checks", "serve grpc.health.v1.Health for the service \"plugin\"", ""},
		"manifest":      {"the manifest keeps its rules and is the same each time", "", ""},
		"marked":        {"settings that look like secrets are marked as such", "use sdk.Secret, or x-secret: true in the schema", ""},
		"bad_settings":  {"bad settings are refused, as config", "refuse unknown keys and wrong types in Open with an error of class config", "--bad-settings FILE, or give the plugin settings"},
		"settings":      {"the settings are taken", "give it settings that fit: --settings FILE", ""},
		"check":         {"Check accepts settings that work", "", "a Check lets people test a connection before they save it"},
		"check_refused": {"Check refuses settings that the remote system refuses", "dial in Check, and return what the remote system says as class auth", "--refused-settings FILE"},
		"run":           {"a whole run ends", "", ""},
		"streams":       {"streams name a connector that there is, once, and one owner of each cursor", "", ""},
		"pages":         {"pages come to an end and cursors have an owner", "", ""},
		"sizes":         {"segments fit into memory", "emit a checkpoint every few hundred records", ""},
		"ids":           {"one id means one thing", "", ""},
		"records":       {"members and activities can be kept", "", ""},
		"skips":         {"a connector that leaves itself out says why", "", ""},
		"secrets":       {"no secret is in what it emits, logs or says", "keep secrets in sdk.Secret and Reveal them to the remote system alone", "--settings FILE with a value of every secret"},
		"output":        {"no secret is in what it prints", "keep secrets out of stdout and stderr", "--settings FILE with a value of every secret"},
		"resume":        {"a call goes on from each of its checkpoints", "a checkpoint stands for what was emitted before it: emit first", ""},
		"repeat":        {"a page that is asked for again is the same", "keep nothing of a page in the process: call.Page says which it is", ""},
		"second_run":    {"two runs emit the same", "let ids and data follow from the remote system alone", ""},
		"go_on":         {"a run goes on from the cursors of the one before", "", "a plugin without cursors reads everything each time"},
		"future":        {"nothing comes from a far future cursor", "", "--future FILE: a JSON object of cursors by connector/partition"},
		"cancel":        {"calls end when they are cancelled or their time is over", "pass ctx on to everything that blocks", ""},
		"rate_limit":    {"a 429 with Retry-After is passed on as a rate limit", "return sdk.RateLimitedFor(what Retry-After says)", "--remote-setting NAME: the setting that holds the remote system's address"},
		"kill":          {"a new process goes on where one was killed", "keep all in cursors, checkpoints and pages, nothing in the process", ""},
		"close":         {"an instance closes", "", ""},
		"handle":        {"a handle that it does not know is answered with reopen", "answer with status FAILED_PRECONDITION and an Error whose code is reopen", "give it settings that fit: --settings FILE"},
		"parent":        {"it ends when its host is gone", "end the process when stdin ends", ""},
	}
}

// add puts a check into the report: failed for these reasons, skipped for that one,
// or passed.
func (r *Report) add(name, skipped string, broken []string) {
	rule := rules()[name]
	c := Check{Name: name, What: rule.what, Verdict: Pass}
	switch {
	case skipped != "":
		c.Verdict, c.Reasons, c.Hint = Skip, []string{skipped}, rule.skipped
		r.Skipped++
	case len(broken) > 0:
		c.Verdict, c.Hint = Fail, rule.broken
		const most = 5
		for _, reason := range broken[:min(len(broken), most)] {
			reason, hint := cutHint(reason)
			c.Reasons = append(c.Reasons, reason)
			if hint != "" {
				c.Hint = hint
			}
		}
		if more := len(broken) - most; more > 0 {
			c.Reasons = append(c.Reasons, fmt.Sprintf("and %d more", more))
		}
		r.Failed++
	default:
		r.Passed++
	}
	r.Checks = append(r.Checks, c)
}

// cutHint takes the advice out of a reason, where it stands in parentheses.
func cutHint(reason string) (rest, hint string) {
	before, after, ok := strings.Cut(reason, " (hint: ")
	end := strings.IndexByte(after, ')')
	if !ok || end < 0 {
		return reason, ""
	}
	return before + after[end+1:], after[:end]
}
