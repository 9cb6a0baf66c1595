package main

import (
	"context"
	"net/http"
	"time"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// platform is the name of Slack in identities, attributes and activities.
const platform = "slack"

// The connectors of the manifest.
const (
	connectorMembers  = "members"
	connectorChannels = "channels"
)

const (
	// callTimeout bounds one call of the Web API, its answer included. It stays
	// below the 60 s of silence that end a stream.
	callTimeout = 30 * time.Second
	// version is the plugin's, not the protocol's.
	version = "1.0.0"
	// stateVersion is the version of page tokens, checkpoints, cursors and data.
	stateVersion = 1
)

// Slack is the plugin. It keeps nothing between calls.
type Slack struct {
	timeout time.Duration // of one call of the Web API
}

var _ sdk.Plugin = (*Slack)(nil)

// New returns the plugin.
func New() *Slack { return &Slack{timeout: callTimeout} }

// Manifest says what the plugin is.
func (s *Slack) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name:        "slack",
		Label:       "Slack",
		Version:     version,
		Description: "Imports the members of a Slack workspace, the messages of its channels and their threads.",
		Kind:        sdk.KindData,
		Settings:    settings{},
		Connectors: []sdk.Connector{
			{Name: connectorMembers, Label: "Members", Order: 0, Force: true, Versions: true},
			{Name: connectorChannels, Label: "Channels and threads", Order: 1, Force: true, Versions: true},
		},
		Capabilities: []sdk.Capability{sdk.CanCheck, sdk.CanPreprocess, sdk.CanCreateAttributes},
		Hosts:        []string{"slack.com"},
		Every:        20,
		State:        sdk.StateVersions{Writes: stateVersion, Reads: []int{stateVersion}},
	}
}

// Open makes an instance from the settings. It does not dial.
func (s *Slack) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	set, err := readSettings(in.Settings)
	if err != nil {
		return nil, err
	}
	return newInstance(set, newTransport(), s.timeout), nil
}

// newTransport returns the transport of one instance. It takes no proxy from
// the environment: the token goes to the address of the settings and nowhere else.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           plugin.DialContext, // the host's way out
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConns:          8,
		MaxIdleConnsPerHost:   8,
	}
}
