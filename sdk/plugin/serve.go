package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	hcplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/jackfield/jackfield/sdk"
)

// Serve is the main of a plugin's binary: it serves p to the host that started
// the process, and returns when the host is done with it or gone. Started by a
// person it answers "manifest" and "version", or says what the binary is. It
// exits the process with code 1 if p cannot be served.
//
// What p prints while it serves reaches the host's log, a line at a time. What uses
// http.DefaultTransport connects as DialContext does.
func Serve(p sdk.Plugin) {
	shake := Handshake()
	var code int
	if os.Getenv(shake.MagicCookieKey) == shake.MagicCookieValue {
		code = serve(p, os.Stdin, os.Stderr)
	} else {
		code = tell(p, os.Args, os.Stdout, os.Stderr)
	}
	if code != 0 {
		os.Exit(code) //nolint:forbidigo // Serve is the main of a plugin
	}
}

// serve serves p until the host ends it or the lifeline breaks.
func serve(p sdk.Plugin, stdin, stderr *os.File) int {
	parent := os.Getppid() // before the host can learn that this process lives, and end
	routeDefault()
	log := newLog(p, stderr)
	if _, err := describe(p); err != nil && fault(p) == nil { // a fault of its own the host hears by Describe
		log.Error("this plugin cannot be served", "error", err)
		return 1
	}
	s := newServer(p, log)
	out := newOutput(log)
	stop := make(chan struct{})
	defer close(stop)
	hcplugin.Serve(&hcplugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: map[int]hcplugin.PluginSet{Protocol: {Name: &GRPCPlugin{server: s}}},
		Logger:           log.Named("go-plugin"),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(append(opts, serverOptions(log, out.redirect)...)...)
			go watch(stdin, parent, stop, func(reason string) {
				log.Info("the host is gone", "reason", reason)
				time.AfterFunc(closeTimeout, func() {
					os.Exit(1) //nolint:forbidigo // nobody is left to stop a call that hangs
				})
				server.Stop()
			})
			return server
		},
	})
	s.closeAll()
	return 0
}

// describe is Describe for a plugin whose Manifest may panic.
func describe(p sdk.Plugin) (m sdk.Manifest, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the manifest panics: %v", r)
		}
	}()
	return Describe(p)
}

// newLog returns a logger of JSON lines on the process's own stderr, which the
// host reads.
func newLog(p sdk.Plugin, stderr io.Writer) hclog.Logger {
	m, err := describe(p)
	if err != nil {
		m.Name = filepath.Base(os.Args[0])
	}
	return hclog.New(&hclog.LoggerOptions{Name: m.Name, Level: hclog.Info, Output: stderr, JSONFormat: true})
}

func serverOptions(log hclog.Logger, first func()) []grpc.ServerOption {
	guard := guard{log: log, first: first, spans: newSpans()}
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(sdk.MaxMessage),
		grpc.MaxSendMsgSize(sdk.MaxMessage),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(guard.unary),
		grpc.ChainStreamInterceptor(guard.stream),
	}
}

// tell answers a person who started the binary.
func tell(p sdk.Plugin, args []string, stdout, stderr io.Writer) int {
	name := "plugin"
	if len(args) > 0 {
		name = filepath.Base(args[0])
		args = args[1:]
	}
	m, err := describe(p)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	switch {
	case len(args) == 1 && args[0] == "version":
		_, _ = fmt.Fprintf(stdout, "%s %s\n", m.Name, m.Version)
		return 0
	case len(args) == 1 && args[0] == "manifest":
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(manifestJSON(m)); err != nil {
			_, _ = fmt.Fprintf(stderr, "%s: manifest: %v\n", name, err)
			return 1
		}
		return 0
	default:
		_, _ = fmt.Fprintf(stderr, "%s is the Jackfield plugin %s (%s), version %s. A host starts it by itself:\n"+
			"put the file into the host's plugins directory and approve it with \"jackfield plugin approve %s\".\n\n"+
			"  %s manifest    print what the plugin says of itself, as JSON\n"+
			"  %s version     print its version\n", name, m.Name, m.Label, m.Version, m.Name, name, name)
		return 2
	}
}

// manifestFile is a manifest as JSON.
type manifestFile struct {
	Name           string           `json:"name"`
	Label          string           `json:"label"`
	Version        string           `json:"version"`
	Description    string           `json:"description,omitempty"`
	Icon           string           `json:"icon,omitempty"`
	Kind           sdk.Kind         `json:"kind"`
	Connectors     []connectorFile  `json:"connectors,omitempty"`
	Capabilities   []sdk.Capability `json:"capabilities,omitempty"`
	Hooks          []string         `json:"hooks,omitempty"`
	Hosts          []string         `json:"hosts,omitempty"`
	Template       string           `json:"template,omitempty"`
	TemplateText   string           `json:"template_text,omitempty"`
	Concurrency    int              `json:"concurrency,omitempty"`
	PerRun         int              `json:"concurrency_per_run,omitempty"`
	PageSize       int              `json:"page_size,omitempty"`
	Every          int              `json:"every"`
	State          *stateFile       `json:"state,omitempty"`
	Protocol       int              `json:"protocol"`
	SettingsSchema json.RawMessage  `json:"settings_schema,omitempty"`
}

type connectorFile struct {
	Name            string   `json:"name"`
	Label           string   `json:"label,omitempty"`
	Order           int      `json:"order,omitempty"`
	Force           bool     `json:"force,omitempty"`
	CompleteListing bool     `json:"complete_listing,omitempty"`
	Versions        bool     `json:"versions,omitempty"`
	Kinds           []string `json:"kinds,omitempty"`
}

type stateFile struct {
	Writes int   `json:"writes"`
	Reads  []int `json:"reads"`
	// MayWrite is left out of most.
	MayWrite []int `json:"may_write,omitempty"`
}

func manifestJSON(m sdk.Manifest) manifestFile {
	f := manifestFile{
		Name: m.Name, Label: m.Label, Version: m.Version, Description: m.Description, Icon: m.Icon, Kind: m.Kind,
		Capabilities: m.Capabilities, Hooks: m.Hooks, Hosts: m.Hosts, Template: m.Template, TemplateText: string(m.TemplateText),
		Concurrency: m.Limits.Concurrency, PerRun: m.Limits.PerRun, PageSize: m.Limits.PageSize,
		Every: m.Every, Protocol: Protocol, SettingsSchema: m.SettingsSchema,
	}
	if f.Kind == "" {
		f.Kind = sdk.KindData
	}
	if m.State.Writes != 0 || len(m.State.Reads) > 0 {
		f.State = &stateFile{Writes: m.State.Writes, Reads: m.State.Reads, MayWrite: m.State.MayWrite}
	}
	for _, c := range m.Connectors {
		f.Connectors = append(f.Connectors, connectorFile(c))
	}
	return f
}
