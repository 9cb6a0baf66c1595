package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestActorsStopOneAfterTheOther(t *testing.T) {
	t.Parallel()
	var order []string
	wait := func(name string) actor {
		return actor{name, func(ctx context.Context) error {
			<-ctx.Done()
			order = append(order, name) // no lock: one ends before the next is asked to
			return ctx.Err()
		}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, actors{wait("api"), wait("scheduler"), wait("plugins")}.run(ctx))
	require.Equal(t, []string{"api", "scheduler", "plugins"}, order)
}

func TestTheFirstActorToEndEndsAll(t *testing.T) {
	t.Parallel()
	stopped := false
	err := actors{
		{"api", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil }},
		{"store", func(context.Context) error { return errors.New("disk on fire") }},
	}.run(t.Context())
	require.EqualError(t, err, "store: disk on fire")
	require.True(t, stopped)

	err = actors{{"scheduler", func(context.Context) error { return nil }}}.run(t.Context())
	require.EqualError(t, err, "scheduler ended by itself")
}
