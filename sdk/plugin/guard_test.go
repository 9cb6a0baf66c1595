package plugin

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// A call that outlives its cancelling says so in the log, and one that ends does not.
func TestGuardTellsOfOvertime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			mu  sync.Mutex // guards out
			out bytes.Buffer
		)
		logged := func() string {
			mu.Lock()
			defer mu.Unlock()
			return out.String()
		}
		g := guard{log: hclog.New(&hclog.LoggerOptions{Output: &out, Mutex: &mu, JSONFormat: true})}
		ctx, cancel := context.WithCancel(t.Context())
		over := g.overtime(ctx, "/slow")
		ended := g.overtime(ctx, "/quick")
		cancel()
		synctest.Wait()
		ended()
		<-time.After(overtimeAfter - time.Millisecond)
		synctest.Wait()
		require.Empty(t, logged())
		<-time.After(time.Millisecond)
		synctest.Wait()
		require.Contains(t, logged(), sdk.MessageOvertime)
		require.Contains(t, logged(), "/slow")
		require.NotContains(t, logged(), "/quick")
		over()
	})
}
