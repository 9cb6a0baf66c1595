package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/sdktest"
)

// retryAfter is what the remote system of the suite asks for: not a minute, which a
// plugin that does not read it may take for granted.
const retryAfter = 47 * time.Second

// retryWithin is by how much a plugin may differ from that, on a busy machine.
const retryWithin = 10 * time.Second

// rateLimit checks that the plugin passes on what a remote system asks for that
// answers everything with 429.
func (s *suite) rateLimit(ctx context.Context, m sdk.Manifest) {
	name := s.opts.RemoteSetting
	if _, there := properties(m.SettingsSchema)[name]; !there {
		reason := "no setting is known to hold the remote system's address"
		if name != "" {
			reason = fmt.Sprintf("the plugin has no setting %q", name)
		}
		s.report.add("rate_limit", reason, nil)
		return
	}
	s.report.add("rate_limit", "", text(s.limited(ctx, name)))
}

func (s *suite) limited(ctx context.Context, name string) error {
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", fmt.Sprint(int(retryAfter.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer remote.Close()
	raw, err := s.settingsWith(name, remote.URL)
	if err != nil {
		return err
	}
	p, err := s.start(ctx)
	if err != nil {
		return fmt.Errorf("started again: %w", err)
	}
	defer p.Kill()
	ctx, cancel := context.WithTimeout(ctx, retryAfter) // who waits by itself is late
	defer cancel()
	_, err = sdktest.Run(ctx, p, sdktest.Options{Settings: raw, Connectors: s.opts.Connectors, MaxPages: 10})
	return judge(err, time.Now())
}

// settingsWith returns the settings with another address of the remote system.
func (s *suite) settingsWith(name, address string) ([]byte, error) {
	settings := map[string]any{}
	if len(s.opts.Settings) > 0 {
		if err := json.Unmarshal(s.opts.Settings, &settings); err != nil {
			return nil, fmt.Errorf("read settings: %w", err)
		}
	}
	settings[name] = address
	raw, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("write settings: %w", err)
	}
	return raw, nil
}

// judge holds the end of a run against what the remote system asked for.
func judge(err error, now time.Time) error {
	failure := sdk.AsError(err)
	switch {
	case failure == nil:
		return fmt.Errorf("a run ends well though the remote system answers all with 429")
	case failure.Class != sdk.ClassRateLimited:
		return fmt.Errorf("a 429 is passed on as %s, not %s: %w", failure.Class, sdk.ClassRateLimited, err)
	case failure.Limit == nil:
		return fmt.Errorf("the rate limit does not say for how long: %w", err)
	}
	wait := failure.Limit.After
	if !failure.Limit.Until.IsZero() {
		wait = failure.Limit.Until.Sub(now)
	}
	if wait < retryAfter-retryWithin || wait > retryAfter+retryWithin {
		return fmt.Errorf("the remote system asks to wait %s, and the plugin for %s", retryAfter, wait.Round(time.Second))
	}
	return nil
}
