// Command zoo is a plugin that misbehaves as the tests of package supervisor
// ask. What it does before it serves is in its name; the rest is a hook each.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() {
	name := filepath.Base(os.Args[0])
	before(strings.TrimPrefix(name, "zoo-"))
	before(beside("behave"))
	z := zoo{name: name, raw1: os.Stdout, raw2: os.Stderr}
	plugin.Serve(z)
	if name == "zoo-deaf" {
		signal.Ignore(syscall.SIGTERM)
		select {} // it was told to end, and does not
	}
}

// before is what happens ahead of the handshake.
func before(what string) {
	switch what {
	case "noise":
		fmt.Println("starting up...")
		fmt.Println(`{"level":30,"msg":"hello"}`)
	case "exit":
		fmt.Fprintln(os.Stderr, "boom: missing SLACK_TOKEN")
		os.Exit(3)
	case "chatty":
		fmt.Println("usage: chatty [flags]")
		os.Exit(2)
	case "hang":
		time.Sleep(time.Hour)
	case "stubborn":
		signal.Ignore(syscall.SIGQUIT, syscall.SIGTERM)
	case "panics":
		panic("no configuration")
	case "fake":
		fmt.Println(os.Getenv("ZOO_LINE"))
		time.Sleep(time.Hour)
	case "shake":
		shake()
	case "silent": // a socket that nobody serves
		path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
		fd, _ := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		_ = syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
		_ = syscall.Listen(fd, 1)
		fmt.Printf("1|1|unix|%s|grpc|%s\n", path, strings.Repeat("A", 100))
		time.Sleep(time.Hour)
	case "json":
		fmt.Fprintln(os.Stderr, `{"@message":1}`)
		fmt.Fprintln(os.Stderr, `{"@level":30,"@message":"odd level"}`)
		fmt.Fprintln(os.Stderr, `{"@message":{"a":[1]},"@level":"info"}`)
		fmt.Fprintln(os.Stderr, `[1,2,3]`)
	}
}

type zoo struct {
	name       string
	raw1, raw2 *os.File // the process's own; os.Stdout and os.Stderr are others while it serves
}

// Manifest takes its version from a file beside the binary, if there is one.
func (z zoo) Manifest() sdk.Manifest {
	version := "1.0.0"
	if text := beside("version"); text != "" {
		version = text
	}
	name := z.name
	if name == "zoo-liar" {
		name = "someone-else"
	}
	var state sdk.StateVersions
	if n, err := strconv.Atoi(beside("writes")); err == nil {
		state = sdk.StateVersions{Writes: n, Reads: []int{n - 1, n}}
		if beside("yields") != "" {
			state.MayWrite = []int{n - 1}
		}
	}
	return sdk.Manifest{State: state, Name: name, Label: "Zoo " + z.name, Version: version, Kind: sdk.KindOperation, Capabilities: []sdk.Capability{sdk.CanInvoke}, Hooks: []string{"any"}}
}

// beside returns what a file beside the binary says.
func beside(suffix string) string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	text, _ := os.ReadFile(exe + "." + suffix) // there may be none
	return strings.TrimSpace(string(text))
}

// Open refuses an integration called bad.
func (z zoo) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	if in.Name == "bad" {
		return nil, &sdk.Error{Class: sdk.ClassConfig, Code: "bad_settings", Message: "the settings are bad"}
	}
	fmt.Fprintf(z.raw2, `{"@level":"info","@message":"opened","tenant":%q,"revision":%d}`+"\n", in.Tenant, in.Revision)
	return &animal{zoo: z, in: in}, nil
}

type animal struct {
	zoo zoo
	in  sdk.Integration
}

func (a *animal) GetStreams(context.Context, sdk.PlanCall, *sdk.Emitter) error { return nil }

func (a *animal) ProcessStream(context.Context, sdk.StreamCall, *sdk.Emitter) (sdk.Outcome, error) {
	return sdk.Outcome{}, nil
}

func (a *animal) Close() error {
	fmt.Fprintf(a.zoo.raw2, `{"@level":"info","@message":"closed","tenant":%q,"revision":%d}`+"\n", a.in.Tenant, a.in.Revision)
	return nil
}

// Invoke does what the hook's name says.
func (a *animal) Invoke(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
	raw1, raw2 := a.zoo.raw1, a.zoo.raw2
	switch call.Name {
	case "echo":
		return sdk.HookResult{Payload: call.Payload}, nil
	case "slow":
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
		return sdk.HookResult{Payload: []byte(`"done"`)}, ctx.Err()
	case "take":
		ms, err := strconv.Atoi(string(call.Payload))
		if err != nil {
			return sdk.HookResult{}, err
		}
		fmt.Fprintln(raw2, "taking its time")
		time.Sleep(time.Duration(ms) * time.Millisecond) // whoever cancels it
		return sdk.HookResult{}, nil
	case "stuck":
		<-ctx.Done()
		return sdk.HookResult{}, ctx.Err()
	case "writes":
		return answer(a.in.WriteState)
	case "version":
		return answer(a.zoo.Manifest().Version)
	case "look":
		return look()
	case "big":
		return sdk.HookResult{Payload: append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 100<<20)...), '"')}, nil
	case "flood":
		w := bufio.NewWriter(raw2)
		for i := range 30000 {
			_, _ = fmt.Fprintf(w, `{"@level":"info","@message":"flood","n":%d}`+"\n", i)
		}
		return sdk.HookResult{}, w.Flush()
	case "longline":
		_, err := fmt.Fprintf(raw2, `{"@level":"error","@message":"%s"}`+"\n", strings.Repeat("long ", 20<<10))
		return sdk.HookResult{}, err
	case "stdout":
		for range 4 {
			if _, err := raw1.Write(append(bytes.Repeat([]byte("y"), 70<<10), '\n')); err != nil {
				return sdk.HookResult{}, err
			}
		}
		return sdk.HookResult{}, nil
	case "print":
		fmt.Println("printed after the handshake")
		return sdk.HookResult{}, nil
	case "secret":
		_, err := fmt.Fprintln(raw2, `{"@level":"warn","@message":"token is hunter2-hunter2","t":"hunter2-hunter2"}`)
		return sdk.HookResult{}, err
	case "freeze":
		return sdk.HookResult{}, syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "grandchild":
		cmd := exec.Command("sleep", "300")
		cmd.Stdout, cmd.Stderr = raw1, raw2
		if err := cmd.Start(); err != nil {
			return sdk.HookResult{}, err
		}
		return answer(cmd.Process.Pid)
	case "panic":
		panic("in a handler")
	case "crash":
		go func() { panic("in a goroutine: " + string(call.Payload)) }()
		<-ctx.Done()
		return sdk.HookResult{}, ctx.Err()
	case "die":
		fmt.Fprintln(raw2, "goodbye, cruel world")
		os.Exit(7)
	}
	return sdk.HookResult{}, errors.New("no such trick: " + call.Name)
}

// look reports what the process was given.
func look() (sdk.HookResult, error) {
	files := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return sdk.HookResult{}, err
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			files[e.Name()] = target
		}
	}
	return answer(map[string]any{"env": os.Environ(), "args": os.Args, "fds": files, "pgid": syscall.Getpgrp(), "pid": os.Getpid()})
}

func answer(v any) (sdk.HookResult, error) {
	body, err := json.Marshal(v)
	return sdk.HookResult{Payload: body}, err
}
