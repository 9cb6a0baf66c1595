// Command mutant is a plugin that keeps the contract but for one rule: the one that
// its file's name says after the last dot. As mutant.good it keeps them all.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() {
	m := &mutant{fault: strings.TrimPrefix(filepath.Ext(filepath.Base(os.Args[0])), ".")}
	switch m.fault {
	case "noisy":
		fmt.Println("mutant is starting up")
	case "shouting":
		fmt.Fprintln(os.Stderr, `{"@level":5,"@message":"up","@timestamp":"2026-01-02T03:04:05.000000Z"}`)
	case "longwinded":
		fmt.Fprintln(os.Stderr, strings.Repeat("up and about ", 8<<10))
	case "immortal":
		if immortal() {
			return
		}
	case "dead":
		fmt.Fprintln(os.Stderr, "mutant: no licence")
		os.Exit(3)
	}
	plugin.Serve(m)
}

type settings struct {
	Token  sdk.Secret `json:"token"`
	APIURL string     `json:"api_url,omitempty"`
}

// careless is settings whose secret is not marked.
type careless struct {
	Token    sdk.Secret `json:"token"`
	Password string     `json:"password,omitempty"`
	APIURL   string     `json:"api_url,omitempty"`
}

type mutant struct {
	fault string
	asked atomic.Int64
	opens atomic.Int64
}

// Manifest implements sdk.Plugin.
func (m *mutant) Manifest() sdk.Manifest {
	out := sdk.Manifest{
		Name: "mutant", Label: "Mutant", Version: "1.0.0", Settings: settings{}, Capabilities: []sdk.Capability{sdk.CanCheck},
		Connectors: []sdk.Connector{{Name: "things"}},
	}
	switch m.fault {
	case "fickle":
		out.Every = int(m.asked.Add(1))
	case "unmarked":
		out.Settings = careless{}
	case "nameless":
		out.Label = ""
	case "moody":
		out.Capabilities = append(out.Capabilities, sdk.CanAllow)
		out.Connectors = append(out.Connectors, sdk.Connector{Name: "others"})
	case "unversioned":
		out.Connectors[0].Versions = true
	}
	return out
}

// Open implements sdk.Plugin.
func (m *mutant) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	var s settings
	if err := in.Settings.Decode(&s); err != nil && m.fault != "lenient" {
		if m.fault == "betraying" {
			return nil, &sdk.Error{Class: sdk.ClassConfig, Code: "bad_settings", Message: "bad settings: " + string(in.Settings.Reveal())}
		}
		return nil, err
	}
	if m.fault == "picky" {
		return nil, &sdk.Error{Class: sdk.ClassConfig, Code: "picky", Message: "no settings are good enough"}
	}
	return &instance{mutant: m, settings: s, asked: map[string]bool{}, number: m.opens.Add(1)}, nil
}

type instance struct {
	*mutant
	settings
	number int64 // of the instance in its process

	mu    sync.Mutex      // guards what follows
	asked map[string]bool // pages
	last  int
}

// ask reaches the remote system, if there is one.
func (i *instance) ask(ctx context.Context) error {
	if i.APIURL == "" {
		return ctx.Err()
	}
	if ends, ok := ctx.Deadline(); i.fault == "deaf" || i.fault == "patient" && ok && time.Until(ends) < 2*time.Second {
		ctx = context.WithoutCancel(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.APIURL, http.NoBody)
	if err != nil {
		return &sdk.Error{Class: sdk.ClassConfig, Message: err.Error()}
	}
	req.Header.Set("Authorization", "Bearer "+i.Token.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return &sdk.Error{Class: sdk.ClassTransient, Message: err.Error()}
	}
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusTooManyRequests && i.fault != "hasty":
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		if i.fault == "guessing" {
			after = 60
		}
		return sdk.RateLimitedFor(time.Duration(after) * time.Second)
	case resp.StatusCode == http.StatusUnauthorized:
		return &sdk.Error{Class: sdk.ClassAuth, Code: "unauthorized", Message: "the token is refused"}
	case resp.StatusCode != http.StatusOK:
		return &sdk.Error{Class: sdk.ClassRemote, Message: resp.Status}
	}
	return nil
}

// Check implements sdk.Checker.
func (i *instance) Check(ctx context.Context) error {
	switch i.fault {
	case "trusting":
		return nil
	case "rude":
		return &sdk.Error{Class: sdk.ClassAuth, Message: "no"}
	}
	return i.ask(ctx)
}

