package config

import (
	"cmp"
	"slices"
	"strings"
)

// Severity says what a problem prevents.
type Severity string

// The severities. A file with an error is not applied; a warning is only told.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// The codes of problems. They are stable: scripts may compare them.
const (
	CodeAmbiguousNumber  = "ambiguous-number"  // a number that YAML reads otherwise than people do
	CodeBadName          = "bad-name"          // not [a-z0-9][a-z0-9._-]{0,62}
	CodeBadReference     = "bad-reference"     // ${...} that names nothing that exists in this version
	CodeBadSchema        = "bad-schema"        // a plugin settings schema that cannot be used
	CodeBadSetting       = "bad-setting"       // the plugin's schema refuses the value
	CodeBadTemplate      = "bad-template"      // a template that can be read and cannot be used
	CodeBadType          = "bad-type"          // such as a list where a number is needed
	CodeBadValue         = "bad-value"         // of the right type, but out of range or unknown
	CodeDuplicateKey     = "duplicate-key"     // a key twice in one mapping
	CodeDuplicateName    = "duplicate-name"    // two integrations, or two files of a tenant
	CodeEmptySecret      = "empty-secret"      // a reference to something empty
	CodeMissingFile      = "missing-file"      // a file or directory of the configuration
	CodeMissingKey       = "missing-key"       // a key that is required
	CodeMissingSecret    = "missing-secret"    // a reference to what does not exist
	CodeMissingSetting   = "missing-setting"   // that the plugin requires
	CodeMovedFrom        = "moved-from"        // moved_from that cannot be followed
	CodeMovedOrNew       = "moved-or-new"      // one integration went and another came (K22)
	CodeNeedsRestart     = "needs-restart"     // a changed key that is read at start alone
	CodeNoEffect         = "no-effect"         // accepted, and without effect in this version
	CodeNoManifest       = "no-manifest"       // settings that cannot be checked yet
	CodeNotSupported     = "not-supported"     // by this version
	CodePluginChanged    = "plugin-changed"    // an integration whose plugin is another one now
	CodeSyntax           = "syntax"            // not YAML
	CodeTooLarge         = "too-large"         // past a cap
	CodeConnectorGone    = "connector-gone"    // that the plugin has no more
	CodeUnknownConnector = "unknown-connector" // that the plugin does not have
	CodeUnknownKey       = "unknown-key"       // that configuration does not have
	CodeUnknownSetting   = "unknown-setting"   // that the plugin does not have
	CodeUnknownTemplate  = "unknown-template"  // that no good file declares
	CodeUnreadable       = "unreadable"        // a file that cannot be read
	CodeSeal             = "seal"              // settings that cannot be sealed
)

// Problem is one thing that is wrong in the configuration. It never holds the
// value of a secret: values that may be one are *** in Source.
type Problem struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`
	Message  string   `json:"message"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Col      int      `json:"column,omitempty"` // in characters, from 1
	Source   string   `json:"source,omitempty"` // the line
	Caret    int      `json:"caret,omitempty"`  // where Col is in Source, from 1
	Help     string   `json:"help,omitempty"`
}

// Problems are everything that is wrong, in the order of files and lines.
type Problems []Problem

// Failed reports whether one of the problems is an error.
func (p Problems) Failed() bool {
	return slices.ContainsFunc(p, func(q Problem) bool { return q.Severity == SeverityError })
}

// Err returns p as an error if one of the problems is one, and nil otherwise.
func (p Problems) Err() error {
	if !p.Failed() {
		return nil
	}
	return p
}

// Error returns all problems as a person reads them.
func (p Problems) Error() string { return p.Text(false) }

// Text returns all problems as a person reads them, in color for a terminal.
func (p Problems) Text(color bool) string {
	var b strings.Builder
	p.write(&b, color)
	return strings.TrimSuffix(b.String(), "\n")
}

// Only returns the problems of a severity.
func (p Problems) Only(s Severity) Problems {
	var out Problems
	for _, q := range p {
		if q.Severity == s {
			out = append(out, q)
		}
	}
	return out
}

// sorted puts p in the order of files, lines and columns, each problem once.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(p)
}
