package discovery

import "cmp"

// Verdict is what discovery makes of a file in the plugin directory.
type Verdict string

// The verdicts. Only an Approved and a Kept artifact may run.
const (
	VerdictApproved      Verdict = "approved"       // its digest is approved; a verified copy is staged
	VerdictKept          Verdict = "kept"           // approved and staged, but its file is gone or was replaced by one that is not
	VerdictUnapproved    Verdict = "unapproved"     // nobody approved this digest
	VerdictPinned        Verdict = "pinned"         // another version was chosen to be used instead
	VerdictRejected      Verdict = "rejected"       // somebody rejected this digest
	VerdictUnsigned      Verdict = "unsigned"       // nobody whose key host.yaml names signed these bytes
	VerdictIncomplete    Verdict = "incomplete"     // cut short, or still being written
	VerdictNotExecutable Verdict = "not-executable" // no execute permission, or no program at all
	VerdictWrongArch     Verdict = "wrong-arch"     // built for another system or processor
	VerdictBadPackage    Verdict = "bad-package"    // its plugin.yaml, SHA256SUMS or files are not as a package must be
	VerdictNoRuntime     Verdict = "no-runtime"     // the plugin that would run this folder may not run itself
	VerdictOldHost       Verdict = "old-host"       // its plugin.yaml wants a newer host than this one
	VerdictMismatch      Verdict = "mismatch"       // not the bytes that the .sha256 beside it is of
	VerdictDuplicate     Verdict = "duplicate"      // another file serves this plugin already
	VerdictRefused       Verdict = "refused"        // unsafe: writable by anyone, or a link that leaves the directory
	VerdictIgnored       Verdict = "ignored"        // a temporary, hidden or special file
)

// Artifact is one file or package of the plugin directory and what is to be done with
// it.
type Artifact struct {
	File    string  // name in the plugin directory; slack/1.4.2 for a version in a folder of such
	Path    string  // the file itself; never executed
	Digest  string  // SHA-256 of its program in hex; empty if it was not read
	Size    int64   // in bytes
	Name    string  // of the plugin; what the file's name suggests if it is not approved
	Version string  // of the plugin; empty if it is not known yet
	Verdict Verdict // what discovery makes of it
	Reason  string  // why, with a hint where there is a cure; empty for Approved
	Staged  string  // the verified copy that may be executed; empty if none may

	// Of a folder that another plugin's program runs; else empty.
	Runtime string // the name of that plugin
	Program string // the digest of its program, which Staged is
	Folder  string // the private copy of the folder, whose list of files Digest is of
}

// Runnable reports whether the artifact may be executed, from Staged.
func (a Artifact) Runnable() bool { return a.Staged != "" }

// compare orders artifacts by file, then verdict: the order of a state.
func (a Artifact) compare(b Artifact) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Digest, b.Digest))
}
