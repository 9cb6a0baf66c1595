package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// fault is what goes wrong on purpose, before the first record of a stream's
// page.
type fault struct {
	Do     string `json:"do" jsonschema:"enum=exit,enum=panic,enum=hang,enum=config,enum=remote,enum=huge,enum=endless,enum=flood,enum=hog,enum=abort-stream,enum=abort-run"`
	Stream string `json:"stream"`          // * is each
	While  string `json:"while,omitempty"` // a file: nothing goes wrong without it
}

// strike does what the settings want to go wrong in the stream.
func (i *instance) strike(ctx context.Context, stream string, out *sdk.Emitter) error {
	if i.Tell {
		if err := i.tell(ctx, out); err != nil {
			return err
		}
	}
	switch i.variant.Bad {
	case "dies":
		os.Exit(9)
	case "fails":
		return errors.New("index out of range")
	case "newer-fails": // when others have moved
		if stream > "s0002" {
			return errors.New("index out of range")
		}
	}
	f := i.Fault
	if f == nil || f.Stream != stream && f.Stream != "*" {
		return nil
	}
	if _, err := os.Stat(f.While); f.While != "" && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	said := "the remote system is down"
	if i.Tell {
		said += ", says " + i.Secret.Reveal()
	}
	switch f.Do {
	case "exit":
		raw := os.NewFile(2, "stderr") // os.Stderr is another while it serves, and is lost with the process
		fmt.Fprintln(raw, "fatal: cannot bear stream "+stream)
		os.Exit(7)
	case "panic":
		panic(said)
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	case "config":
		return &sdk.Error{Class: sdk.ClassConfig, Code: "down", Message: said, Cause: errors.New("cause: " + said)}
	case "remote":
		return &sdk.Error{Class: sdk.ClassRemote, Code: "down", Message: said}
	case "abort-stream":
		return sdk.AbortStream("gone", said, map[string]string{"channel": "C012"})
	case "abort-run":
		return sdk.AbortRun("closed", said, map[string]string{"account": "acme, " + said})
	case "huge":
		return out.Record(ctx, thing("huge", 100<<20))
	case "endless":
		for n := range 1000 {
			if err := out.Record(ctx, thing(fmt.Sprint("endless-", n), 64<<10)); err != nil {
				return err
			}
		}
	case "hog":
		var taken [][]byte
		for range 1 << 10 { // of 1 MiB, used
			taken = append(taken, bytes.Repeat([]byte("x"), 1<<20))
		}
		return fmt.Errorf("%d MiB were to be had", len(taken))
	case "flood":
		for range 50_000 {
			fmt.Fprintln(os.Stderr, `{"@message":1}`)
		}
	}
	return nil
}

func thing(id string, size int) sdk.Record {
	return sdk.Record{Kind: "thing", ID: id, Data: fmt.Appendf(nil, `{"filler":%q}`, filler(size))}
}

// tell gives the secret away wherever a careless plugin could.
func (i *instance) tell(ctx context.Context, out *sdk.Emitter) error {
	token := i.Secret.Reveal()
	host := sdk.HostFrom(ctx)
	host.Log(sdk.LogInfo, "logged: "+token, "token", token)
	fmt.Fprintln(os.Stderr, "on stderr: "+token)
	fmt.Println("on stdout: " + token)
	if err := host.Progress(ctx, "progress: "+token, time.Now().Add(time.Minute)); err != nil {
		return err
	}
	return out.Warn(ctx, "record "+token, "warned: "+token)
}
