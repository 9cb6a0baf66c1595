package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/jackfield/jackfield/host/internal/config"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

// exampleCRM is the remote system of the example's calls: a program of its own, with
// what it holds in crm.json beside the data. It ends when its stdin does, which is when
// the quick start ends, however that comes.
type exampleCRM struct {
	url   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// crmPatience is how long the CRM has to say where it is, and to end.
const crmPatience = 10 * time.Second

// startCRM starts the program, and tells the tenant's file where it is. Without a
// program there is none, and who starts the quick start has set the variable, or not.
func (c *cli) startCRM(ctx context.Context, path, program string) (*exampleCRM, error) {
	if program == "" {
		return nil, nil
	}
	host, problems := config.LoadHost(path, config.Options{LookupEnv: c.lookupEnv})
	if problems.Failed() {
		return nil, problems.Err()
	}
	crm := &exampleCRM{cmd: exec.CommandContext(ctx, program, "-child", "-data", filepath.Join(filepath.Dir(host.Data), "crm.json"))} //nolint:gosec // the caller's own program
	crm.cmd.Stderr = c.stderr
	stdin, err := crm.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	crm.stdin = stdin
	crm.cmd.Cancel, crm.cmd.WaitDelay = stdin.Close, crmPatience
	stdout, err := crm.cmd.StdoutPipe()
	if err == nil {
		err = crm.cmd.Start()
	}
	if err != nil {
		return nil, environmentError(fmt.Errorf("start the CRM of the example: %w", err), "make run builds it")
	}
	late := time.AfterFunc(crmPatience, func() { _ = crm.cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	late.Stop()
	crm.url = strings.TrimSpace(line)
	address, ok := strings.CutPrefix(crm.url, "http://")
	if err == nil && !ok {
		err = fmt.Errorf("it says %.100q in the place of its address", crm.url)
	}
	if err == nil {
		err = os.Setenv(quickstartCRM, address) // for every time that the tenant's file is read
	}
	if err != nil {
		crm.stop()
		return nil, environmentError(fmt.Errorf("start the CRM of the example: %w", err), "")
	}
	return crm, nil
}

// stop ends the CRM and waits until it has ended.
func (x *exampleCRM) stop() {
	if x == nil {
		return
	}
	_ = x.stdin.Close()
	late := time.AfterFunc(crmPatience, func() { _ = x.cmd.Process.Kill() })
	defer late.Stop()
	_ = x.cmd.Wait() // it is nobody's business how it ended
}

// showCalls says what to type for a call to come in, and where it is seen: the CRM's
// page, which is told how to ask for screens.
func (c *cli) showCalls(ctx context.Context, d *daemon, h *Host, snap config.Snapshot, crm *exampleCRM) error {
	if crm == nil {
		return nil
	}
	for _, in := range snap.Integrations() {
		if in.Spec.Template == "" {
			continue
		}
		name := in.Spec.Tenant + "/" + in.Spec.Name
		if _, err := onceRead(ctx, func() (*hostv1.GetIntegrationResponse, error) {
			return hostv1.NewIntegrationServiceClient(d).GetIntegration(ctx, &hostv1.GetIntegrationRequest{Integration: name})
		}); err != nil {
			return err
		}
		base := h.base()
		if base == "" {
			c.tell("there is no HTTP listener, so no page shows the calls of %s; jackfield status says why", name)
			return nil
		}
		token, err := pageToken(ctx, d, in.Spec.Tenant)
		if err != nil {
			return err
		}
		call := "call-" + time.Now().Format("150405") // another one each time: what is stored stays
		rings := fmt.Sprintf("bin/jackfield -c %s hook fire call.started %s --call %s --from +4930123456 --to 200 --agent ann", c.config, name, call)
		link, err := json.Marshal(map[string]string{
			"jackfield": base, "token": token, "tenant": in.Spec.Tenant, "integration": in.Spec.Name, "agent": "ann", "line": rings,
		})
		if err != nil {
			return err
		}
		if _, err := crm.stdin.Write(append(link, '\n')); err != nil {
			return environmentError(fmt.Errorf("tell the CRM of the example where Jackfield is: %w", err), "")
		}
		fmt.Fprintf(c.stdout, `
%[1]s: calls of a CRM, by the template %[2]s (examples/crm)
open the CRM's page:
  %[3]s/
let it ring, and see the screen of the call there:
  %[4]s
or play a day of calls, while the CRM fails now and then:
  bin/crmday
`, name, in.Spec.Template, crm.url, rings)
		return nil
	}
	return nil
}

// pageToken makes the token by which the CRM's page asks for screens; that of the last
// time ends.
func pageToken(ctx context.Context, d *daemon, tenant string) (string, error) {
	const name = "quickstart-crm"
	tokens := hostv1.NewTokenServiceClient(d)
	list, err := tokens.ListTokens(ctx, &hostv1.ListTokensRequest{Tenant: tenant})
	if err != nil {
		return "", err
	}
	var errs error
	for _, t := range list.GetTokens() {
		if t.GetName() == name && t.GetState() == "valid" {
			_, err := tokens.RevokeToken(ctx, &hostv1.RevokeTokenRequest{Id: t.GetId()})
			errs = errors.Join(errs, err)
		}
	}
	if errs != nil {
		return "", errs
	}
	made, err := tokens.CreateToken(ctx, &hostv1.CreateTokenRequest{
		Name: name, Tenant: tenant, Scopes: []string{"read", "call"}, ExpiresAt: timestamppb.New(time.Now().Add(30 * 24 * time.Hour)),
	})
	return made.GetSecret(), err
}
