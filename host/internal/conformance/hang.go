package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/sdktest"
)

// silent has a remote system that does not answer, and checks that a call lets go of
// it when it is cancelled and when its time is over. Where no setting has the remote
// system's address, only the plugin's own word can tell.
func (s *suite) silent(ctx context.Context, m sdk.Manifest) []string {
	var broken []string
	name := s.opts.RemoteSetting
	if _, there := properties(m.SettingsSchema)[name]; there {
		broken = append(broken, text(s.hang(ctx, name, false))...)
		broken = append(broken, text(s.hang(ctx, name, true))...)
	}
	if len(broken) == 0 && s.lines.overtime(0) {
		broken = append(broken, "a call goes on 2 s after it was cancelled")
	}
	return broken
}

// hang does a run against a remote system that is silent, ends it, and waits for the
// plugin to hang up.
func (s *suite) hang(ctx context.Context, name string, deadline bool) error {
	asked, dropped := make(chan struct{}), make(chan struct{})
	ask, drop := sync.OnceFunc(func() { close(asked) }), sync.OnceFunc(func() { close(dropped) })
	remote := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the other side hangs up
		ask()
		<-r.Context().Done()
		drop()
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
	defer p.Kill() // before the server closes, which waits for those who are connected
	how, after := "it was cancelled", askWithin
	if deadline {
		how, after = "its time was over", time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, after)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = sdktest.Run(ctx, p, sdktest.Options{Settings: raw, Connectors: s.opts.Connectors, MaxPages: 1}) // it is ended
	}()
	select {
	case <-asked:
	case <-ended:
		return nil // it asks nothing of that address
	}
	if !deadline {
		cancel()
	}
	<-ctx.Done()
	timer := time.NewTimer(hangWithin)
	defer timer.Stop()
	select {
	case <-dropped:
	case <-timer.C:
		return fmt.Errorf("a call holds on to the remote system %s after %s", hangWithin, how)
	}
	<-ended
	return nil
}
