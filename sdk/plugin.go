package sdk

import "context"

// Plugin is one integration type. One process serves it for all tenants, so its
// methods are called from several goroutines at once.
type Plugin interface {
	// Manifest says what the plugin is. It is pure: no network, no files, the
	// same answer each time.
	Manifest() Manifest
	// Open makes an instance for one integration from its settings. It never
	// dials: a wrong setting is an error of ClassConfig, a wrong password is
	// found by Check or by the first call.
	Open(ctx context.Context, in Integration) (Instance, error)
}

// Faulty is a plugin that knows that it cannot be served, such as one that runs code
// which does not compile.
type Faulty interface {
	// Fault returns why, or nil. The host shows it to its operator, in the place of the
	// manifest.
	Fault() error
}

// Instance is a plugin opened for one integration at one revision of its
// settings. Its methods are called from several goroutines at once.
type Instance interface {
	// GetStreams plans a run: it emits the run's root streams, with a checkpoint
	// where a long listing can be resumed. The host calls it again from the last
	// checkpoint after a crash; a stream whose ID is known already is ignored.
	GetStreams(ctx context.Context, call PlanCall, out *Emitter) error
	// ProcessStream does one stream's work, or one page of it, and says in its
	// outcome what comes next. It only reads from the remote system.
	ProcessStream(ctx context.Context, call StreamCall, out *Emitter) (Outcome, error)
}

// Checker tests a connection, also with settings that are not saved yet.
type Checker interface {
	// Check dials. Nil means that the remote system accepts the settings; the
	// error carries its reason.
	Check(ctx context.Context) error
}

// Preprocessor loads data once for a run; it reaches every stream of the run as
// Run.Preprocessed, also after a restart.
type Preprocessor interface {
	Preprocess(ctx context.Context, run Run) ([]byte, error)
}

// Attributer declares member attributes. The host calls it once per tenant and
// plugin version.
type Attributer interface {
	CreateAttributes(ctx context.Context) ([]Attribute, error)
}

// Finisher may end a stream early: the host asks it before it takes the next
// page of a stream, in runs that are not onboarding. True ends that stream alone.
type Finisher interface {
	IsProcessingFinished(ctx context.Context, call FinishedCall) (bool, error)
}

// Allower lets a connector leave itself out of a run: the host asks before it works
// on the connector's streams, once per run, when the connectors of a lower Order are
// done. What it skips is recorded with the reason; its watermark stays.
type Allower interface {
	Allowed(ctx context.Context, call AllowedCall) (Verdict, error)
}

// Postprocessor is called once at the end of a run. The settings it returns are
// merged by key into what the plugin keeps; settings of the user stay.
type Postprocessor interface {
	Postprocess(ctx context.Context, run Run) (map[string][]byte, error)
}

// Invoker answers a hook or an action, within the deadline of ctx.
type Invoker interface {
	Invoke(ctx context.Context, call HookCall) (HookResult, error)
}

// Closer is told that the instance is used no more.
type Closer interface {
	Close() error
}

// Integration is one tenant's configured use of a plugin.
type Integration struct {
	Tenant     string   // name of the tenant
	Name       string   // name within the tenant
	ID         string   // stays when the integration is renamed
	Revision   int64    // raised with each change of the settings
	Connectors []string // the enabled ones, in their declared order
	Settings   Settings
	DryRun     bool // validate only: the instance is closed without being used
	// WriteState is the version of opaque data to write, one of State.MayWrite, while the
	// version of the plugin before this one may come back; State.Writes if zero.
	WriteState int
}

// HookCall is one event or action to answer.
type HookCall struct {
	Name    string // such as "call.started"
	Payload []byte // JSON
}

// HookResult answers a HookCall.
type HookResult struct {
	Payload []byte // JSON
}
