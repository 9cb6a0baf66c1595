package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) authCommand() *cobra.Command {
	return group("auth", "Connect integrations that a person has to agree to", c.authConnectCommand())
}

func (c *cli) authConnectCommand() *cobra.Command {
	var port uint16
	cmd := &cobra.Command{
		Use:   "connect INTEGRATION",
		Short: "Agree at the remote system that an integration may use it (OAuth2)",
		Long: `Connect shows an address. Open it and agree: the remote system sends the answer to this machine,
where the command waits for it, and the daemon keeps the token sealed. The redirect address that the
remote system has to know is http://127.0.0.1:PORT/callback; with --port it is always the same.`,
		Args: exactArgs("INTEGRATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				return c.connect(ctx, hostv1.NewAuthServiceClient(d), args[0], port)
			})
		},
		ValidArgsFunction: c.complete(completeIntegrations),
	}
	cmd.Flags().Uint16Var(&port, "port", 0, "of the redirect address; a free one if 0")
	return cmd
}

// connect shows the address, waits for the answer and hands it to the daemon.
func (c *cli) connect(ctx context.Context, client hostv1.AuthServiceClient, integration string, port uint16) error {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("wait for the answer: %w", err)
	}
	defer func() { _ = l.Close() }()
	begun, err := client.BeginConnect(ctx, &hostv1.BeginConnectRequest{Integration: integration, RedirectUri: "http://" + l.Addr().String() + "/callback"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, begun.GetExpiresAt().AsTime())
	defer cancel()
	_, _ = fmt.Fprintf(c.stderr, "Open this address and agree:\n\n  %s\n\n", begun.GetUrl())
	code, err := awaitCode(ctx, l, begun.GetState())
	if err != nil {
		return err
	}
	resp, err := client.FinishConnect(ctx, &hostv1.FinishConnectRequest{Integration: integration, State: begun.GetState(), Code: code})
	if err != nil {
		return err
	}
	return c.print(resp, func(t *table) { t.line(resp.GetIntegration() + " is connected: " + resp.GetState()) })
}

// answered is what came to the redirect address.
type answered struct {
	code string
	err  error
}

// awaitCode serves the redirect address until the answer of this state is there.
func awaitCode(ctx context.Context, l net.Listener, state string) (string, error) {
	answers := make(chan answered, 1)
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10, Handler: redirected(state, answers)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(l) // it ends because it is shut down
	}()
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(stop) // so that the person sees the page
		_ = srv.Close()
		<-ended
	}()
	select {
	case a := <-answers:
		return a.code, a.err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", errors.New("nobody agreed in time")
		}
		return "", context.Cause(ctx)
	}
}

// redirected takes the answer of a state, and no other one.
func redirected(state string, answers chan<- answered) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Connection", "close")
		if q.Get("state") != state {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "This is not the answer that is waited for.\n")
			return
		}
		a := answered{code: q.Get("code")}
		if a.code == "" {
			a.err = fmt.Errorf("the remote system did not agree: %q %q", shown(q.Get("error")), shown(q.Get("error_description")))
			_, _ = io.WriteString(w, "The remote system did not agree. You can close this page.\n")
		} else {
			_, _ = io.WriteString(w, "Thank you. You can close this page.\n")
		}
		select {
		case answers <- a:
		default: // it came twice
		}
	})
	return mux
}

// shown cuts a text of a remote system.
func shown(s string) string {
	const most = 200
	return s[:min(len(s), most)]
}
