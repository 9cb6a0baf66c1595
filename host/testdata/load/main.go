// Load is a plugin that makes as many records as it is told to, the same ones
// each time. Tests and benchmarks of the host run it as a real process.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() { plugin.Serve(load{readVariant()}) }

type settings struct {
	Streams  int    `json:"streams,omitempty"`  // root streams
	Children int    `json:"children,omitempty"` // of each, emitted with its first page
	Pages    int    `json:"pages,omitempty"`    // of each stream
	Records  int    `json:"records,omitempty"`  // of each page
	Segment  int    `json:"segment,omitempty"`  // records between checkpoints; 0: the page is one segment
	Wanted   bool   `json:"wanted,omitempty"`   // of a page no more records are in a segment than the host wants
	Size     int    `json:"size,omitempty"`     // bytes of a record's data
	PauseMS  int    `json:"pause_ms,omitempty"` // before each segment
	LastRun  string `json:"last_run,omitempty"` // kept by Postprocess
	Mark     string `json:"mark,omitempty"`     // goes into each record: another one changes them all

	Huge   *int `json:"huge,omitempty"`   // the number of the record of each stream that is over the cap
	People int  `json:"people,omitempty"` // members of each root stream, the same people in all, each with a thread

	Rotate bool       `json:"rotate,omitempty"` // a token, with each page
	Gate   string     `json:"gate,omitempty"`   // a file that each page waits for before it rotates the token
	Secret sdk.Secret `json:"secret,omitzero"`
	Tell   bool       `json:"tell,omitempty"` // the secret, to everybody
	Fault  *fault     `json:"fault,omitempty"`
}

type load struct{ variant }

// Manifest implements sdk.Plugin.
func (l load) Manifest() sdk.Manifest {
	m := sdk.Manifest{
		Name: l.Name, Label: "Load", Version: l.Version, Kind: sdk.KindData,
		Settings:   settings{},
		Connectors: []sdk.Connector{{Name: "things", Label: "Things", Force: true}},
		Capabilities: []sdk.Capability{
			sdk.CanCheck, sdk.CanPreprocess, sdk.CanPostprocess, sdk.CanInvoke,
		},
		Hooks:  []string{"echo"},
		Limits: sdk.Limits{Concurrency: 32, PerRun: 4},
		Every:  -1,
		State:  sdk.StateVersions{Writes: 1, Reads: []int{1}},
	}
	switch l.Bad {
	case "strict":
		m.Settings = strict{}
	case "forgets":
		m.State = sdk.StateVersions{Writes: 2, Reads: []int{2}}
	case "newer", "newer-fails":
		m.State = sdk.StateVersions{Writes: 2, Reads: []int{1, 2}}
	case "elsewhere":
		m.Connectors[0].Name = "persons"
	case "operates":
		m.Kind, m.Connectors = sdk.KindOperation, nil
	case "desk":
		m.Kind, m.Connectors, m.Capabilities = sdk.KindOperation, nil, []sdk.Capability{sdk.CanInvoke}
		m.Hooks, m.Settings, m.TemplateText = []string{sdk.HookGetDataIframe}, deskSettings{}, []byte(deskTemplate)
	case "wider":
		m.Connectors = append(m.Connectors, sdk.Connector{Name: "persons", Label: "Persons"})
	}
	return m
}

// Open implements sdk.Plugin.
func (l load) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	if l.Bad == "desk" {
		return desk{&instance{variant: l.variant}}, nil
	}
	var s settings
	if l.Bad == "strict" {
		var all strict
		if err := in.Settings.Decode(&all); err != nil {
			return nil, err
		}
		s = all.settings
	} else if err := in.Settings.Decode(&s); err != nil {
		return nil, err
	}
	if l.Bad == "picky" {
		return nil, &sdk.Error{Class: sdk.ClassConfig, Code: "picky", Message: "no settings are good enough"}
	}
	return &instance{settings: s, filler: filler(s.Size), variant: l.variant}, nil
}

type instance struct {
	settings
	variant variant
	filler  []byte
}

var (
	_ sdk.Checker       = (*instance)(nil)
	_ sdk.Preprocessor  = (*instance)(nil)
	_ sdk.Postprocessor = (*instance)(nil)
	_ sdk.Invoker       = (*instance)(nil)
)

func (i *instance) Check(context.Context) error {
	if i.variant.Bad == "unreachable" {
		return &sdk.Error{Class: sdk.ClassRemote, Code: "unreachable", Message: "nobody is there"}
	}
	return nil
}

// Invoke returns what it is given.
func (*instance) Invoke(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
	if call.Name == "hang" {
		<-ctx.Done()
		return sdk.HookResult{}, ctx.Err()
	}
	return sdk.HookResult{Payload: call.Payload}, nil
}

func (*instance) Preprocess(context.Context, sdk.Run) ([]byte, error) { return []byte("prepared"), nil }

func (*instance) Postprocess(_ context.Context, run sdk.Run) (map[string][]byte, error) {
	return map[string][]byte{"last_run": []byte(strconv.Quote(run.ID))}, nil
}

