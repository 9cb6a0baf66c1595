package main

import (
	"context"
	"net"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// The words that a supervisor of services understands (sd_notify).
const (
	notifyReady    = "READY=1\nSTATUS=serving"
	notifyStopping = "STOPPING=1\nSTATUS=ending what runs"
)

// announce tells the supervisor of services at socket when ready is closed, and when
// ctx ends; nobody if socket is empty. What it returns ends it and waits for that.
func announce(ctx context.Context, socket string, ready <-chan struct{}, log hclog.Logger) (end func()) {
	if socket == "" {
		return func() {}
	}
	tell := func(words string) {
		if err := notify(context.WithoutCancel(ctx), socket, words); err != nil {
			log.Warn("the supervisor of services cannot be told", "error", err)
		}
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-ready:
			tell(notifyReady)
		case <-ctx.Done():
		case <-over:
			return // it never came so far
		}
		select {
		case <-ctx.Done():
		case <-over:
		}
		tell(notifyStopping)
	})
	return func() {
		close(over)
		wg.Wait()
	}
}

// notify sends words to a socket. One whose name begins with @ has no file.
func notify(ctx context.Context, socket, words string) error {
	if name, ok := strings.CutPrefix(socket, "@"); ok {
		socket = "\x00" + name
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", socket)
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte(words))
	if closed := conn.Close(); err == nil {
		err = closed
	}
	return err
}
