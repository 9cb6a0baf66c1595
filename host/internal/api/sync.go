package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// The caps on what a person gives to a run.
const (
	maxParams   = 32
	maxParamKey = 64
	maxParam    = 1024
)

// SyncIntegration starts a run, or answers the one that is open already.
func (s *integrationService) SyncIntegration(ctx context.Context, req *hostv1.SyncIntegrationRequest) (*hostv1.SyncIntegrationResponse, error) {
	in, err := s.findIntegration(ctx, req.GetIntegration())
	if err != nil {
		return nil, err
	}
	if err := runnable(in); err != nil {
		return nil, err
	}
	if err := s.importing(ctx, in); err != nil {
		return nil, err
	}
	connectors, err := s.wanted(ctx, in, req.GetConnectors())
	if err != nil {
		return nil, err
	}
	if err := checkParams(req.GetParams()); err != nil {
		return nil, err
	}
	if req.GetAcceptDeletes() && !req.GetForce() {
		return nil, invalid("add --force", "only a full sync finds what is gone")
	}
	if err := s.forcible(ctx, in, req, connectors); err != nil {
		return nil, err
	}
	run, created, err := s.deps.Engine.Sync(ctx, in, runRequest(in, req, connectors))
	if err != nil {
		return nil, err
	}
	return &hostv1.SyncIntegrationResponse{Integration: in.FullName(), Run: s.run(run), Created: created}, nil
}

// importing refuses an integration that has nothing to import: of a plugin of
// operations (O06), without a connector, or whose plugin has not said yet which it has.
func (s *integrationService) importing(ctx context.Context, in store.Integration) error {
	refuse := func(why, hint string) error {
		return &Error{Kind: KindConflict, Message: fmt.Sprintf("integration %s %s", in.FullName(), why), Hint: hint}
	}
	switch m, ok := s.deps.Plugins.Manifest(ctx, in.Plugin); {
	case ok && m.Kind == sdk.KindOperation:
		return refuse("cannot be synced: plugin "+in.Plugin+" answers operations alone", "")
	case len(in.Connectors) > 0:
		return nil
	case !ok:
		return refuse("cannot be synced yet: plugin "+in.Plugin+" has not said what it imports", "jackfield plugin show "+in.Plugin+" tells how far it is")
	default:
		return refuse("has no connector to import", "name one under connectors:")
	}
}

// runnable refuses an integration that cannot run, and says why.
func runnable(in store.Integration) error {
	reason := ""
	if in.Reason != "" {
		reason = ": " + in.Reason
	}
	refuse := func(what, hint string) error {
		return &Error{Kind: KindConflict, Message: fmt.Sprintf("integration %s %s%s", in.FullName(), what, reason), Hint: hint}
	}
	switch {
	case !in.RemovedAt.IsZero():
		return refuse("was removed from its file", "declare it again, then: jackfield reload")
	case in.Hold != nil:
		return refuse("is disabled", "jackfield integration enable "+in.FullName())
	case in.State == store.IntegrationDisabled:
		hint := "set enabled: true"
		if in.File != "" {
			hint += " in " + in.File
		}
		return refuse("is disabled", hint+", then: jackfield reload")
	case in.State == store.IntegrationParked:
		return refuse("is parked", "jackfield plugin list")
	case in.State == store.IntegrationWaitingApproval:
		return refuse("waits for an approval", "jackfield plugin approve "+in.Plugin)
	case in.Template != "":
		return refuse("is of template "+in.Template+", which imports nothing", "jackfield endpoint list "+in.FullName())
	default:
		return nil
	}
}

// wanted checks the connectors that a person named.
func (s *integrationService) wanted(ctx context.Context, in store.Integration, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	enabled := in.Connectors
	if len(enabled) == 0 {
		m, ok := s.deps.Plugins.Manifest(ctx, in.Plugin)
		if !ok {
			return names, nil
		}
		for _, c := range m.Connectors {
			enabled = append(enabled, c.Name)
		}
	}
	for _, name := range names {
		if !slices.Contains(enabled, name) {
			return nil, invalid("it has: "+strings.Join(enabled, ", "), "integration %s has no connector %q enabled", in.FullName(), name)
		}
	}
	return names, nil
}

// forcible refuses to ignore the cursors of a connector that does not support it.
func (s *integrationService) forcible(ctx context.Context, in store.Integration, req *hostv1.SyncIntegrationRequest, wanted []string) error {
	m, ok := s.deps.Plugins.Manifest(ctx, in.Plugin)
	if !req.GetForce() || !ok {
		return nil
	}
	if len(wanted) == 0 {
		wanted = in.Connectors
	}
	var can, cannot []string
	for _, c := range m.Connectors {
		if !slices.Contains(in.Connectors, c.Name) {
			continue
		}
		if c.Force {
			can = append(can, c.Name)
		} else if slices.Contains(wanted, c.Name) {
			cannot = append(cannot, c.Name)
		}
	}
	if len(cannot) == 0 {
		return nil
	}
	hint := "without --force"
	if len(can) > 0 {
		hint = "--connector " + strings.Join(can, ",") + ", or " + hint
	}
	return invalid(hint, "plugin %q cannot ignore the cursors of %s", in.Plugin, strings.Join(cannot, ", "))
}

func checkParams(params map[string]string) error {
	if len(params) > maxParams {
		return invalid("", "%d parameters are more than %d (params.max)", len(params), maxParams)
	}
	for key, value := range params {
		if key == "" || len(key) > maxParamKey || len(value) > maxParam {
			return invalid("a name has 1 to 64 bytes, a value at most 1 KiB", "parameter %.64q does not fit", key)
		}
	}
	return nil
}

func runRequest(in store.Integration, req *hostv1.SyncIntegrationRequest, connectors []string) store.RunRequest {
	kind := store.RunManual
	if req.GetOnboarding() {
		kind = store.RunOnboarding
	}
	return store.RunRequest{
		IntegrationID: in.ID,
		Class:         store.ClassPull,
		Kind:          kind,
		Connectors:    connectors,
		Params:        req.GetParams(),
		ParamsSum:     paramsSum(req, connectors),
		Force:         req.GetForce(),
		AcceptDeletes: req.GetAcceptDeletes(),
		Replace:       req.GetReplace(),
	}
}

// paramsSum is empty for an ordinary run, of which one is open at most. Others
// are told apart by what they ask for (K12).
func paramsSum(req *hostv1.SyncIntegrationRequest, connectors []string) string {
	if !req.GetOnboarding() && !req.GetForce() && len(connectors) == 0 && len(req.GetParams()) == 0 {
		return ""
	}
	what := map[string]any{ // sorted by name
		"onboarding": req.GetOnboarding(),
		"force":      req.GetForce(),
		"connectors": connectors,
		"params":     req.GetParams(),
	}
	if req.GetAcceptDeletes() {
		what["accept_deletes"] = true
	}
	text, err := json.Marshal(what)
	if err != nil { // strings and booleans alone
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
