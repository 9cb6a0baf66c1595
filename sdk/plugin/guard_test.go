package plugin

import (
	"bytes"
	"context"
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
		var log bytes.Buffer
		g := guard{log: hclog.New(&hclog.LoggerOptions{Output: &log, JSONFormat: true})}
		ctx, cancel := context.WithCancel(t.Context())
		over := g.overtime(ctx, "/slow")
		ended := g.overtime(ctx, "/quick")
		cancel()
		synctest.Wait()
		ended()
		<-time.After(overtimeAfter - time.Millisecond)
		synctest.Wait()
		require.Empty(t, log.String())
		<-time.After(time.Millisecond)
		synctest.Wait()
		require.Contains(t, log.String(), sdk.MessageOvertime)
		require.Contains(t, log.String(), "/slow")
		require.NotContains(t, log.String(), "/quick")
		over()
	})
}