// GetStreams implements sdk.Instance.
func (i *instance) GetStreams(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
	s := sdk.Stream{ID: "all", Connector: "things", Partition: "all"}
	var more []sdk.Stream
	switch i.fault {
	case "astray":
		s.Connector = "others"
	case "twofold":
		more = append(more, s)
	case "contested":
		more = append(more, sdk.Stream{ID: "more", Connector: "things", Partition: "all"})
	case "ownerless":
		more = append(more, sdk.Stream{ID: "stray", Connector: "things"})
	}
	for _, s := range append([]sdk.Stream{s}, more...) {
		if err := out.Stream(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// Allowed implements sdk.Allower.
func (*instance) Allowed(_ context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
	return sdk.Verdict{Skip: call.Connector == "others"}, nil
}

// Close implements sdk.Closer.
func (i *instance) Close() error {
	if i.fault == "slamming" {
		panic("closed twice")
	}
	return nil
}

// pages and perPage are what there is to read.
const pages, perPage = 3, 3

// ProcessStream implements sdk.Instance. Cursor and page are the number of the next
// thing; a checkpoint is that and where its page ends.
func (i *instance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	if err := i.ask(ctx); err != nil {
		return sdk.Outcome{}, err
	}
	switch {
	case call.Stream.ID == "stray":
		return sdk.Outcome{Cursor: []byte("1")}, nil
	case call.Stream.ID == "more":
		return sdk.Outcome{}, nil
	case i.fault == "ungrateful" && string(call.Cursor) == strconv.Itoa(pages*perPage) && call.Checkpoint == nil:
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassSystem, Message: "there is nothing to go on with"}
	case i.fault == "failing" && call.Page != nil:
		return sdk.Outcome{}, &sdk.Error{Class: sdk.ClassSystem, Message: "the second page cannot be read"}
	}
	first, _ := strconv.Atoi(string(call.Cursor))
	if i.fault == "backward" {
		first = 0
	}
	if call.Page != nil {
		first, _ = strconv.Atoi(string(call.Page))
	}
	n, end := first, min(first-first%perPage+perPage, pages*perPage)
	if call.Checkpoint != nil { // the cursor has moved on with it: where the page ends is in it
		from, to, _ := strings.Cut(string(call.Checkpoint), "/")
		n, _ = strconv.Atoi(from)
		end, _ = strconv.Atoi(to)
	}
	n = i.misplace(call, n)
	for ; n < end; n++ {
		if err := i.emit(ctx, n, end, out); err != nil {
			return sdk.Outcome{}, err
		}
	}
	outcome := sdk.Outcome{Cursor: []byte(strconv.Itoa(max(n, end)))}
	if end < pages*perPage {
		outcome.NextPage = []byte(strconv.Itoa(end))
	}
	if i.fault == "looping" && outcome.NextPage == nil {
		outcome.NextPage = []byte(strconv.Itoa(end - perPage))
	}
	if i.fault == "astraycursor" {
		outcome.Cursor = []byte(i.Token.Reveal())
	}
	return outcome, nil
}

// misplace returns where a mutant goes on, which is not where it should.
func (i *instance) misplace(call sdk.StreamCall, n int) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch i.fault {
	case "skipping": // leaves out what it has read before
		page := string(call.Page)
		if call.Checkpoint == nil && call.Attempt == 0 && i.asked[page] {
			return n + perPage
		}
		i.asked[page] = call.Checkpoint == nil || i.asked[page]
	case "forgetful": // knows only in this process how far it got
		if call.Checkpoint != nil && i.last == 0 {
			return n + 1
		}
		i.last = n + 1
	}
	return n
}

// emit emits one thing and the checkpoint after it.
func (i *instance) emit(ctx context.Context, n, end int, out *sdk.Emitter) error {
	point := sdk.Checkpoint{Data: fmt.Appendf(nil, "%d/%d", n+1, end), Cursor: []byte(strconv.Itoa(n + 1))}
	rec := sdk.Record{Kind: "thing", ID: strconv.Itoa(n), Data: fmt.Appendf(nil, `{"n":%d}`, n)}
	switch i.fault {
	case "early": // its checkpoint comes before what it stands for
		if err := out.Checkpoint(ctx, point); err != nil {
			return err
		}
		return out.Record(ctx, rec)
	case "repeating":
		rec.ID = strconv.Itoa(n / perPage)
	case "spilling":
		rec.Data = fmt.Appendf(nil, `{"n":%d,"with":%q}`, n, i.Token.Reveal())
	case "leaking":
		sdk.HostFrom(ctx).Log(sdk.LogInfo, "reading with "+i.Token.Reveal())
	case "printing":
		fmt.Fprintln(os.Stderr, "reading with", i.Token.Reveal())
	case "random":
		rec.Data = fmt.Appendf(nil, `{"run":%d}`, i.number)
	case "undecided": // a name that is set and taken away at once
		if err := out.Member(ctx, sdk.Member{ID: strconv.Itoa(n), Update: true, DisplayName: "Ann", Clear: []string{"display_name"}}); err != nil {
			return err
		}
	case "huge":
		if err := i.swell(ctx, out); err != nil {
			return err
		}
	}
	if err := out.Record(ctx, rec); err != nil {
		return err
	}
	if err := out.Checkpoint(ctx, point); err != nil {
		return err
	}
	if i.fault == "stubborn" && n == 0 {
		i.brood(ctx)
	}
	return nil
}

// brood goes on though the call is cancelled, if it is.
func (*instance) brood(ctx context.Context) {
	select {
	case <-ctx.Done():
		<-time.After(6 * time.Second)
	case <-time.After(500 * time.Millisecond):
	}
}

// swell emits more than fits between two checkpoints.
func (i *instance) swell(ctx context.Context, out *sdk.Emitter) error {
	for n := range 5 {
		data := fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 900<<10))
		if err := out.Record(ctx, sdk.Record{Kind: "large", ID: strconv.Itoa(n), Data: data}); err != nil {
			return err
		}
	}
	return nil
}
