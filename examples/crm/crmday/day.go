package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// day is one that is played.
type day struct {
	settings

	name     string // its calls begin with it
	began    time.Time
	host     string // of the CRM
	crmToken string
	api      string // of Jackfield, for this integration
	token    string
	tokenID  string

	mu  sync.Mutex // guards out
	out io.Writer
}

// open finds Jackfield and the CRM, and gets a token of each.
func (d *day) open(ctx context.Context) error {
	tenant, name, _ := strings.Cut(d.integration, "/")
	var in struct {
		Integration struct{ Host string }
	}
	var status struct{ HTTP string }
	var made struct {
		Secret string
		Token  struct{ ID string }
	}
	err := d.command(ctx, &in, "integration", "show", d.integration)
	if err == nil {
		err = d.command(ctx, &status, "status", "--timeout", "10s")
	}
	if err == nil {
		err = d.command(ctx, &made, "token", "create", "crmday", "--scope", "read,call", "--tenant", tenant, "--expires", "1h")
	}
	if err != nil {
		return err
	}
	d.host, d.token, d.tokenID = cmp.Or(d.crm, in.Integration.Host), made.Secret, made.Token.ID
	if d.host == "" {
		return fmt.Errorf("%s does not say where its CRM is (hint: -crm 127.0.0.1:PORT)", d.integration)
	}
	d.api = "http://" + status.HTTP + "/api/v1/tenants/" + tenant + "/integrations/" + name
	return d.login(ctx)
}

// login gets a token of the CRM, which lasts some minutes.
func (d *day) login(ctx context.Context) error {
	var login struct{ Data struct{ Token string } }
	if err := send(ctx, http.MethodPost, "http://"+d.host+"/api/login", "", map[string]string{"key": d.key}, &login); err != nil {
		return fmt.Errorf("log in to the CRM at %s: %w", d.host, err)
	}
	d.crmToken = login.Data.Token
	return nil
}

func (d *day) close(ctx context.Context) {
	var none any
	_ = d.command(ctx, &none, "token", "revoke", d.tokenID) // it ends within the hour
}

// trouble says what is wrong with the CRM from now on.
func (d *day) trouble(ctx context.Context, what map[string]any) error {
	if err := d.login(ctx); err != nil {
		return err
	}
	var now any
	return send(ctx, http.MethodPut, "http://"+d.host+"/api/trouble", d.crmToken, what, &now)
}

// tell sends an event of a call, as a telephone system does: with a key, and again until
// it is told that the event is kept.
func (d *day) tell(ctx context.Context, e event) error {
	e["call_id"] = d.name + "-" + fmt.Sprint(e["call_id"])
	key := fmt.Sprintf("%s-%s-%d", e["call_id"], e["type"], e["nr"])
	delete(e, "nr")
	var err error
	for range 5 {
		var kept struct {
			EventID string `json:"event_id"`
		}
		if err = sendKeyed(ctx, http.MethodPost, d.api+"/events", d.token, key, e, &kept); err == nil {
			return nil
		}
		if answered, ok := errors.AsType[*statusError](err); ok && answered.code < 500 && answered.code != http.StatusTooManyRequests {
			break
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			break
		}
	}
	return fmt.Errorf("send %s of call %s: %w", e["type"], e["call_id"], err)
}

// settle waits until nothing of the day's calls is still to be written.
func (d *day) settle(ctx context.Context) error {
	fmt.Fprintln(d.out)
	until := time.Now().Add(d.patience)
	var told time.Time
	for {
		var list struct {
			Calls []struct {
				CallID string `json:"call_id"`
			}
		}
		if err := send(ctx, http.MethodGet, d.api+"/calls?open=true&page_size=1000", d.token, nil, &list); err != nil {
			return err
		}
		waiting := 0
		for _, c := range list.Calls {
			if strings.HasPrefix(c.CallID, d.name+"-") {
				waiting++
			}
		}
		if waiting == 0 {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("%d calls still have something to write after %v (hint: jackfield call list --open)", waiting, d.patience)
		}
		if time.Since(told) > 5*time.Second {
			fmt.Fprintf(d.out, "%d calls wait for the CRM\n", waiting)
			told = time.Now()
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// statusError is an answer that is none of success.
type statusError struct {
	code int
	text string
}

// Error implements error.
func (e *statusError) Error() string { return e.text }

func send(ctx context.Context, method, address, token string, body, into any) error {
	return sendKeyed(ctx, method, address, token, "", body, into)
}

// sendKeyed makes a request of JSON.
func sendKeyed(ctx context.Context, method, address, token, key string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		raw = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if raw, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20)); err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return &statusError{resp.StatusCode, fmt.Sprintf("%s: %.300s", resp.Status, raw)}
	}
	return json.Unmarshal(raw, into)
}

// pause waits, or returns early with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