func (i *instance) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	if string(call.Run.Preprocessed) != "prepared" {
		return fmt.Errorf("preprocessed is %q", call.Run.Preprocessed)
	}
	if !slices.Contains(call.Run.Connectors, "things") {
		return nil
	}
	for n := range i.Streams {
		id := fmt.Sprintf("s%04d", n)
		if only := call.Run.Params["only"]; only != "" && only != id {
			continue
		}
		if err := out.Stream(ctx, i.stream(id)); err != nil {
			return err
		}
		if n%100 == 99 {
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: []byte(strconv.Itoa(n))}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (*instance) stream(id string) sdk.Stream {
	return sdk.Stream{ID: id, Connector: "things", Partition: id, Data: []byte(`{}`)}
}

// position is a page token, a checkpoint and a cursor: how far a stream has got.
type position struct {
	Page    int `json:"page"`
	Record  int `json:"record"`
	Version int `json:"version,omitempty"` // of this form; 1 if it is left out
}

// at returns the position of a page, unless this version does not write the form of
// the first one.
func (i *instance) at(page, record int) position {
	p := position{Page: page, Record: record}
	if strings.HasPrefix(i.variant.Bad, "newer") {
		p.Version = 2
	}
	return p
}

// read takes a position, if this version knows its form.
func (i *instance) read(raw []byte, p *position) error {
	if raw == nil {
		return nil
	}
	*p = position{}
	if err := json.Unmarshal(raw, p); err != nil {
		return err
	}
	if p.Version > 1 && !strings.HasPrefix(i.variant.Bad, "newer") {
		return fmt.Errorf("a position of version %d", p.Version)
	}
	return nil
}

func (i *instance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	var at, before position
	if err := i.read(call.Cursor, &before); err != nil { // all is read anew each time
		return sdk.Outcome{}, err
	}
	for _, raw := range [][]byte{call.Page, call.Checkpoint} {
		if err := i.read(raw, &at); err != nil {
			return sdk.Outcome{}, err
		}
	}
	if at.Page == 0 && at.Record == 0 && !child(call.Stream.ID) {
		for n := range i.Children {
			if err := out.Stream(ctx, i.stream(fmt.Sprintf("%s.c%03d", call.Stream.ID, n))); err != nil {
				return sdk.Outcome{}, err
			}
		}
	}
	if at.Page == 0 && at.Record == 0 {
		if err := i.people(ctx, call.Stream.ID, out); err != nil {
			return sdk.Outcome{}, err
		}
	}
	if err := i.page(ctx, call, at, out); err != nil {
		return sdk.Outcome{}, err
	}
	next := i.at(at.Page+1, 0)
	outcome := sdk.Outcome{LastRecord: strconv.Itoa(next.Page), Cursor: encode(next)}
	if next.Page < i.Pages {
		outcome.NextPage = encode(next)
	}
	return outcome, nil
}

func (i *instance) page(ctx context.Context, call sdk.StreamCall, at position, out *sdk.Emitter) error {
	stream, segment := call.Stream.ID, i.Segment
	if i.Wanted && call.PageSize > 0 {
		segment = call.PageLimit(cmp.Or(i.Segment, i.Records))
		if err := out.Warn(ctx, stream, fmt.Sprintf("wanted %d at %d", call.PageSize, at.Page*i.Records+at.Record)); err != nil {
			return err
		}
	}
	if err := i.strike(ctx, stream, out); err != nil {
		return err
	}
	if i.Rotate {
		if err := i.await(ctx, i.Gate); err != nil {
			return err
		}
		if err := i.rotate(ctx); err != nil {
			return err
		}
	}
	buf := make([]byte, 0, i.Size+64)
	for n := at.Record; n < i.Records; n++ {
		if segment > 0 && n > at.Record && (n-at.Record)%segment == 0 {
			if err := out.Checkpoint(ctx, sdk.Checkpoint{Data: encode(i.at(at.Page, n))}); err != nil {
				return err
			}
			if err := i.pause(ctx); err != nil {
				return err
			}
		}
		number := at.Page*i.Records + n
		id := stream + "-" + strconv.Itoa(number)
		if i.Huge != nil && *i.Huge == number {
			if err := out.Record(ctx, thing(id, 2*sdk.MaxRecord)); err != nil {
				return err
			}
			continue
		}
		buf = append(buf[:0], `{"filler":"`...)
		buf = append(buf, i.filler...)
		buf = append(buf, `","mark":"`...)
		buf = append(buf, i.Mark...)
		buf = append(buf, `","number":`...)
		buf = strconv.AppendInt(buf, int64(number), 10)
		buf = append(buf, '}')
		if err := out.Record(ctx, sdk.Record{Kind: "thing", ID: id, Data: append([]byte(nil), buf...)}); err != nil {
			return err
		}
	}
	return i.pause(ctx)
}

func (i *instance) pause(ctx context.Context) error {
	if i.PauseMS == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(i.PauseMS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func child(id string) bool { return len(id) > len("s0000") }

func encode(p position) []byte {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil // two integers always marshal
	}
	return raw
}

// filler returns what makes a record's data size bytes long.
func filler(size int) []byte {
	const frame = len(`{"filler":"","mark":"","number":123456}`)
	out := make([]byte, max(0, size-frame))
	for i := range out {
		out[i] = 'a' + byte(i%26)
	}
	return out
}
