package plugin

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/go-hclog"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// callHost is the host as one call of the plugin sees it: what it asks travels
// over the link under the call's token.
type callHost struct {
	link    *link
	token   []byte
	log     hclog.Logger // takes the lines that the link cannot
	asks    chan struct{}
	commits chan struct{}
}

var _ sdk.Host = (*callHost)(nil)

func newCallHost(l *link, token []byte, log hclog.Logger) *callHost {
	return &callHost{link: l, token: token, log: log, asks: make(chan struct{}, asksPerCall), commits: make(chan struct{}, 1)}
}

// take waits for a place in all of places, and returns what gives them back.
func take(ctx context.Context, places ...chan struct{}) (func(), error) {
	for i, p := range places {
		select {
		case p <- struct{}{}:
		case <-ctx.Done():
			for _, taken := range places[:i] {
				<-taken
			}
			return nil, context.Cause(ctx)
		}
	}
	return func() {
		for _, p := range places {
			<-p
		}
	}, nil
}

func (h *callHost) ask(ctx context.Context, what *pluginv1.HostLinkResponse) (*pluginv1.HostLinkRequest, error) {
	places := []chan struct{}{h.asks, h.link.asks}
	if what.GetCredentialCommit() != nil {
		places = []chan struct{}{h.commits}
	}
	give, err := take(ctx, places...)
	if err != nil {
		return nil, err
	}
	what.Token = h.token
	return h.link.ask(ctx, what, give)
}

// Credential implements sdk.Host.
func (h *callHost) Credential(ctx context.Context, name string, atLeast int64) (sdk.Credential, error) {
	answer, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_CredentialGet{
		CredentialGet: &pluginv1.CredentialGet{Name: text(name), MinVersion: atLeast},
	}})
	return credentialFromProto(answer.GetCredential()), err
}

// BeginRefresh implements sdk.Host.
func (h *callHost) BeginRefresh(ctx context.Context, name string, version int64) (sdk.Credential, bool, error) {
	answer, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_CredentialBeginRefresh{
		CredentialBeginRefresh: &pluginv1.CredentialBeginRefresh{Name: text(name), Version: version},
	}})
	return credentialFromProto(answer.GetCredential()), answer.GetCredential().GetGranted(), err
}

// CommitCredential implements sdk.Host.
func (h *callHost) CommitCredential(ctx context.Context, name string, version int64, token sdk.Secret, expires time.Time) (sdk.Credential, error) {
	answer, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_CredentialCommit{
		CredentialCommit: &pluginv1.CredentialCommit{Name: text(name), Version: version, Token: []byte(token.Reveal()), Expires: timeToProto(expires)},
	}})
	return credentialFromProto(answer.GetCredential()), err
}

// CacheGet implements sdk.Host.
func (h *callHost) CacheGet(ctx context.Context, scope sdk.CacheScope, key string) ([]byte, bool, error) {
	answer, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_CacheGet{
		CacheGet: &pluginv1.CacheGet{Scope: string(scope), Key: text(key)},
	}})
	value := answer.GetCacheValue().GetValue()
	return value, value != nil, err
}

// CachePut implements sdk.Host.
func (h *callHost) CachePut(ctx context.Context, scope sdk.CacheScope, key string, value []byte, ttl time.Duration) error {
	if len(value) > maxCacheValue {
		return &sdk.Error{Class: sdk.ClassSystem, Code: "cache_value_too_large", Message: fmt.Sprintf("cache value %.64s has %d bytes, %d are allowed", key, len(value), maxCacheValue)}
	}
	_, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_CachePut{
		CachePut: &pluginv1.CachePut{Scope: string(scope), Key: text(key), Value: value, Ttl: durationToProto(ttl)},
	}})
	return err
}

// Limit implements sdk.Host.
func (h *callHost) Limit(ctx context.Context, b sdk.Bucket) error {
	_, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_Limit{
		Limit: &pluginv1.Limit{Scope: string(b.Scope), Key: text(b.Key), Max: small(b.Max), Window: durationToProto(b.Window)},
	}})
	return err
}

// Slot implements sdk.Host.
func (h *callHost) Slot(ctx context.Context, scope sdk.CacheScope, key string, limit int) (func(), error) {
	what := &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_Slot{
		Slot: &pluginv1.Slot{Scope: string(scope), Key: text(key), Max: small(limit)},
	}}
	if _, err := h.ask(ctx, what); err != nil {
		return nil, err
	}
	return func() {
		h.link.tell(&pluginv1.HostLinkResponse{Token: h.token, Ask: &pluginv1.HostLinkResponse_SlotRelease{SlotRelease: what.GetId()}})
	}, nil
}

// Pick implements sdk.Host.
func (h *callHost) Pick(ctx context.Context, keys []string) (string, error) {
	what := &pluginv1.Pick{}
	for _, key := range keys {
		what.Keys = append(what.Keys, text(key))
	}
	answer, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_Pick{Pick: what}})
	return answer.GetPicked().GetKey(), err
}

func small(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// Progress implements sdk.Host.
func (h *callHost) Progress(ctx context.Context, what string, until time.Time) error {
	_, err := h.ask(ctx, &pluginv1.HostLinkResponse{Ask: &pluginv1.HostLinkResponse_Progress{
		Progress: &pluginv1.Progress{What: cut(what), Until: timeToProto(until)},
	}})
	return err
}

// Log implements sdk.Host.
func (h *callHost) Log(level sdk.LogLevel, message string, args ...any) {
	if len(message) > maxLogMessage {
		message = message[:maxLogMessage]
	}
	line := &pluginv1.Log{Level: string(level), Message: text(message), Fields: fieldsOf(args)}
	if h.link.tell(&pluginv1.HostLinkResponse{Token: h.token, Ask: &pluginv1.HostLinkResponse_Log{Log: line}}) {
		return
	}
	h.log.Log(hclog.LevelFromString(string(level)), message, args...)
}

// fieldsOf reads args as pairs of a key and a value.
func fieldsOf(args []any) map[string]string {
	if len(args) == 0 {
		return nil
	}
	fields := make(map[string]string, len(args)/2)
	for len(args) > 0 && len(fields) < maxLogFields {
		if len(args) == 1 {
			fields["extra"] = cut(fmt.Sprint(args[0]))
			break
		}
		fields[cut(fmt.Sprint(args[0]))] = cut(fmt.Sprint(args[1]))
		args = args[2:]
	}
	return fields
}

func credentialToProto(c sdk.Credential, granted bool) *pluginv1.Credential {
	return &pluginv1.Credential{Version: c.Version, Token: []byte(c.Token.Reveal()), Expires: timeToProto(c.Expires), Granted: granted}
}

func credentialFromProto(p *pluginv1.Credential) sdk.Credential {
	if p == nil {
		return sdk.Credential{}
	}
	return sdk.Credential{Version: p.GetVersion(), Token: sdk.NewSecret(string(p.GetToken())), Expires: timeFromProto(p.GetExpires())}
}
