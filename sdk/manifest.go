package sdk

import "slices"

// Kind says what a plugin is for.
type Kind string

// The kinds of plugins.
const (
	KindData      Kind = "data"      // imports records
	KindOperation Kind = "operation" // answers hooks; has no schedule
	KindCombined  Kind = "combined"  // both
)

// Capability names an optional interface that a plugin's instances implement.
// The manifest lists them so that both sides of the wire agree.
type Capability string

// The capabilities, each with the interface that it promises.
const (
	CanCheck            Capability = "check"             // Checker
	CanPreprocess       Capability = "preprocess"        // Preprocessor
	CanCreateAttributes Capability = "create_attributes" // Attributer
	CanAllow            Capability = "allow"             // Allower
	CanFinish           Capability = "finish"            // Finisher
	CanPostprocess      Capability = "postprocess"       // Postprocessor
	CanInvoke           Capability = "invoke"            // Invoker
)

// Known reports whether this SDK knows the capability.
func (c Capability) Known() bool {
	switch c {
	case CanCheck, CanPreprocess, CanCreateAttributes, CanAllow, CanFinish, CanPostprocess, CanInvoke:
		return true
	default:
		return false
	}
}

// Manifest is what a plugin says of itself.
type Manifest struct {
	Name        string // the plugin's type, as configuration names it: [a-z0-9][a-z0-9._-]{0,62}
	Label       string // for people, 3 to 255 characters
	Version     string // of the plugin, such as 1.4.2
	Description string
	Icon        string // data: URI or empty
	Kind        Kind   // KindData if empty

	// Settings is a value of the plugin's settings struct; package sdk/plugin
	// derives SettingsSchema from its tags. It does not cross the wire.
	Settings any
	// SettingsSchema is the JSON Schema of the settings. "x-secret": true marks a
	// secret: it is never shown, logged or returned.
	SettingsSchema []byte

	Connectors   []Connector
	Capabilities []Capability
	Hooks        []string // names that Invoke answers
	// Hosts are those that the plugin connects to whatever its settings say, such as
	// slack.com, *.slack.com for all below it, or files.example.com:8443; the port is
	// that of https if none is given. The hosts that settings name come by themselves:
	// those of strings whose schema has format=uri, format=hostname or "x-host": true.
	// The host lets the plugin connect to these alone, and shows them to who approves
	// it.
	Hosts []string
	// Template is the name of a template whose endpoints hooks call with CallEndpoint:
	// the settings are its fields, and "host" among them is the remote system's.
	Template string
	// DedupeContacts is the field of the form of handleCreateContact that has the
	// contact's number: a number makes one contact. The hook is called for the first form
	// with a number, and the others are answered with what that made; empty: it is called
	// for each form.
	DedupeContacts string
	// TemplateText is a template that the plugin brings along, instead of naming one: the
	// YAML of a file of the host's templates, whose name is the plugin's. Besides
	// endpoints it may declare info, with options whose choices hooks get, chains of
	// endpoints for events for which the plugin has no hook, and the iframe that is shown
	// when a hook answers none. It calls "{{ host }}" and Hosts alone.
	TemplateText []byte
	Limits       Limits
	// Every is the default schedule in ticks of one minute: 5 if zero, 1 is every
	// tick, negative is never.
	Every int
	State StateVersions
}

// Has reports whether the manifest lists c.
func (m Manifest) Has(c Capability) bool {
	return slices.Contains(m.Capabilities, c)
}

// Connector is one kind of entity that a plugin imports.
type Connector struct {
	Name  string
	Label string
	Order int  // a lower one is done first; those of one order run beside each other
	Force bool // a run may ignore its cursors
	// CompleteListing promises that a full sync emits every record of Kinds that
	// there is, and that no other connector completes them: what it does not emit
	// has vanished, and the host deletes it after the sync.
	CompleteListing bool
	// Versions promises that each record of the connector carries a Version.
	Versions bool
	// Kinds are the kinds of records that CompleteListing is about. It needs them.
	Kinds []string
}

// Limits are what the plugin asks of the host; the host may set them lower.
type Limits struct {
	Concurrency int // calls in flight in one process; 16 if zero
	PerRun      int // streams of one run in flight; 4 if zero
	PageSize    int // StreamCall.PageSize if configuration does not say; 0: the plugin chooses
}

// StateVersions tells which versions of opaque data (cursors, checkpoints,
// stream data) the plugin writes and reads.
type StateVersions struct {
	Writes int
	Reads  []int
	// MayWrite are older versions that it writes when it is told to, by
	// Integration.WriteState: the way back to a version that does not read Writes.
	MayWrite []int
}

// Attribute is a property of members that the plugin fills.
type Attribute struct {
	Name  string
	Label string
	Type  string // string, number, boolean, date, url
}
