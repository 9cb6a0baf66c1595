package upkeep

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		task := Task{Name: "sweep", Every: time.Minute, Do: func(context.Context) (bool, error) {
			at = append(at, time.Since(began))
			if len(at) == 3 {
				return true, errors.New("disk is full")
			}
			return len(at) == 1, nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- New(hclog.NewNullLogger(), task).Run(ctx) }()
		time.Sleep(3*time.Minute - time.Second) // the bubble's clock
		cancel()
		require.NoError(t, <-ended)
		require.Equal(t, []time.Duration{0, pause, pause + time.Minute, pause + 2*time.Minute}, at, "more comes soon, an error in its time")
	})
}
