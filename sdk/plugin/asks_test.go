package plugin

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// slowHost answers what it is asked when it is let.
type slowHost struct {
	sdk.Host
	let chan struct{}
}

// Progress implements sdk.Host.
func (h *slowHost) Progress(ctx context.Context, _ string, _ time.Time) error {
	select {
	case <-h.let:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answers keeps what the host answers over the link.
type answers struct {
	grpc.BidiStreamingClient[pluginv1.HostLinkRequest, pluginv1.HostLinkResponse]
	mu  sync.Mutex // guards all
	all []*pluginv1.HostLinkRequest
}

// Send implements grpc.BidiStreamingClient.
func (a *answers) Send(r *pluginv1.HostLinkRequest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, r)
	return nil
}

// rows: I11, K19
//
// A plugin that does not keep to the number of its asks gets an error by name for each
// that is too many, of its call or of all together; the others are answered.
func TestI11AsksAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ calls, each, refused int }{
		"OfACall":    {1, asksPerCall + 3, 3},
		"OfAProcess": {asksPerProcess/asksPerCall + 2, asksPerCall, 2 * asksPerCall},
		"AtTheCap":   {asksPerProcess / asksPerCall, asksPerCall, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := &slowHost{let: make(chan struct{})}
			var under calls
			got := &answers{}
			l := &hostLink{calls: &under, stream: got, asks: make(chan struct{}, asksPerProcess), cancels: map[uint64]context.CancelFunc{}}
			id := uint64(0)
			for range c.calls {
				_, token, end, err := under.begin(sdk.WithHost(t.Context(), host))
				require.NoError(t, err)
				defer end()
				for range c.each {
					id++
					l.handle(&pluginv1.HostLinkResponse{Id: id, Token: token, Ask: &pluginv1.HostLinkResponse_Progress{Progress: &pluginv1.Progress{}}})
				}
			}
			close(host.let)
			l.wg.Wait()
			require.Len(t, got.all, c.calls*c.each, "each is answered")
			refused := 0
			for _, a := range got.all {
				if e := a.GetError(); e != nil {
					require.Equal(t, "too_many_requests", e.GetCode())
					require.Equal(t, pluginv1.ErrorClass_ERROR_CLASS_TRANSIENT, e.GetClass())
					refused++
				}
			}
			require.Equal(t, c.refused, refused)
		})
	}
}
