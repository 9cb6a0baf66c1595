package store

import (
	"encoding/json"
	"time"
)

// Tenant is a customer of the platform.
type Tenant struct {
	ID           int64
	Name         string
	CreatedAt    time.Time
	Integrations int // not disabled
}

// MaxDescription is how many characters the description of an integration has at most.
const MaxDescription = 2000

// IntegrationSpec is what configuration says of an integration.
type IntegrationSpec struct {
	Tenant string
	Name   string
	Label  string
	// Description is for people, of any length up to MaxDescription characters.
	Description string
	Plugin      string // empty: it is of a template
	// Template is what it is of instead, with what it gives to it: the fields are the
	// settings.
	Template   string
	Callcenter string
	Host       string          // of the remote system, without a scheme
	Info       json.RawMessage // instead of the template's, key by key
	Iframe     json.RawMessage // likewise
	// Lookup is how long a lookup may take when a call comes; 0: as the template says, or
	// the host.
	Lookup     time.Duration
	Connectors []string // enabled, in order; those that the plugin has no more are parked
	// Offered are the connectors that the plugin had when the integration was declared,
	// and those that its file has named since. One that comes with a later version begins
	// disabled (K17). Empty while the plugin is not known.
	Offered     []string
	Every       int    // ticks; negative is never
	Concurrency int    // streams of a run at once; 0: as the plugin says
	PageSize    int    // records wanted of a page; 0: as the plugin says
	Cron        string // instead of Every, if not empty
	Timezone    string // IANA name that Cron is meant in; UTC if empty
	Enabled     bool
	// FinishOnDisable lets the run that has begun go on to its end when the
	// integration is disabled; otherwise it is cancelled.
	FinishOnDisable bool
	OnTypeChange    TypePolicy
	LogWarnings     bool // each warning is logged too, not the first ones kept alone
	Limit           RecordLimit
	// OnboardingMaxAge is how old an onboarding run may get; 0: it is never given up.
	OnboardingMaxAge time.Duration
	Settings         []byte // sealed
	// SettingsSum is a keyed hash of the settings in clear: equal settings have
	// equal sums although each sealing differs.
	SettingsSum []byte
	File        string // that declares it
	Line        int
}

// Integration is one tenant's configured instance of a plugin.
type Integration struct {
	ID       int64  // internal
	UID      string // immutable name for the outside: 16 hex digits
	TenantID int64
	IntegrationSpec

	State       IntegrationState
	Reason      string // why it is not active
	Unfit       string // why it is parked although its plugin is there: that does not take its settings
	Revision    int64  // raised with each change of settings or connectors
	Generation  int64  // raised by disable, delete, cancel and incompatible settings
	Patch       []byte // sealed: what the plugin keeps of settings
	CreatedAt   time.Time
	UpdatedAt   time.Time
	OnboardedAt time.Time // end of the first onboarding run that processed; zero before
	LastCheckAt time.Time // start of the last scheduled run
	NextCheckAt time.Time // zero: never
	// NextCheckFrom is when NextCheckAt was computed.
	NextCheckFrom time.Time
	RemovedAt     time.Time // when it left its file; its data is kept until KeepUntil
	KeepUntil     time.Time
	Hold          *Hold // nil: no command disables it
	// Finishing reports whether a run that had begun goes on to its end although
	// the integration is disabled.
	Finishing bool
}

// Hold is a person's command that disables an integration, with what it was.
type Hold struct {
	By        string           `json:"by"`
	At        time.Time        `json:"at"`
	State     IntegrationState `json:"state"`
	Reason    string           `json:"reason,omitempty"`
	Scheduled bool             `json:"scheduled"` // it had a next check
}

// Kind returns the plugin or template that it is of.
func (s IntegrationSpec) Kind() string {
	if s.Template != "" {
		return "template " + s.Template
	}
	return "plugin " + s.Plugin
}

// FullName returns tenant/name.
func (i Integration) FullName() string { return i.Tenant + "/" + i.Name }

// ClockSlack is how far a clock may be set back before what was computed by the
// later time is doubted.
const ClockSlack = time.Minute

// CheckDue reports whether the schedule asks for a check now. A time that was
// computed later than now says that the clock was set back, and counts as come
// (K09).
func (i Integration) CheckDue(now time.Time) bool {
	if i.NextCheckAt.IsZero() {
		return false
	}
	return !i.NextCheckAt.After(now) || i.NextCheckFrom.After(now.Add(ClockSlack))
}

// KeepRemoved is how long the data of an integration outlives its absence from
// the files.
const KeepRemoved = 30 * 24 * time.Hour

// ChangeOp says what a change does.
type ChangeOp string

// The changes of configuration.
const (
	ChangeCreate  ChangeOp = "create"
	ChangeUpdate  ChangeOp = "update"
	ChangeRename  ChangeOp = "rename" // and update
	ChangeDisable ChangeOp = "disable"
	ChangeRemove  ChangeOp = "remove" // gone from its file: disabled, with a tombstone
	ChangeRestore ChangeOp = "restore"
)

// Change is one line of a configuration diff. A store applies a list of them in
// one transaction.
type Change struct {
	Op   ChangeOp
	UID  string          // of the integration, chosen by the caller for create
	Spec IntegrationSpec // what it becomes; not used by remove
	// Sync asks for a run at once: a new, enabled or restored integration.
	Sync bool
	// NextCheckAt is when the schedule of Spec asks first, if it differs from what
	// it was; the zero time is never. Sync goes before it.
	NextCheckAt time.Time
	// Fields names what differs, for people.
	Fields []string
}

// IntegrationFilter selects integrations. Zero fields select all.
type IntegrationFilter struct {
	Tenant string
	Name   string
	Plugin string
	UID    string
	// Template selects those of a template.
	Template string
	Unfit    bool // those alone that are parked as unfit
	// Beyond selects those that are active and name a connector that is none of these;
	// all if it is nil.
	Beyond []string
	Limit  int // 1,000 if zero
	After  int64
}
