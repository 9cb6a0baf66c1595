package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// await waits until there is a file; none is waited for if it has no name.
func (*instance) await(ctx context.Context, file string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for file != "" {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// rotate renews a token, as a plugin does whose tokens are good for one use, and logs
// which version of the plugin made the one before and what was cached.
func (i *instance) rotate(ctx context.Context) error {
	host := sdk.HostFrom(ctx)
	have, err := host.Credential(ctx, "token", 0)
	if err != nil && !errors.Is(err, sdk.ErrNoCredential) {
		return err
	}
	cached, _, err := host.CacheGet(ctx, sdk.CacheIntegration, "who")
	if err != nil {
		return err
	}
	if _, mine, err := host.BeginRefresh(ctx, "token", have.Version); err != nil || !mine {
		return errors.Join(err, ctx.Err())
	}
	token := sdk.NewSecret("token-made-by " + i.variant.Version)
	if _, err := host.CommitCredential(ctx, "token", have.Version, token, time.Time{}); err != nil {
		return err
	}
	maker := ""
	if have.Version > 0 {
		maker = strings.TrimPrefix(have.Token.Reveal(), "token-made-by ")
	}
	host.Log(sdk.LogInfo, "token rotated", "by", i.variant.Version, "found", maker, "cached", string(cached), "after", strconv.FormatInt(have.Version, 10))
	return host.CachePut(ctx, sdk.CacheIntegration, "who", []byte(i.variant.Version), time.Hour)
}
