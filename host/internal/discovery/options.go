package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Options say where plugins are and who may run.
type Options struct {
	Dir   string // the plugin directory; required
	Lock  string // path of plugins.lock; required
	Data  string // the data directory, which holds copies and manifests; required
	Trust Trust  // TrustLock if empty
	Keys  Keys   // whose signatures count; required for TrustSigned

	// Host is the version of this host, such as 0.3.0, for packages that want a newer
	// one; every package is for it if it is empty.
	Host string
	// KeepRemoved has a plugin that the lock names go on from its copy when its file is
	// removed. It needs TrustLock.
	KeepRemoved bool

	Settle    time.Duration // from an event to the scan; 100ms if zero
	MaxSettle time.Duration // the longest that events put a scan off; 1s if zero
	Rescan    time.Duration // between scans without an event; 30s if zero

	// Leave has nothing removed from the data directory: it is another's.
	Leave bool

	// Keep reports whether the copy of a digest may serve again although nothing in
	// the plugin directory or the lock names it; of those the newest few alone if nil.
	Keep func(digest string) bool

	Log hclog.Logger     // none if nil
	Now func() time.Time // time.Now if nil
}

func (o Options) withDefaults() (Options, error) {
	o.Trust = cmp.Or(o.Trust, TrustLock)
	o.Settle = cmp.Or(o.Settle, 100*time.Millisecond)
	o.MaxSettle = cmp.Or(o.MaxSettle, time.Second)
	o.Rescan = cmp.Or(o.Rescan, 30*time.Second)
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Keep == nil {
		o.Keep = func(string) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dir == "" || o.Lock == "" || o.Data == "" {
		return o, errors.New("discovery: plugin directory, lock and data directory are required")
	}
	switch {
	case o.Trust != TrustLock && o.Trust != TrustDir && o.Trust != TrustSigned:
		return o, fmt.Errorf("discovery: trust %q is not supported (hint: lock, signed, or dir for development)", o.Trust)
	case o.Trust == TrustSigned && len(o.Keys) == 0:
		return o, errors.New("discovery: trust signed needs a key (hint: plugins.keys in host.yaml)")
	}
	return o, nil
}
