// Fakecrm is the remote system of the example: a small CRM with contacts, call logs,
// tickets and messages, an API that wants a token, a page to look at, and troubles on
// demand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakecrm:", err)
		os.Exit(1)
	}
}

// settings are what the command line says.
type settings struct {
	listen, key, data string
	child             bool
	trouble           trouble
}

func settingsFrom(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("fakecrm", flag.ContinueOnError)
	f.StringVar(&s.listen, "listen", "127.0.0.1:0", "address to serve, on this machine; port 0 takes a free one")
	f.StringVar(&s.key, "key", "key-of-acme", "API key that gets a token")
	f.StringVar(&s.data, "data", "", "file that keeps what it holds; empty: memory alone")
	f.BoolVar(&s.child, "child", false, "end when stdin ends; a line of JSON there says where Jackfield is")
	f.Float64Var(&s.trouble.Fail, "fail", 0, "share of requests that are refused with 503")
	f.Float64Var(&s.trouble.Lose, "lose", 0, "share of requests that are done, and whose answer is lost")
	f.DurationVar(&s.trouble.slow, "slow", 0, "how long each answer takes")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("there is no argument %q", f.Arg(0))
	}
	host, _, err := net.SplitHostPort(s.listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return s, fmt.Errorf("listen on %s: it serves this machine alone (hint: -listen 127.0.0.1:0)", s.listen)
	}
	return s, s.trouble.check()
}

// run serves until ctx ends, and says first where.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	s, err := settingsFrom(args)
	if err != nil {
		return err
	}
	book, err := openBook(s.data)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	address := listener.Addr().String()
	desk := &phone{origin: "http://" + address, client: &http.Client{Timeout: 5 * time.Second}}
	server := &http.Server{
		Handler: newServer(book, desk, s, address), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		MaxHeaderBytes: 16 << 10, IdleTimeout: time.Minute,
	}
	if s.child {
		go func() {
			defer cancel() // whoever started it is gone
			desk.listen(stdin)
		}()
	}
	fmt.Fprintln(stdout, "http://"+address)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	last, enough := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer enough()
	if err := server.Shutdown(last); err != nil {
		_ = server.Close() // who still waits for an answer gets none
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// newServer joins the API, for programs with a token, and the pages, for people on this
// machine.
func newServer(b *book, p *phone, s settings, address string) http.Handler {
	mux := http.NewServeMux()
	api := &api{book: b, key: s.key, base: "http://" + address}
	api.trouble.Store(&s.trouble)
	mux.Handle("/api/", api.routes())
	pages := &pages{book: b, phone: p}
	mux.Handle("/", http.NewCrossOriginProtection().Handler(pages.routes()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != address { // a name that another page lets point here
			http.Error(w, "this is "+address, http.StatusMisdirectedRequest)
			return
		}
		if origin := r.Header.Get("Sec-Fetch-Site"); origin == "cross-site" && !strings.HasPrefix(r.Header.Get("Sec-Fetch-Mode"), "navigate") {
			http.Error(w, "not for other sites", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		mux.ServeHTTP(w, r)
	})
}
