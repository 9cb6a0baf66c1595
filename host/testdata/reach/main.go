// Reach is a plugin that connects to where it is told, in the ways that a plugin can,
// and makes a record of what came of each. Tests of the host run it as a process.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

func main() { plugin.Serve(reach{}) }

type settings struct {
	URL    string   `json:"url,omitempty" jsonschema:"format=uri"`
	More   []string `json:"more,omitempty" jsonschema_extras:"x-host=true"` // that it may reach too
	Get    []string `json:"get,omitempty"`                                  // asked for over http.DefaultClient
	Dial   []string `json:"dial,omitempty"`                                 // connected to without the host's help
	Path   string   `json:"path,omitempty" jsonschema_extras:"x-path=true"` // that it may read
	Read   []string `json:"read,omitempty"`                                 // files that are read
	Must   string   `json:"must,omitempty"`                                 // asked for last: its error is the stream's
	Widen  string   `json:"widen,omitempty"`                                // is kept as the setting "url"
	Number int      `json:"number,omitempty"`                               // makes settings new ones
}

type reach struct{ settings }

// Manifest implements sdk.Plugin.
func (reach) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name: "reach", Label: "Reach", Version: "1.0.0", Settings: settings{}, Every: -1,
		Connectors:   []sdk.Connector{{Name: "places", Label: "Places", Force: true}},
		Capabilities: []sdk.Capability{sdk.CanCheck},
		Hosts:        []string{"169.254.169.254:80", "*.reach.example"},
	}
}

// Open implements sdk.Plugin.
func (r reach) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	err := in.Settings.Decode(&r.settings)
	return r, err
}

// Check implements sdk.Checker.
func (r reach) Check(ctx context.Context) error { return get(ctx, r.URL) }

// GetStreams implements sdk.Instance.
func (reach) GetStreams(ctx context.Context, _ sdk.PlanCall, out *sdk.Emitter) error {
	return out.Stream(ctx, sdk.Stream{ID: "all", Connector: "places", Partition: "all"})
}

// ProcessStream implements sdk.Instance.
func (r reach) ProcessStream(ctx context.Context, _ sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	if r.Widen != "" {
		if err := out.Setting(ctx, "url", r.Widen); err != nil {
			return sdk.Outcome{}, err
		}
	}
	for _, url := range r.Get {
		if err := tell(ctx, out, "get "+url, get(ctx, url)); err != nil {
			return sdk.Outcome{}, err
		}
	}
	for _, address := range r.Dial {
		if err := tell(ctx, out, "dial "+address, dial(ctx, address)); err != nil {
			return sdk.Outcome{}, err
		}
	}
	for _, path := range r.Read {
		_, err := os.ReadFile(path) //nolint:gosec // what the sandbox lets it read is what is asked
		if err := tell(ctx, out, "read "+filepath.Base(path), err); err != nil {
			return sdk.Outcome{}, err
		}
	}
	if r.Must != "" {
		if err := get(ctx, r.Must); err != nil {
			return sdk.Outcome{}, err
		}
	}
	return sdk.Outcome{}, nil
}

// tell makes a record of what came of an attempt.
func tell(ctx context.Context, out *sdk.Emitter, id string, err error) error {
	said := struct {
		Code    string    `json:"code"`
		Class   sdk.Class `json:"class"`
		Message string    `json:"message"`
		PID     int       `json:"pid"`
	}{Code: "reached", PID: os.Getpid()}
	if e := sdk.AsError(err); e != nil {
		said.Code, said.Class, said.Message = e.Code, e.Class, e.Message
	}
	data, err := json.Marshal(said)
	if err != nil {
		return err
	}
	return out.Record(ctx, sdk.Record{Kind: "place", ID: id, Data: data})
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return resp.Body.Close()
}

func dial(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
