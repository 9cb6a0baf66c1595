package main

import (
	"cmp"
	"context"

	"github.com/jackfield/jackfield/sdk"
)

const (
	version       = "0.1.0"
	connector     = "commits"
	defaultPage   = 500 // commits visited in one page
	defaultPoint  = 100 // commits visited between two checkpoints
	stateVersion  = 1
	everyMinutes  = 10
	callsAtOnce   = 4 // diffs keep a core busy
	streamsPerRun = 2
)

// Git is the plugin. Its zero value is ready.
type Git struct {
	pageSize   int // defaultPage if zero
	checkpoint int // defaultPoint if zero
}

var _ sdk.Plugin = Git{}

// Manifest says what the plugin is.
func (Git) Manifest() sdk.Manifest {
	return sdk.Manifest{
		Name:        "git",
		Label:       "Git",
		Version:     version,
		Description: "Commits, their authors and co-authors, of local clones",
		Kind:        sdk.KindData,
		Settings:    settings{},
		Connectors: []sdk.Connector{{
			Name:  connector,
			Label: "Commits",
			Force: true,
		}},
		Capabilities: []sdk.Capability{sdk.CanCheck},
		Limits:       sdk.Limits{Concurrency: callsAtOnce, PerRun: streamsPerRun},
		Every:        everyMinutes,
		State:        sdk.StateVersions{Writes: stateVersion, Reads: []int{stateVersion}},
	}
}

// Open checks the settings and touches no repository.
func (g Git) Open(_ context.Context, in sdk.Integration) (sdk.Instance, error) {
	var s settings
	if err := in.Settings.Decode(&s); err != nil {
		return nil, err
	}
	plan, err := s.plan()
	if err != nil {
		return nil, err
	}
	return &instance{
		plan:       plan,
		pageSize:   cmp.Or(g.pageSize, defaultPage),
		checkpoint: cmp.Or(g.checkpoint, defaultPoint),
	}, nil
}
